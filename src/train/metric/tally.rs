//! The numbers of an epoch as the device counted them.

use crate::{Error, Result};

use super::ConfusionMatrix;

/// What a metric's value is computed from: see [`MetricFunction::values`](super::MetricFunction::values).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
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

impl Tally {
    /// The mean of a number for each row, and as in Keras 0 where no row weighs anything.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a tally of another kind.
    pub fn mean(&self) -> Result<f64> {
        match self {
            Tally::Mean { sum, weight } if sum.is_nan() => Ok(sum / weight),
            Tally::Mean { sum, weight } => Ok(ratio(*sum, *weight)),
            _ => self.other("a mean of rows"),
        }
    }

    /// Predictions by thresholds.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a tally of another kind.
    pub fn thresholds(&self) -> Result<&ThresholdTally> {
        match self {
            Tally::Thresholds(tally) => Ok(tally),
            _ => self.other("counts by thresholds"),
        }
    }

    /// What was said against what was wanted.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a tally of another kind.
    pub fn confusion(&self) -> Result<&ConfusionMatrix> {
        match self {
            Tally::Confusion(matrix) => Ok(matrix),
            _ => self.other("a confusion matrix"),
        }
    }

    /// Moments of each output column.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a tally of another kind.
    pub fn moments(&self) -> Result<&[ColumnMoments]> {
        match self {
            Tally::Moments(columns) => Ok(columns),
            _ => self.other("moments of columns"),
        }
    }

    fn other<T>(&self, wanted: &str) -> Result<T> {
        let message = format!("must be {wanted}, got {self:?}");
        Err(Error::argument("tally", message))
    }

    /// Whether a number that was none came in among counts: then there is no value.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Tally::Thresholds(tally) => tally.is_lost,
            Tally::Confusion(matrix) => matrix.is_lost(),
            Tally::Mean { .. } | Tally::Moments(_) => false,
        }
    }
}

/// Right and wrong answers above each of some thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdTally {
    /// The outcomes of each output column at every threshold, ascending.
    pub columns: Vec<Vec<Outcomes>>,
    /// Whether a number that was none came in.
    is_lost: bool,
}

/// Right and wrong answers at one threshold, or their weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outcomes {
    /// Positives that were found.
    pub tp: f64,
    /// Negatives that were taken for positive.
    pub fp: f64,
    /// Negatives that were left alone.
    pub tn: f64,
    /// Positives that were missed.
    pub fn_: f64,
}

impl ThresholdTally {
    /// From the cells of `op::ThresholdCounts`.
    pub(super) fn new(thresholds: usize, cells: &[f64]) -> Self {
        let columns = cells.chunks_exact(2 * (thresholds + 1));
        ThresholdTally {
            columns: columns.map(Self::column).collect(),
            is_lost: cells.iter().any(|cell| cell.is_nan()),
        }
    }

    /// From a column's Σ w·t of predictions by how many of the thresholds they exceed, then Σ w·(1 − t).
    fn column(cells: &[f64]) -> Vec<Outcomes> {
        let size = cells.len() / 2;
        let (yes, no) = cells.split_at(size);
        let (all_yes, all_no): (f64, f64) = (yes.iter().sum(), no.iter().sum());
        // From the highest threshold down.
        let (mut tp, mut fp) = (0.0, 0.0);
        let mut counts: Vec<Outcomes> = (1..size)
            .rev()
            .map(|bucket| {
                tp += yes[bucket];
                fp += no[bucket];
                Outcomes {
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

    /// The outcomes of all columns together at every threshold, ascending.
    pub fn all(&self) -> Vec<Outcomes> {
        let mut sums = vec![Outcomes::default(); self.columns.first().map_or(0, Vec::len)];
        for column in &self.columns {
            for (sum, own) in sums.iter_mut().zip(column) {
                sum.tp += own.tp;
                sum.fp += own.fp;
                sum.tn += own.tn;
                sum.fn_ += own.fn_;
            }
        }
        sums
    }
}

impl Outcomes {
    /// TP/(TP + FP); 0 where there is no positive answer.
    pub fn precision(self) -> f64 {
        ratio(self.tp, self.tp + self.fp)
    }

    /// TP/(TP + FN); 0 where there are no positives.
    pub fn recall(self) -> f64 {
        ratio(self.tp, self.tp + self.fn_)
    }

    /// TN/(TN + FP); 0 where there are no negatives.
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
    /// Σ w·(e − ē)², of which sums about 0 keep nothing where the errors are large beside it.
    error_spread: f64,
}

impl ColumnMoments {
    /// From the cells of `op::Moments`, whose errors are counted from L: f = e − L.
    pub(super) fn read(cells: &[f64]) -> Vec<Self> {
        let (columns, _) = cells.as_chunks::<{ crate::op::MOMENTS }>();
        let column = |&[weight, _, d, dd, f, ff, l, rows]: &[f64; crate::op::MOMENTS]| {
            let beyond = if ff.is_finite() {
                l * (2.0 * f + l * weight)
            } else {
                0.0
            };
            // Squares of errors that are below the numbers of the device are nothing beside those of targets that are not small.
            let tells = about_mean(weight, d, dd) >= SMALL * weight;
            let error_spread = if tells && ff == 0.0 {
                0.0
            } else {
                about_mean(weight, f, ff)
            };
            ColumnMoments {
                weight,
                d,
                dd,
                e: f + l * weight,
                ee: ff + beyond,
                rows,
                error_spread,
            }
        };
        columns.iter().map(column).collect()
    }

    /// Σ w·(y* − ȳ*)².
    pub(super) fn spread(&self) -> f64 {
        about_mean(self.weight, self.d, self.dd)
    }

    /// Σ w·e², and NaN where the squares are below the numbers of the device and those of the targets are small too.
    pub(super) fn squared_errors(&self) -> f64 {
        if self.ee != 0.0 || self.e == 0.0 {
            return self.ee;
        }
        let spread = self.spread();
        if 0.0 < spread && spread < SMALL * self.weight {
            f64::NAN
        } else {
            // More than nothing.
            f64::MIN_POSITIVE
        }
    }

    /// Σ w·(e − ē)².
    pub(super) fn error_spread(&self) -> f64 {
        self.error_spread
    }
}

/// The variance beside which squares that f32 has as 0 are nothing.
const SMALL: f64 = 1e-30;

/// Σ w·(x − x̄)² by Σ w, Σ w·x and Σ w·x². What is left of squares that cancel but for the rounding of their sums is 0.
/// NaN where the squares are beyond the numbers of the device, or below them.
fn about_mean(weight: f64, sum: f64, squares: f64) -> f64 {
    if squares.is_infinite() || (squares == 0.0 && sum != 0.0) {
        return f64::NAN;
    }
    let spread = squares - sum * sum / weight;
    if spread < 1e-12 * squares {
        0.0
    } else {
        spread
    }
}
