//! Rows picked, shuffled and parted into a training and a test set.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::check::room;
use super::{Dataset, Targets};
use crate::error::{Error, Result};

impl Dataset {
    /// The rows of these indices in this order; an index may come more than once.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where an index is beyond the last row, [`Error::Data`] where none is given or where so many
    /// rows do not fit into memory.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        if let Some(bad) = indices.iter().find(|index| **index >= self.rows()) {
            let message = format!(
                "there is no row {bad}: {} rows are counted from 0",
                self.rows()
            );
            return Err(Error::argument("indices", message));
        }
        let targets = match self.targets() {
            Targets::None => Targets::None,
            Targets::Values { values, columns } => {
                let (values, columns) = (gather(values, *columns, indices)?, *columns);
                Targets::Values { values, columns }
            }
            Targets::Labels { labels, classes } => {
                let (labels, classes) = (gather(labels, 1, indices)?, *classes);
                Targets::Labels { labels, classes }
            }
        };
        self.like(gather(self.features(), self.columns(), indices)?, targets)
    }

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
        if !(test_fraction > 0.0 && test_fraction < 1.0) {
            let message = format!("{test_fraction} is not between 0 and 1, both excluded");
            return Err(Error::argument("test_fraction", message));
        }
        if self.rows() < 2 {
            return Err(Error::data(
                "one row cannot be split into two parts: give at least 2 rows",
            ));
        }
        let tested =
            ((self.rows() as f64 * test_fraction).round() as usize).clamp(1, self.rows() - 1);
        let order = permutation(self.rows(), seed);
        let (test, train) = order.split_at(tested);
        Ok((self.select(train)?, self.select(test)?))
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

/// The rows of a row-major table that `indices` name; they are below its number of rows.
fn gather<T: Copy>(table: &[T], columns: usize, indices: &[usize]) -> Result<Vec<T>> {
    let mut rows = room(indices.len().checked_mul(columns), "the selected rows")?;
    for index in indices {
        rows.extend_from_slice(&table[index * columns..(index + 1) * columns]);
    }
    Ok(rows)
}
