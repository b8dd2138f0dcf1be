//! The numbers of an epoch as the device counted them.

use super::ConfusionMatrix;

/// What a metric's value is computed from: see [`Metric::values`](super::Metric::values).
#[derive(Debug, Clone, PartialEq)]
pub enum Tally {
    /// A mean of rows.
    Mean {
        /// Σ w·m of the rows' numbers.
        sum: f64,
        /// Σ w.
        weight: f64,
    },
    /// Predictions by thresholds.
    Thresholds(ThresholdTally),
    /// What was said against what was wanted.
    Confusion(ConfusionMatrix),
    /// Moments of each output column.
    Moments(Vec<ColumnMoments>),
}

/// Predictions of each column by how many of the ascending thresholds they exceed, on the sides of right and wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdTally {
    thresholds: usize,
    /// For each column: Σ w·t of every bucket, then Σ w·(1 − t).
    cells: Vec<f64>,
}

/// The four counts at one threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Counts {
    pub tp: f64,
    pub fp: f64,
    pub tn: f64,
    pub fn_: f64,
}

impl ThresholdTally {
    /// From the cells of [`op::ThresholdCounts`](crate::op::ThresholdCounts).
    pub fn new(thresholds: usize, cells: Vec<f64>) -> Self {
        ThresholdTally { thresholds, cells }
    }

    /// Output columns.
    pub fn columns(&self) -> usize {
        self.cells.len() / (2 * (self.thresholds + 1))
    }

    /// Whether a number that was none came in: then there is no value.
    pub(super) fn is_lost(&self) -> bool {
        self.cells.iter().any(|cell| cell.is_nan())
    }

    /// The counts of a column at every threshold, ascending.
    pub(super) fn column(&self, column: usize) -> Vec<Counts> {
        let size = self.thresholds + 1;
        let own = &self.cells[column * 2 * size..][..2 * size];
        let (yes, no) = own.split_at(size);
        let (all_yes, all_no): (f64, f64) = (yes.iter().sum(), no.iter().sum());
        // From the highest threshold down.
        let (mut tp, mut fp) = (0.0, 0.0);
        let mut counts: Vec<Counts> = (1..size)
            .rev()
            .map(|bucket| {
                tp += yes[bucket];
                fp += no[bucket];
                Counts {
                    tp,
                    fp,
                    tn: all_no - fp,
                    fn_: all_yes - tp,
                }
            })
            .collect();
        counts.reverse();
        counts
    }

    /// The counts of all columns together.
    pub(super) fn all(&self) -> Vec<Counts> {
        let mut sums = vec![Counts::default(); self.thresholds];
        for column in 0..self.columns() {
            for (sum, own) in sums.iter_mut().zip(self.column(column)) {
                sum.tp += own.tp;
                sum.fp += own.fp;
                sum.tn += own.tn;
                sum.fn_ += own.fn_;
            }
        }
        sums
    }
}

impl Counts {
    pub fn precision(self) -> f64 {
        ratio(self.tp, self.tp + self.fp)
    }

    pub fn recall(self) -> f64 {
        ratio(self.tp, self.tp + self.fn_)
    }

    pub fn specificity(self) -> f64 {
        ratio(self.tn, self.tn + self.fp)
    }
}

/// a/b, and 0 for b = 0.
pub(super) fn ratio(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}

/// Moments of a column's targets y* and errors e = y − y*, with d = y* − K about a number K near the targets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColumnMoments {
    /// Σ w.
    pub weight: f64,
    /// Σ w·d.
    pub d: f64,
    /// Σ w·d².
    pub dd: f64,
    /// Σ w·e.
    pub e: f64,
    /// Σ w·e².
    pub ee: f64,
    /// Rows.
    pub rows: f64,
}

impl ColumnMoments {
    /// From the cells of [`op::Moments`](crate::op::Moments).
    pub(super) fn read(cells: &[f64]) -> Vec<Self> {
        let column = |cells: &[f64]| ColumnMoments {
            weight: cells[0],
            d: cells[2],
            dd: cells[3],
            e: cells[4],
            ee: cells[5],
            rows: cells[7],
        };
        cells.chunks_exact(crate::op::MOMENTS).map(column).collect()
    }

    /// Σ w·(y* − ȳ*)².
    pub(super) fn spread(&self) -> f64 {
        self.dd - self.d * self.d / self.weight
    }

    /// Σ w·(e − ē)².
    pub(super) fn error_spread(&self) -> f64 {
        self.ee - self.e * self.e / self.weight
    }
}
