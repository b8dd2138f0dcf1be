//! What the tallies of an epoch share: their place by the clock, the rows that count, targets and weights.
//!
//! A tally is a variable `[2·slots, cells]` that one call a step adds to: pairs of numbers, see `cells`. The slot is that of the
//! epoch, epoch mod slots, and the first batch of an epoch begins it anew, so that nothing comes from the host between epochs
//! and several epochs may lie in one submission.

mod cells;
mod trial;

use std::fmt;

use crate::contract::{
    Binding, Compute, Io, Launch, Launches, Op, Sample, Shader, Signature, expect_dtype,
};
use crate::number::{Real, UNIT};
use crate::op::shape::rows::{RowTarget, TargetRows, dense, sparse};
use crate::target::Target;
use crate::{DType, TensorType};

use super::cursor::{EPOCH, OFFSET, ROWS, WORDS};

pub(crate) use cells::{CELL_BYTES, Cells, read_cells};
pub(super) use trial::TallyCase;

/// Where a tally's rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Feed {
    /// Whether rows of the target are chosen by the batch's row numbers.
    pub gather: bool,
    /// Whether rows have weights; else each weighs one.
    pub weighted: bool,
    /// Rows of y that each row of the batch has: the positions of an output of several; at least 1.
    pub each: usize,
}

/// What a tally counts of each row.
pub(crate) trait RowCount: Copy + fmt::Debug + Send + Sync + 'static {
    const NAME: &'static str;
    /// The kernel and its entry.
    const KERNEL: (Shader, &'static str);
    /// Whether numbers follow the inputs that all tallies have.
    const MORE: bool = false;

    /// The cells of an epoch for y's columns and the types of the targets and of what follows them.
    fn cells(
        &self,
        columns: usize,
        t: &TensorType,
        more: Option<&TensorType>,
    ) -> Result<usize, String>;

    /// Sets overrides, params and iterations of a dispatch, for as many numbers as follow; the number of workgroups too.
    fn launch(&self, launch: Launch, signature: &Signature, more: usize) -> (Launch, usize);

    /// Adds rows to the epoch's cells.
    fn add<T: Real>(&self, cells: &mut Cells<'_, T>, rows: CountedRows<'_, T>, more: &[T]);

    /// How far a device may be from the cells in the end, but for the rounding of either number of a pair: the rounding of each
    /// row's share, for sums of what is not negative.
    fn errors(
        &self,
        rows: CountedRows<'_, f64>,
        before: Option<&[f64]>,
        after: &[f64],
    ) -> Vec<f64> {
        let _unused = (rows, before);
        after.iter().map(|cell| 4.0 * UNIT * cell.abs()).collect()
    }
}

/// Adds a batch to a tally, in place; no output. Inputs: tally; cursor; y \[batch, columns\]; t, shaped as y, or labels
/// u32 \[batch\]; with `gather` the batch's row numbers u32 \[batch\], by which rows of t and of the weights are chosen from
/// a data set; with `weighted` the weights, one a row of t; then what a [`RowCount`] needs more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tallied<C> {
    pub feed: Feed,
    pub count: C,
}

/// The rows that a step counts, on the processor.
#[derive(Clone, Copy)]
pub(crate) struct CountedRows<'a, T> {
    y: &'a [T],
    columns: usize,
    targets: TargetRows<'a, T>,
    last: usize,
    indices: Option<&'a [u32]>,
    weights: Option<&'a [T]>,
    pub rows: usize,
}

/// What is known of a row that counts.
pub(crate) struct CountedRow<'a, T> {
    pub y: &'a [T],
    /// None where its label names no column.
    pub target: Option<RowTarget<'a, T>>,
    pub label: Option<u32>,
    pub weight: T,
}

impl Feed {
    /// Inputs before those of a single count.
    fn inputs(self) -> usize {
        self.weights() + usize::from(self.weighted)
    }

    /// The input that holds the weights.
    fn weights(self) -> usize {
        4 + usize::from(self.gather)
    }

