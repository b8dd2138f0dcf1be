//! Predictions of each column by the thresholds that they exceed, on the sides of right and wrong: what precision, recall,
//! F-scores and areas under curves come from.
//!
//! tally\[slot, column, 0, b\] += Σ w·t and tally\[slot, column, 1, b\] += Σ w·(1 − t) over the rows whose prediction exceeds b
//! of the ascending thresholds. True positives at threshold i are the sum of side 0 over b > i, as Keras counts
//! predictions above a threshold; false positives that of side 1.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, expect_dtype,
    shader,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, TensorType};

use super::tally::{Feed, begins_epoch, cursor, home, iterations};

const SHADER: Shader = shader!("threshold_counts", "tally");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "threshold_counts",
    shaders: &[SHADER],
    cases,
};

/// Which of a row's numbers are predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Select {
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

/// Counts predictions by thresholds. Inputs: those of [`Feed`], then the thresholds, ascending, \[n\]. The tally is
/// \[slots, columns·2·(n + 1)\], updated in place. No output.
///
/// A row with a NaN among what a prediction depends on, or with a label that names no class, makes the lowest bucket NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdCounts {
    /// Targets and weights.
    pub feed: Feed,
    /// Whether predictions are the softmax of y's rows.
    pub softmax: bool,
    /// Which of them count.
    pub select: Select,
    /// The one column that is counted; all of them if none.
    pub column: Option<usize>,
}

impl ThresholdCounts {
    /// Cells for `columns` predictions a row and `thresholds` thresholds.
    pub fn cells(&self, columns: usize, thresholds: usize) -> usize {
        self.column.map_or(columns, |_| 1) * 2 * (thresholds + 1)
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
        match self.softmax {
            true => (x - row.largest).exp() / row.sum,
            false => x,
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

impl Op for ThresholdCounts {
    fn name(&self) -> &'static str {
        "threshold_counts"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let given = inputs.get(self.feed.inputs());
        let thresholds = match given.map(|kind| (kind, kind.shape.dims())) {
            Some((kind, &[thresholds])) if thresholds > 0 => {
                expect_dtype("the thresholds", kind, DType::F32)?;
                thresholds
            }
            _ => return Err("the last input must be the thresholds, [n]".into()),
        };
        self.feed.check(inputs, 1, |columns| match self.column {
            Some(column) if column >= columns => {
                Err(format!("there is no column {column} among {columns}"))
            }
            _ => Ok(self.cells(columns, thresholds)),
        })?;
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        self.feed.touched(signature, input)
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        let thresholds = signature.inputs[self.feed.inputs()].elements() as usize;
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
        let groups = self.column.map_or(columns, |_| 1);
        Ok(self
            .feed
            .launch(SHADER, "count", signature, groups)
            .set("SOFTMAX", self.softmax)
            .set("SELECT", select)
            .param("first_column", self.column.unwrap_or(0))
            .param("thresholds", thresholds)
            .param("top_k", top_k)
            .param("floor", floor)
            .bind(Binding::Input(self.feed.inputs()))
            .bind(Binding::Input(0))
            .iterations(iterations(batch, row + search, 2 * (thresholds + 1)))
            .into())
    }

    /// Weights are not negative, so a cell's terms do not cancel. A softmax may come down on another side of a threshold
    /// than the reference's: the cases keep away from that.
    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        self.feed.bound(sample)
    }
}

impl Compute for ThresholdCounts {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (cursor, thresholds) = (io.words(1), io.input(self.feed.inputs()));
        let own = home(cursor, io.dims(0));
        let rows = self.feed.counted(io).rows();
        let tally = &mut io.output(0)[own];
        if begins_epoch(cursor) {
            tally.fill(T::zero());
        }
        let buckets = thresholds.len() + 1;
        for (y, target, weight) in rows {
            let row = self.row(y);
            let first = self.column.unwrap_or(0);
            for (c, cells) in tally.chunks_exact_mut(2 * buckets).enumerate() {
                let x = self.prediction(&row, first + c);
                let share = target.map_or(T::nan(), |target| target.at(first + c));
                let lost = x.is_nan() || share.is_nan() || weight.is_nan();
                let bucket = if lost {
                    0
                } else {
                    thresholds.partition_point(|&t| x > t)
                };
                let lost = if lost { T::nan() } else { T::zero() };
                cells[bucket] += share * weight + lost;
                cells[buckets + bucket] += (T::one() - share) * weight + lost;
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
    for (number, (batch, counted, columns, thresholds, epoch, slots)) in
        settings.into_iter().enumerate()
    {
        // Pipelines are what takes time here: two of the four ways to feed it for each setting.
        for turn in [number % 2, 2 + number / 2 % 2] {
            let (softmax, select) = selects[(number + turn) % selects.len()];
            let feed = Feed {
                gather: turn % 2 == 1,
                weighted: turn > 1,
                each: if turn == 2 && batch % 3 == 0 { 3 } else { 1 },
            };
            let op = ThresholdCounts {
                feed,
                softmax,
                select,
                column: ((number + turn) % 3 == 0).then_some(columns - 1),
            };
            let rows = if feed.gather { batch + 3 } else { batch };
            let labels = number % 2 == 0;
            // Few values of a softmax are near a threshold: one that none of them comes to within rounding.
            let (y, at) = match softmax {
                true => (Fill::Uniform(-3.0, 3.0), vec![0.999_999; thresholds]),
                false => (Fill::Uniform(0.0, 1.0), spread(thresholds)),
            };
            let full = counted == batch && turn == 0;
            let case = Case::new(op)
                .constant(
                    &[slots, op.cells(columns, thresholds)],
                    Fill::Uniform(0.0, 5.0),
                )
                .words(
                    &[8],
                    Fill::Words(cursor(counted / feed.each, turn % 3 == 0, epoch)),
                );
            let case = if full && op.column.is_none() {
                case.input(&[batch, columns], y).without_gradient()
            } else {
                case.constant(&[batch, columns], y)
            };
            let case = match labels {
                true => case.words(
                    &[rows],
                    Fill::Below(columns as u32 + u32::from(number == 4)),
                ),
                false => case.constant(&[rows, columns], Fill::Binary),
            };
            let case = match feed.gather {
                true => case.words(&[batch], Fill::Below(rows as u32 + 2)),
                false => case,
            };
            let case = match feed.weighted {
                true => case.constant(&[rows], Fill::Uniform(0.0, 2.0)),
                false => case,
            };
            cases.push(case.constant(&[thresholds], Fill::Values(at)));
        }
    }
    cases
}
