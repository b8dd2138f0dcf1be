//! What the tallies of an epoch share: their place by the clock, the rows that count, targets and weights.
//!
//! A tally is a variable `[slots, cells]` that one call a step adds to. The slot is that of the epoch, epoch mod slots, and
//! the first batch of an epoch begins it anew, so that nothing comes from the host between epochs and several epochs may
//! lie in one submission.

use crate::contract::{Binding, Io, Launch, Sample, Shader, Signature, expect_dtype};
use crate::number::Real;
use crate::op::shape::rows::{RowTarget, TargetRows, dense, sparse};
use crate::{DType, TensorType};

use super::cursor::{EPOCH, OFFSET, ROWS, WORDS};

/// What a tally reads beside predictions and targets. Inputs: tally; cursor; y \[batch, columns\]; t, shaped as y, or labels
/// u32 \[batch\]; with `gather` the batch's row numbers u32 \[batch\], by which rows of t and of the weights are chosen from a
/// data set; with `weighted` the weights, one a row of t.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// Whether rows of the target are chosen by the batch's row numbers.
    pub gather: bool,
    /// Whether rows have weights; else each weighs one.
    pub weighted: bool,
    /// Rows of y that each row of the batch has: the positions of an output of several; at least 1.
    pub each: usize,
}

impl Default for Feed {
    fn default() -> Self {
        Feed {
            gather: false,
            weighted: false,
            each: 1,
        }
    }
}

/// The rows that a step counts, on the processor.
#[derive(Clone, Copy)]
pub(super) struct CountedRows<'a, T> {
    y: &'a [T],
    columns: usize,
    targets: TargetRows<'a, T>,
    last: usize,
    indices: Option<&'a [u32]>,
    weights: Option<&'a [T]>,
    rows: usize,
}

impl Feed {
    /// Inputs before those of a single op.
    pub(super) fn inputs(self) -> usize {
        4 + usize::from(self.gather) + usize::from(self.weighted)
    }

    fn weights(self) -> usize {
        4 + usize::from(self.gather)
    }