    /// Checks all inputs but the tally, and returns y's columns.
    fn check(self, inputs: &[TensorType]) -> Result<usize, String> {
        let (cursor, y, t) = (&inputs[1], &inputs[2], &inputs[3]);
        if *cursor != TensorType::u32([WORDS]) {
            return Err(format!("the cursor must be [{WORDS}] u32, got {cursor}"));
        }
        let &[batch, columns] = y.shape.dims() else {
            return Err(format!("y must be [batch, columns], got {y}"));
        };
        if self.each == 0 || !batch.is_multiple_of(self.each) || (self.gather && self.each > 1) {
            let each = self.each;
            return Err(format!("y {y} is no {each} rows for each of a batch"));
        }
        let mut rows = batch;
        if self.gather {
            rows = t.shape.dims().first().copied().unwrap_or(0);
            if rows == 0 || inputs[4] != TensorType::u32([batch]) {
                return Err(format!("rows {} of targets {t} for y {y}", inputs[4]));
            }
        }
        let all = TensorType::f32([rows, columns]);
        match t.dtype {
            DType::F32 | DType::F16 | DType::U8 => dense(&all, t)?,
            DType::U32 => sparse(&all, t)?,
        };
        if self.weighted && inputs[self.weights()] != TensorType::f32([rows]) {
            let weights = &inputs[self.weights()];
            return Err(format!("the weights must be [{rows}], got {weights}"));
        }
        Ok(columns)
    }

    /// Rows of y that count, of a step with this cursor.
    fn rows(self, cursor: &[u32], batch: usize) -> usize {
        (cursor[ROWS] as usize).saturating_mul(self.each).min(batch)
    }
}

impl<C: RowCount> Op for Tallied<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = self.feed.inputs() + usize::from(C::MORE);
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, got {}", inputs.len()));
        }
        let tally = &inputs[0];
        expect_dtype("the tally", tally, DType::F32)?;
        let columns = self.feed.check(inputs)?;
        let more = inputs.get(self.feed.inputs());
        let cells = self.count.cells(columns, &inputs[3], more)?;
        let fits = |rows: usize| rows > 0 && rows.is_multiple_of(2);
        if !matches!(tally.shape.dims(), &[rows, own] if fits(rows) && own == cells) {
            return Err(format!(
                "the tally must be [2·slots, {cells}], at least one slot, got {tally}"
            ));
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    /// An epoch's slot, and what the batch reads of a data set.
    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        match input {
            0 => 2 * signature.inputs[0].shape.dims()[1] as u64,
            3 if signature.inputs[3].dtype == DType::F32 => (batch * columns) as u64,
            3 => batch as u64,
            _ if self.feed.weighted && input == self.feed.weights() => batch as u64,
            _ => signature.inputs[input].elements(),
        }
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let feed = self.feed;
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        let (tally, t) = (signature.inputs[0].shape.dims(), &signature.inputs[3]);
        // Bound where there is nothing to read, and never read.
        let or = |there: bool, input: usize, instead: usize| if there { input } else { instead };
        let (shader, entry) = C::KERNEL;
        let launch = Launch::new(shader, entry)
            .set("WORKGROUP", workgroup(batch))
            .set("SPARSE", t.dtype == DType::U32)
            .set("GATHER", feed.gather)
            .set("WEIGHTED", feed.weighted)
            .param("batch", batch)
            .param("columns", columns)
            .param("slots", tally[0] / 2)
            .param("cells", tally[1])
            .param("last", t.shape.dims()[0] - 1)
            .param("each", feed.each)
            .flops((batch * columns) as u64);
        let more = signature.inputs.get(feed.inputs());
        let numbers = more.map_or(0, |more| more.elements() as usize);
        let (launch, groups) = self.count.launch(launch, signature, numbers);
        let indices = or(feed.gather, 4, 1);
        let weights = or(feed.weighted, feed.weights(), 2);
        let inputs = [1, 2, 3, indices, weights].into_iter();
        let inputs = inputs.chain(more.map(|_| feed.inputs())).chain([0]);
        let launch = inputs.map(Binding::Input).fold(launch, Launch::bind);
        let groups = u32::try_from(groups).unwrap_or(u32::MAX);
        Ok(launch.grid([groups, 1, 1]).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let words = |input: usize| -> Vec<u32> {
            let words = sample.inputs[input].iter();
            words.map(|&word| word as u32).collect()
        };
        let inputs = &sample.signature.inputs;
        let (batch, columns) = inputs[2].shape.rows_and_columns();
        let (cursor, labels) = (words(1), words(3));
        let indices = self.feed.gather.then(|| words(4));
        let rows = CountedRows {
            y: &sample.inputs[2],
            columns,
            targets: match inputs[3].dtype {
                DType::U32 => TargetRows::Sparse(&labels),
                _ => TargetRows::Dense(&sample.inputs[3]),
            },
            last: inputs[3].shape.dims()[0] - 1,
            indices: indices.as_deref(),
            weights: self
                .feed
                .weighted
                .then(|| &sample.inputs[self.feed.weights()][..]),
            rows: self.feed.rows(&cursor, batch),
        };
        let own = home(&cursor, inputs[0].shape.dims());
        let sums = |tally: &[f64]| -> Vec<f64> {
            let (high, low) = tally.split_at(tally.len() / 2);
            let pairs = high[own.clone()].iter().zip(&low[own.clone()]);
            pairs.map(|(&high, &low)| cells::sum(high, low)).collect()
        };
        let before = (!begins_epoch(&cursor)).then(|| sums(&sample.inputs[0]));
        let after = sums(&sample.results[0]);
        let errors = self.count.errors(rows, before.as_deref(), &after);
        let mut bound = vec![0.0; sample.results[0].len()];
        let half = bound.len() / 2;
        for (i, (error, cell)) in errors.into_iter().zip(after).enumerate() {
            // Either number of a pair is off by the rounding of the first.
            let error = error + 2.0 * UNIT * cell.abs() + 1e-37;
            bound[own.start + i] = error;
            // Beside a NaN the second is 0.
            bound[half + own.start + i] = if error.is_nan() { 0.0 } else { error };
        }
        vec![bound]
    }
}

