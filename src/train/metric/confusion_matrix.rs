//! The confusion matrix, and what it tells.

use std::fmt;

use super::tally::ratio;

/// Rows by the class that was wanted and the class that was said.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfusionMatrix {
    /// The rows of the data, or their weights, of each class that was wanted, by the class that they were said to be of.
    pub cells: Vec<Vec<f64>>,
    names: Vec<String>,
}

impl ConfusionMatrix {
    /// From [wanted, said], row-major, of a whole square.
    pub(super) fn new(classes: usize, cells: &[f64]) -> Self {
        ConfusionMatrix {
            cells: cells.chunks_exact(classes).map(<[f64]>::to_vec).collect(),
            names: (0..classes).map(|class| class.to_string()).collect(),
        }
    }

    /// Names for the classes, in their order; those that are missing stay numbers.
    pub fn with_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        for (own, name) in self.names.iter_mut().zip(names) {
            *own = name.into();
        }
        self
    }

    /// Three sums of rows, or of their weights, for each class: those that are right, said to be of it, and of it.
    fn sums(&self) -> impl Iterator<Item = [f64; 3]> {
        let said = |class: usize| self.cells.iter().map(|row| row[class]).sum();
        let rows = self.cells.iter().enumerate();
        rows.map(move |(class, row)| [row[class], said(class), row.iter().sum()])
    }

    /// The rows, or their weights, of each class.
    fn wanted(&self) -> Vec<f64> {
        self.sums().map(|[_, _, wanted]| wanted).collect()
    }

    fn right(&self) -> f64 {
        self.sums().map(|[right, ..]| right).sum()
    }

    fn total(&self) -> f64 {
        self.cells.iter().flatten().sum()
    }

    /// Σ wanted·said of all classes.
    fn by_chance(&self) -> f64 {
        self.sums().map(|[_, said, wanted]| wanted * said).sum()
    }

    /// The share of rows that are right; 0 where none weighs anything.
    pub fn accuracy(&self) -> f64 {
        ratio(self.right(), self.total())
    }

    /// Right rows among those said to be of each class; 0 where none was.
    pub fn precision(&self) -> Vec<f64> {
        let precision = |[right, said, _]: [f64; 3]| ratio(right, said);
        self.sums().map(precision).collect()
    }

    /// Right rows among those of each class; 0 where there is none.
    pub fn recall(&self) -> Vec<f64> {
        let recall = |[right, _, wanted]: [f64; 3]| ratio(right, wanted);
        self.sums().map(recall).collect()
    }

    /// 2·P·R/(P + R) of each class; 0 where both are.
    pub fn f1_score(&self) -> Vec<f64> {
        let f1 = |[right, said, wanted]: [f64; 3]| ratio(2.0 * right, said + wanted);
        self.sums().map(f1).collect()
    }

    /// The mean recall over the classes that occur; 0 where none does.
    pub(super) fn balanced_accuracy(&self) -> f64 {
        let there = self.sums().filter(|[_, _, wanted]| *wanted > 0.0).count();
        ratio(self.recall().iter().sum(), there as f64)
    }

    /// Cohen's κ = (pₒ − pₑ)/(1 − pₑ) of the observed agreement and that of chance (Cohen, 1960); 0 where no row weighs
    /// anything.
    pub(super) fn cohen_kappa(&self) -> f64 {
        let total = self.total();
        let (observed, chance) = (self.accuracy(), ratio(self.by_chance(), total * total));
        (observed - chance) / (1.0 - chance)
    }

    /// Matthews' correlation of two classes or more (Gorodkin, 2004); 0 where all rows are, or are said to be, of one class.
    pub(super) fn matthews_correlation(&self) -> f64 {
        let total = self.total();
        let squares = |of: usize| self.sums().map(|sums| sums[of] * sums[of]).sum::<f64>();
        let covariance = self.right() * total - self.by_chance();
        let (of_said, of_wanted) = (total * total - squares(1), total * total - squares(2));
        ratio(covariance, (of_said * of_wanted).sqrt())
    }

    /// The mean of TP/(TP + FP + FN) over the classes that occur or were said; 0 where none did.
    pub(super) fn mean_iou(&self) -> f64 {
        let (mut sum, mut classes) = (0.0, 0.0);
        for [right, said, wanted] in self.sums() {
            let all = wanted + said - right;
            if all > 0.0 {
                sum += right / all;
                classes += 1.0;
            }
        }
        ratio(sum, classes)
    }

    /// Whether a number that was none came in: then there is no value.
    pub(super) fn is_lost(&self) -> bool {
        self.cells.iter().flatten().any(|cell| cell.is_nan())
    }
}

impl fmt::Display for ConfusionMatrix {
    /// The matrix, wanted classes down and said ones across, and beside each class its precision, recall, F₁ and rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.names.iter().map(|name| name.chars().count()).max();
        let name = name.unwrap_or(0).max("wanted".len());
        let cell = |value: f64| {
            let digits = if value.fract() == 0.0 { 0 } else { 2 };
            format!("{value:.digits$}")
        };
        let cells = self.cells.iter().flatten().map(|&value| cell(value).len());
        let headings = self.names.iter().map(|name| name.chars().count());
        let width = cells.chain(headings).max().unwrap_or(1);
        write!(f, "{:name$}", "wanted")?;
        for said in &self.names {
            write!(f, "  {said:>width$}")?;
        }
        writeln!(f, "  | precision  recall      f1    rows")?;
        let scores = self
            .precision()
            .into_iter()
            .zip(self.recall())
            .zip(self.f1_score());
        let rows = self
            .cells
            .iter()
            .zip(scores)
            .zip(self.wanted())
            .zip(&self.names);
        for (((row, ((precision, recall), f1)), wanted), own) in rows {
            write!(f, "{own:name$}")?;
            for &value in row {
                write!(f, "  {:>width$}", cell(value))?;
            }
            let wanted = cell(wanted);
            writeln!(
                f,
                "  | {precision:>9.4} {recall:>7.4} {f1:>7.4} {wanted:>7}"
            )?;
        }
        write!(
            f,
            "accuracy {:.4}, balanced {:.4}, κ {:.4}",
            self.accuracy(),
            self.balanced_accuracy(),
            self.cohen_kappa()
        )
    }
}
