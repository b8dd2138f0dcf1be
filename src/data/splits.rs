//! Rows shuffled and parted into training and test sets.

use std::collections::BTreeMap;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::error::{Error, Result};
use crate::range::within;
use crate::reserve::reserved;

use super::targets::signed;
use super::{Dataset, Targets};

impl Dataset {
    /// The rows before `row`, and those from `row` on.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where one of the two parts would be empty.
    pub fn split_at(&self, row: usize) -> Result<(Self, Self)> {
        if row == 0 || row >= self.rows() {
            let message = format!(
                "{row} of {} rows leaves one part empty: both parts need a row",
                self.rows()
            );
            return Err(Error::argument("row", message));
        }
        let first: Vec<usize> = (0..row).collect();
        let second: Vec<usize> = (row..self.rows()).collect();
        Ok((self.select(&first)?, self.select(&second)?))
    }

    /// Shuffles the rows with `seed` and parts them: `(train, test)`.
    ///
    /// The test part has `test_fraction` of the rows, rounded to the nearest whole number, and at least one row; so has
    /// the training part. The same seed gives the same parts on every machine.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `test_fraction` is not between 0 and 1 (both excluded), [`Error::Data`] where there is
    /// only one row.
    ///
    /// ```
    /// # let x: Vec<[f32; 1]> = (0..10).map(|i| [i as f32]).collect();
    /// # let data = kiln::Dataset::from_rows(&x, &x)?;
    /// let (train, test) = data.split(0.2, 42)?;
    /// assert_eq!((train.rows(), test.rows()), (8, 2));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn split(&self, test_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        check_fraction(test_fraction)?;
        if self.rows() < 2 {
            return Err(Error::data(
                "one row cannot be split into two parts: give at least 2 rows",
            ));
        }
        let order = permutation(self.rows(), seed);
        let (test, train) = order.split_at(tested(order.len(), test_fraction));
        Ok((self.select(train)?, self.select(test)?))
    }

    /// [`split`](Self::split) with each class shared out by `test_fraction` on its own, so that both parts have the
    /// classes in the same shares.
    ///
    /// # Errors
    ///
    /// The same errors as [`split`](Self::split), and [`Error::Data`] where the targets are not labels or a class has only one row.
    ///
    /// ```
    /// # let labels = kiln::Targets::Labels { labels: vec![0, 0, 0, 0, 0, 0, 0, 0, 1, 1], classes: 2 };
    /// # let data = kiln::Dataset::new((0..10).map(|i| i as f32).collect(), 1, labels)?;
    /// let (train, test) = data.split_stratified(0.5, 42)?;
    /// assert_eq!(train.class_counts()?, [4, 1]);
    /// assert_eq!(test.class_counts()?, [4, 1]);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn split_stratified(&self, test_fraction: f64, seed: u64) -> Result<(Self, Self)> {
        check_fraction(test_fraction)?;
        let (mut train, mut test) = (Vec::new(), Vec::new());
        let (_, classes) = self.one_label_a_row()?;
        for (class, rows) in self.by_class(seed)? {
            let class = signed(class, classes);
            if rows.len() == 1 {
                return Err(Error::data(format!(
                    "class {class} has one row, which cannot be in both parts: give at least 2 of each class"
                )));
            }
            let (in_test, in_train) = rows.split_at(tested(rows.len(), test_fraction));
            test.extend_from_slice(in_test);
            train.extend_from_slice(in_train);
        }
        // Classes one after the other would make bad batches of an unshuffled run.
        let mix = |rows: Vec<usize>| -> Vec<usize> {
            let order = permutation(rows.len(), seed);
            order.into_iter().map(|place| rows[place]).collect()
        };
        Ok((self.select(&mix(train))?, self.select(&mix(test))?))
    }

    /// Shuffles the rows with `seed` and parts them into `folds` parts of as equal a size as can be: for each, the
    /// other parts to train on and the part itself to test on.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where there are fewer than 2 folds, or more than rows.
    ///
    /// ```
    /// # let x: Vec<[f32; 1]> = (0..10).map(|i| [i as f32]).collect();
    /// # let data = kiln::Dataset::from_rows(&x, &x)?;
    /// for fold in data.k_fold(5, 42)? {
    ///     let (train, test) = fold?;
    ///     assert_eq!((train.rows(), test.rows()), (8, 2));
    /// }
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn k_fold(
        &self,
        folds: usize,
        seed: u64,
    ) -> Result<impl Iterator<Item = Result<(Self, Self)>>> {
        self.folds(folds, permutation(self.rows(), seed))
    }

    /// [`k_fold`](Self::k_fold) with the rows of every class spread over all folds.
    ///
    /// # Errors
    ///
    /// The same errors as [`k_fold`](Self::k_fold), and [`Error::Data`] where the targets are not labels.
    pub fn stratified_k_fold(
        &self,
        folds: usize,
        seed: u64,
    ) -> Result<impl Iterator<Item = Result<(Self, Self)>>> {
        // Dealt out one by one, class after class, so that folds differ by one row of a class at most.
        let rows = self.by_class(seed)?.into_values().flatten();
        self.folds(folds, rows.collect())
    }

    /// Row k of `order` goes to fold k mod `folds`.
    fn folds(
        &self,
        folds: usize,
        order: Vec<usize>,
    ) -> Result<impl Iterator<Item = Result<(Self, Self)>>> {
        let rows = self.rows();
        let range = format!("at least 2 and at most the {rows} rows");
        within((2..=rows).contains(&folds), "folds", &range, folds)?;
        Ok((0..folds).map(move |fold| {
            let rows = order.iter().copied().enumerate();
            let (test, train): (Vec<_>, Vec<_>) =
                rows.partition(|(place, _)| place % folds == fold);
            let part = |rows: Vec<(usize, usize)>| {
                let rows: Vec<usize> = rows.into_iter().map(|(_, row)| row).collect();
                self.select(&rows)
            };
            Ok((part(train)?, part(test)?))
        }))
    }

    /// The rows of each class that has some, in an order drawn with `seed`. A file's label makes as many classes as it likes.
    fn by_class(&self, seed: u64) -> Result<BTreeMap<u32, Vec<usize>>> {
        let (labels, _) = self.one_label_a_row()?;
        let mut rows = BTreeMap::<u32, Vec<usize>>::new();
        for row in permutation(self.rows(), seed) {
            rows.entry(labels[row]).or_default().push(row);
        }
        Ok(rows)
    }

    /// The number of rows of each class. Rows with a negative label, which losses may ignore, are of none.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, or of more classes than memory has room for.
    pub fn class_counts(&self) -> Result<Vec<usize>> {
        let (labels, classes) = self.one_label_a_row()?;
        let mut counts = reserved(Some(classes), "the counts of the classes")?;
        counts.resize(classes, 0);
        let known = |label: &u32| counts.get_mut(*label as usize).map(|count| *count += 1);
        labels.iter().filter_map(known).for_each(drop);
        Ok(counts)
    }

    /// A weight for each class, in the order of the data set's own numbers, that makes rare classes count as much as frequent ones:
    /// rows/(classes·rows of the class), as scikit-learn's `class_weight="balanced"`.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let labels = Targets::Labels { labels: vec![0, 0, 0, 1], classes: 2 };
    /// let data = Dataset::new(vec![0.1, 0.2, 0.3, 0.9], 1, labels)?;
    /// let weights = data.balanced_class_weights()?;
    /// assert_eq!(weights[1], 2.0);
    /// let fit = Fit::epochs(5).class_weight((0..).zip(weights));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, and where a class has no row.
    pub fn balanced_class_weights(&self) -> Result<Vec<f32>> {
        let counts = self.class_counts()?;
        if let Some(class) = counts.iter().position(|count| *count == 0) {
            return Err(Error::data(format!(
                "class {class} has no row to balance: say how many classes there are with `with_classes`"
            )));
        }
        let share = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
        Ok(counts
            .iter()
            .map(|count| (share / *count as f64) as f32)
            .collect())
    }

    fn one_label_a_row(&self) -> Result<(&[u32], usize)> {
        match self.targets() {
            Targets::Labels { labels, classes } => Ok((labels, *classes)),
            Targets::LabelTable { columns, .. } => Err(Error::data(format!(
                "a row must have one label to be of a class; the targets here are {columns} labels a row"
            ))),
            _ => Err(Error::data(
                "only labels have classes; the targets here are not labels",
            )),
        }
    }

    /// The rows in an order drawn with `seed`; the same seed gives the same order on every machine.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where a second copy does not fit into memory.
    pub fn shuffled(&self, seed: u64) -> Result<Self> {
        self.select(&permutation(self.rows(), seed))
    }
}

fn check_fraction(test_fraction: f64) -> Result<()> {
    if test_fraction > 0.0 && test_fraction < 1.0 {
        return Ok(());
    }
    let message = format!("{test_fraction} is not between 0 and 1, both excluded");
    Err(Error::argument("test_fraction", message))
}

/// How many of `rows` rows, at least 2, are the test part.
fn tested(rows: usize, test_fraction: f64) -> usize {
    ((rows as f64 * test_fraction).round() as usize).clamp(1, rows - 1)
}

/// The numbers below `len` in an order drawn with `seed`: Durstenfeld's shuffle (Communications of the ACM 7, 1964).
///
/// It is written out here because `rand` may change how it draws between versions, and a seed must not.
fn permutation(len: usize, seed: u64) -> Vec<usize> {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        // The high half of a 64 × 64 bit product is uniform below last + 1, but for a bias of at most len / 2⁶⁴.
        let other = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    order
}
