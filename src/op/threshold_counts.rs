//! Predictions of each column by the thresholds that they exceed, on the sides of right and wrong: what precision, recall,
//! F-scores and areas under curves come from.
//!
//! tally\[slot, column, 0, b\] += Σ w·t and tally\[slot, column, 1, b\] += Σ w·(1 − t) over the rows whose prediction exceeds b
//! of the ascending thresholds. True positives at threshold i are the sum of side 0 over b > i, as Keras counts
//! predictions above a threshold; false positives that of side 1.

use crate::contract::{Case, Entry, Fill, Launch, Shader, Signature, expect_dtype, shader};
use crate::number::Real;
use crate::{DType, TensorType};

use super::tally::{Cells, CountedRows, RowCount, TallyCase, iterations};

const SHADER: Shader = shader!("threshold_counts", "tally", "pair");

pub const ENTRY: Entry = Entry::new("threshold_counts", &[SHADER], cases);

/// Which of a row's numbers are predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Select {
    /// All of them, compared with the thresholds.
    All,
    /// The largest counts as one, the others as zero; equals count all, and none whose size is at most `floor`.
    Largest {
        /// Keras has 1e-9; below 0 the largest always counts.
        floor: f32,
    },
    /// The `k` largest; the others exceed no threshold.
    Top(usize),
}

/// Counts predictions by thresholds, \[n\], ascending, which follow the inputs of all tallies. The tally is
/// \[2·slots, columns·2·(n + 1)\].
///
/// A row with a NaN among what a prediction depends on, or with a label that names no class, makes the lowest bucket NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ThresholdCounts {
    /// Whether predictions are the softmax of y's rows.
    pub softmax: bool,
    /// Which of them count.
    pub select: Select,
    /// The one column that is counted; all of them if none.
    pub column: Option<usize>,
    /// Rows with this label do not count.
    pub ignored: Option<u32>,
}

impl ThresholdCounts {
    /// Columns of `columns` that count.
    fn counted(&self, columns: usize) -> usize {
        self.column.map_or(columns, |_| 1)
    }

    /// Cells for `columns` predictions a row and `thresholds` thresholds.
    pub fn buckets(&self, columns: usize, thresholds: usize) -> usize {
        let counted = self.counted(columns);
        counted.saturating_mul(thresholds.saturating_add(1).saturating_mul(2))
    }

    /// What the predictions of a row have in common.
    #[inline(always)]
    fn row<'a, T: Real>(&self, y: &'a [T]) -> Row<'a, T> {
        let mut row = Row {
            y,
            lost: false,
            largest: T::zero(),
            sum: T::one(),
        };
        if !self.softmax && self.select == Select::All {
            return row;
        }
        row.lost = y.iter().any(|x| x.is_nan());
        row.largest = y.iter().copied().fold(y[0], T::max);
        if self.softmax && !matches!(self.select, Select::Largest { .. }) {
            row.sum = y.iter().map(|&x| (x - row.largest).exp()).sum();
        }
        row
    }

    /// The prediction in column `j` of a row, NaN where it depends on one.
    #[inline(always)]
    fn prediction<T: Real>(&self, row: &Row<'_, T>, j: usize) -> T {
        let (y, x) = (row.y, row.y[j]);
        if row.lost {
            return T::nan();
        }
        match self.select {
            Select::Largest { floor } => {
                let said = x == row.largest && x.abs() > T::constant(f64::from(floor));
                return if said { T::one() } else { T::zero() };
            }
            Select::Top(k) => {
                let before = |&(i, &other): &(usize, &T)| other > x || (other == x && i < j);
                if y.iter().enumerate().filter(before).count() >= k {
                    return T::constant(f64::from(f32::MIN));
                }
            }
            Select::All => {}
        }
        if self.softmax {
            (x - row.largest).exp() / row.sum
        } else {
            x
        }
    }
}

/// What the predictions of a row have in common.
struct Row<'a, T> {
    y: &'a [T],
    /// Whether a number that all depend on is NaN.
    lost: bool,
    largest: T,
    /// The values of the softmax.
    sum: T,
}