    /// Checks the inputs of a tally of `cells` cells for y's columns.
    pub(super) fn check(
        self,
        inputs: &[TensorType],
        more: usize,
        cells: impl Fn(usize) -> Result<usize, String>,
    ) -> Result<(), String> {
        let wanted = self.inputs() + more;
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, got {}", inputs.len()));
        }
        let (tally, cursor, y, t) = (&inputs[0], &inputs[1], &inputs[2], &inputs[3]);
        expect_dtype("the tally", tally, DType::F32)?;
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
        let cells = cells(columns)?;
        if !matches!(tally.shape.dims(), &[slots, own] if slots > 0 && own == cells) {
            return Err(format!(
                "the tally must be [slots, {cells}], at least one slot, got {tally}"
            ));
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
            return Err(format!(
                "the weights must be [{rows}], got {}",
                inputs[self.weights()]
            ));
        }
        Ok(())
    }

    /// A dispatch of the given number of workgroups with the params and bindings that all tallies have.
    pub(super) fn launch(
        self,
        shader: Shader,
        entry: &'static str,
        signature: &Signature,
        groups: usize,
    ) -> Launch {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        let tally = signature.inputs[0].shape.dims();
        let t = &signature.inputs[3];
        // Bound where there is nothing to read, and never read.
        let nothing = |there: bool, input: usize, instead: usize| {
            Binding::Input(if there { input } else { instead })
        };
        Launch::new(shader, entry)
            .set("WORKGROUP", workgroup(batch))
            .set("SPARSE", t.dtype == DType::U32)
            .set("GATHER", self.gather)
            .set("WEIGHTED", self.weighted)
            .param("batch", batch)
            .param("columns", columns)
            .param("slots", tally[0])
            .param("cells", tally[1])
            .param("last", t.shape.dims()[0] - 1)
            .param("each", self.each)
            .bind(Binding::Input(1))
            .bind(Binding::Input(2))
            .bind(Binding::Input(3))
            .bind(nothing(self.gather, 4, 1))
            .bind(nothing(self.weighted, self.weights(), 2))
            .grid([u32::try_from(groups).unwrap_or(u32::MAX), 1, 1])
            .flops((batch * columns) as u64)
    }

    /// Elements that a step touches: an epoch's slot, and what the batch reads of a data set.
    pub(super) fn touched(self, signature: &Signature, input: usize) -> u64 {
        let (batch, columns) = signature.inputs[2].shape.rows_and_columns();
        match input {
            0 => signature.inputs[0].shape.dims()[1] as u64,
            3 if signature.inputs[3].dtype == DType::F32 => (batch * columns) as u64,
            3 => batch as u64,
            _ if self.weighted && input == self.weights() => batch as u64,
            _ => signature.inputs[input].elements(),
        }
    }

    /// The rows of the step at hand.
    #[inline(always)]
    pub(super) fn counted<'a, T: Real>(self, io: &Io<'a, T>) -> CountedRows<'a, T> {
        let (batch, columns) = io.matrix(2);
        CountedRows {
            y: io.input(2),
            columns,
            targets: TargetRows::of(io, 3),
            last: io.dims(3)[0] - 1,
            indices: self.gather.then(|| io.words(4)),
            weights: self.weighted.then(|| io.input(self.weights())),
            rows: self.rows(io.words(1)[ROWS] as usize).min(batch),
        }
    }

    /// Rows of y that belong to the given number of rows of the batch.
    pub(super) fn rows(self, rows: usize) -> usize {
        rows.saturating_mul(self.each)
    }

    /// γ of the rows that a step adds to a cell, on what the cell holds in the end; for sums of what is not negative.
    pub(super) fn bound(self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let tally = sample.signature.inputs[0].shape.dims();
        let own = home(
            &sample.inputs[1]
                .iter()
                .map(|&word| word as u32)
                .collect::<Vec<_>>(),
            tally,
        );
        let rows = self.rows(sample.inputs[1][ROWS] as usize);
        let mut bound = vec![0.0; sample.results[0].len()];
        for (bound, value) in bound[own.clone()].iter_mut().zip(&sample.results[0][own]) {
            *bound = Sample::gamma(rows + 2) * value.abs() + 1e-37;
        }
        vec![bound]
    }
}

impl<'a, T: Real> CountedRows<'a, T> {
    /// What is known of each row that counts: predictions, target (none where its label names no class) and weight.
    #[inline(always)]
    pub(super) fn rows(self) -> impl Iterator<Item = (&'a [T], Option<RowTarget<'a, T>>, T)> {
        (0..self.rows).map(move |r| {
            let row = match self.indices {
                Some(indices) => (indices[r] as usize).min(self.last),
                None => r,
            };
            let y = &self.y[r * self.columns..(r + 1) * self.columns];
            let weight = self.weights.map_or(T::one(), |weights| weights[row]);
            (y, self.targets.row(row, self.columns), weight)
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

/// The cells of the epoch's slot in a tally `[slots, cells]`.
pub(super) fn home(cursor: &[u32], tally: &[usize]) -> std::ops::Range<usize> {
    let start = cursor[EPOCH] as usize % tally[0] * tally[1];
    start..start + tally[1]
}

/// Whether the batch is the first of its epoch.
pub(super) fn begins_epoch(cursor: &[u32]) -> bool {
    cursor[OFFSET] == 0
}

/// Slots of a tally of `cells` cells: as many as some 256 KiB hold, between 2 and 64. A submission may touch as many epochs.
pub fn slots(cells: usize) -> usize {
    (65_536 / cells.max(1)).clamp(2, 64)
}

/// Cursors to try tallies on: rows that count of a batch, whether the epoch begins, and which it is.
pub(super) fn cursor(rows: usize, begins: bool, epoch: u32) -> Vec<u32> {
    let mut words = vec![0; WORDS];
    words[ROWS] = rows as u32;
    words[OFFSET] = if begins { 0 } else { 7 };
    words[EPOCH] = epoch;
    words
}