impl<C: RowCount> Compute for Tallied<C> {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (feed, cursor) = (self.feed, io.words(1));
        let (batch, columns) = io.matrix(2);
        let rows = CountedRows {
            y: io.input(2),
            columns,
            targets: TargetRows::of(io, 3),
            last: io.dims(3)[0] - 1,
            indices: feed.gather.then(|| io.words(4)),
            weights: feed.weighted.then(|| io.input(feed.weights())),
            rows: feed.rows(cursor, batch),
        };
        let more = if C::MORE {
            io.input(feed.inputs())
        } else {
            &[]
        };
        let own = home(cursor, io.dims(0));
        let mut cells = Cells::new(io.output(0), own);
        if begins_epoch(cursor) {
            cells.clear();
        }
        self.count.add(&mut cells, rows, more);
    }
}

impl<'a, T: Real> CountedRows<'a, T> {
    /// Columns of y.
    pub fn columns(self) -> usize {
        self.columns
    }

    /// Whether rows have weights of their own.
    pub fn is_weighted(self) -> bool {
        self.weights.is_some()
    }

    #[inline(always)]
    pub fn each(self) -> impl Iterator<Item = CountedRow<'a, T>> {
        (0..self.rows).map(move |r| {
            let row = match self.indices {
                Some(indices) => (indices[r] as usize).min(self.last),
                None => r,
            };
            CountedRow {
                y: &self.y[r * self.columns..(r + 1) * self.columns],
                target: self.targets.row(row, self.columns),
                label: match self.targets {
                    TargetRows::Sparse(labels) => Some(labels[row]),
                    TargetRows::Dense(_) => None,
                },
                weight: self.weights.map_or(T::one(), |weights| weights[row]),
            }
        })
    }
}

/// Invocations of a workgroup, each of which takes a row at a time.
pub(super) fn workgroup(batch: usize) -> u32 {
    if batch <= 64 { 64 } else { 256 }
}

/// Loop iterations of an invocation that takes `row` for each of its rows and looks at all rows beside it, and clears its
/// share of `cells`.
pub(super) fn iterations(batch: usize, row: u64, cells: usize) -> u64 {
    let workgroup = u64::from(workgroup(batch));
    let chunks = (batch as u64).div_ceil(workgroup);
    chunks * (row + workgroup.min(batch as u64) + 1) + (cells as u64).div_ceil(workgroup)
}

/// The cells of the epoch's slot in either half of a tally `[2·slots, cells]`.
fn home(cursor: &[u32], tally: &[usize]) -> std::ops::Range<usize> {
    let start = cursor[EPOCH] as usize % (tally[0] / 2) * tally[1];
    start..start + tally[1]
}

/// Whether the batch is the first of its epoch.
fn begins_epoch(cursor: &[u32]) -> bool {
    cursor[OFFSET] == 0
}

/// Slots of a tally of `cells` cells: as many as some 512 KiB hold, between 2 and 64. A submission may touch as many epochs.
pub(crate) fn slots(cells: usize) -> usize {
    (65_536 / cells.max(1)).clamp(2, 64)
}