/// Weights are not negative, so a cell's terms do not cancel. A softmax may come down on another side of a threshold
/// than the reference's: the cases keep away from that.
impl RowCount for ThresholdCounts {
    const NAME: &'static str = "threshold_counts";
    const KERNEL: (Shader, &'static str) = (SHADER, "count");
    const MORE: bool = true;

    fn cells(
        &self,
        columns: usize,
        _: &TensorType,
        more: Option<&TensorType>,
    ) -> Result<usize, String> {
        let thresholds = match more.map(|kind| (kind, kind.shape.dims())) {
            Some((kind, &[thresholds])) if thresholds > 0 => {
                expect_dtype("the thresholds", kind, DType::F32)?;
                thresholds
            }
            _ => return Err("the last input must be the thresholds, [n]".into()),
        };
        match self.column {
            Some(column) if column >= columns => {
                Err(format!("there is no column {column} among {columns}"))
            }
            _ => Ok(self.buckets(columns, thresholds)),
        }
    }

    fn launch(&self, launch: Launch, signature: &Signature, thresholds: usize) -> (Launch, usize) {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        let (select, top_k, floor) = match self.select {
            Select::All => (0u32, 0, 0.0),
            Select::Largest { floor } => (1, 0, floor),
            Select::Top(k) => (2, k, 0.0),
        };
        let row = if self.softmax || select > 0 {
            2 * columns as u64
        } else {
            0
        };
        let search = u64::from((thresholds as u32).ilog2()) + 2;
        let launch = launch
            .set("SOFTMAX", self.softmax)
            .set("SELECT", select)
            .set("IGNORES", self.ignored.is_some())
            .param("ignored", self.ignored.unwrap_or(0))
            .param("first_column", self.column.unwrap_or(0))
            .param("thresholds", thresholds)
            .param("top_k", top_k)
            .param("floor", floor)
            .iterations(iterations(batch, row + search, 2 * (thresholds + 1)));
        (launch, self.counted(columns))
    }

    #[inline(always)]
    fn add<T: Real>(&self, cells: &mut Cells<'_, T>, rows: CountedRows<'_, T>, thresholds: &[T]) {
        let buckets = thresholds.len() + 1;
        let first = self.column.unwrap_or(0);
        for counted in rows.each() {
            if counted.label.is_some() && counted.label == self.ignored {
                continue;
            }
            let row = self.row(counted.y);
            for c in 0..cells.len() / (2 * buckets) {
                let x = self.prediction(&row, first + c);
                let target = counted.target;
                let share = target.map_or(T::nan(), |target| target.at(first + c));
                let (share, weight) = (share.double(), counted.weight.double());
                let lost = x.is_nan() || share.is_nan() || weight.is_nan();
                let (bucket, lost) = if lost {
                    (0, f64::NAN)
                } else {
                    (thresholds.partition_point(|&t| x > t), 0.0)
                };
                let own = 2 * buckets * c + bucket;
                cells.add(own, share * weight + lost);
                cells.add(own + buckets, (1.0 - share) * weight + lost);
            }
        }
    }
}

/// Thresholds that no draw of the cases meets.
fn spread(thresholds: usize) -> Vec<f32> {
    let step = 1.2 / (thresholds + 1) as f32;
    (1..=thresholds)
        .map(|i| i as f32 * step - 0.1 + 1e-5)
        .collect()
}

fn cases() -> Vec<Case> {
    // Batch, rows that count, columns, thresholds, epoch and slots.
    let settings = [
        (1, 1, 1, 1, 0, 1),
        (1, 0, 1, 1, 1, 2),
        (2, 2, 3, 2, 5, 2),
        (3, 2, 2, 1, 5, 3),
        (17, 17, 1, 200, 8, 3),
        (32, 32, 1, 200, 3, 64),
        (32, 5, 10, 1, 3, 4),
        (33, 33, 10, 3, 7, 4),
        (64, 64, 5, 17, 1, 2),
        (65, 65, 1, 1000, 4_294_967_295, 2),
        (255, 254, 3, 33, 2, 2),
        (257, 257, 2, 200, 2, 2),
        (1000, 1000, 1, 200, 9, 2),
        (1000, 999, 33, 3, 9, 2),
        (1024, 1024, 7, 1, 1, 2),
        (300, 300, 1, 200, 4, 2),
    ];
    let selects = [
        (false, Select::All),
        (true, Select::All),
        (false, Select::Largest { floor: 1e-9 }),
        (false, Select::Top(2)),
        (true, Select::Top(1)),
    ];
    let mut cases = Vec::new();
    for (number, setting) in settings.into_iter().enumerate() {
        let (batch, counted, columns, thresholds, epoch, slots) = setting;
        // Pipelines are what takes time here: two of the four ways to feed it for each setting.
        for turn in [number % 2, 2 + number / 2 % 2] {
            let (softmax, select) = selects[(number + turn) % selects.len()];
            let count = ThresholdCounts {
                softmax,
                select,
                column: ((number + turn) % 3 == 0).then_some(columns - 1),
                // A label that names no class, or one that does.
                ignored: (number % 4 == 0).then_some(columns as u32 / 2 + columns as u32 % 2),
            };
            // Few values of a softmax are near a threshold: one that none of them comes to within rounding.
            let (y, at) = if softmax {
                (Fill::Uniform(-3.0, 3.0), vec![0.999_999; thresholds])
            } else {
                (Fill::Uniform(0.0, 1.0), spread(thresholds))
            };
            let trial = TallyCase::new((batch, counted), (epoch, slots), turn);
            let (rows, whole) = (trial.rows(), trial.is_whole() && count.column.is_none());
            let case = trial.case(count, count.buckets(columns, thresholds), |case| {
                let case = case.constant(&[batch, columns], y).nan_if(whole);
                if number % 2 == 0 {
                    let labels = columns as u32 + u32::from(number == 4);
                    case.words(&[rows], Fill::Below(labels))
                } else {
                    case.constant(&[rows, columns], Fill::Binary)
                }
            });
            cases.push(case.constant(&[thresholds], Fill::Values(at)));
        }
    }
    cases
}
