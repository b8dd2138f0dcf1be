//! A head on the processor: losses and slopes that are sums over elements in loops that vectorise, the others row by row.

use crate::contract::{Compute, Io};
use crate::number::Real;
use crate::op::Form;
use crate::op::cross_entropy::{
    loss_of_logits, loss_of_powers, slopes_of_logits, slopes_of_powers,
};
use crate::op::cursor::{ROWS, STEP};
use crate::op::gather::row_of;
use crate::op::record::{Parts, place, store, total};
use crate::op::shape::rows::{RowTarget, TargetRows};
use crate::op::softmax::{Powers, largest, powers};

use super::{Head, RowLoss};

/// Most elements that are computed at once: of several rows, because a row may be shorter than a vector.
const ROOM: usize = 256;

/// The outputs and targets of a batch of numbers.
struct HeadBatch<'a, T> {
    y: &'a [T],
    t: &'a [T],
    indices: Option<&'a [u32]>,
    columns: usize,
    counted: usize,
    /// What the slope of each counted row is multiplied by.
    share: T,
}

impl Head {
    /// y, computed by the last layer.
    fn computed<T: Real>(&self, io: &Io<'_, T>) -> Option<Vec<T>> {
        let last = self.last?;
        let indices = self.has_indices().then(|| io.words(4));
        let (product, x) = self.product(&io.signature.inputs, io.input(2), indices);
        let mut y = vec![T::zero(); product.m * product.n];
        T::product(&product, &x, io.input(self.kernel()), &mut y, &|_, _| {});
        if last.bias {
            for row in y.chunks_exact_mut(product.n) {
                for (y, &bias) in row.iter_mut().zip(io.input(self.kernel() + 1)) {
                    *y += bias;
                }
            }
        }
        Some(y)
    }

    /// Takes slopes to 0 that no parameter feels: those of classes that are as good as ruled out, which become many as a network
    /// learns.
    #[inline(always)]
    fn fade<T: Real>(&self, io: &mut Io<'_, T>) {
        if self.gradient {
            for dy in io.output(1) {
                *dy = dy.faded();
            }
        }
    }

    /// The loss and the accuracy of the rows of a part, summed; their slopes are stored.
    #[inline(always)]
    fn part<T: Real>(
        &self,
        batch: &HeadBatch<'_, T>,
        first: usize,
        rows: usize,
        io: &mut Io<'_, T>,
    ) -> [f64; 2] {
        let columns = batch.columns;
        let end = (first + rows).min(batch.y.len() / columns);
        let data_rows = batch.t.len() / columns;
        let share = batch.share;
        let (mut loss, mut right) = (0.0, 0.0);
        let mut targets = [T::zero(); ROOM];
        let mut values = [T::zero(); ROOM];
        for first in (first..end).step_by(ROOM / columns) {
            let rows = (end - first).min(ROOM / columns);
            let (targets, values) = (
                &mut targets[..rows * columns],
                &mut values[..rows * columns],
            );
            for (r, target) in targets.chunks_exact_mut(columns).enumerate() {
                let row = first + r;
                let row = batch
                    .indices
                    .map_or(row, |indices| row_of(indices[row], data_rows));
                target.copy_from_slice(&batch.t[row * columns..][..columns]);
            }
            let y = &batch.y[first * columns..][..rows * columns];
            let live = batch.counted.saturating_sub(first).min(rows);
            self.loss.losses(y, targets, values);
            loss += total(&values[..live * columns]);
            if let Some((kind, _)) = self.accuracy {
                let rows = y.chunks_exact(columns).zip(targets.chunks_exact(columns));
                for (y, t) in rows.take(live) {
                    right += kind.of_row(y, Some(RowTarget::Shares(t))).double();
                }
            }
            if self.gradient {
                let dy = &mut io.output(1)[first * columns..][..rows * columns];
                let (own, rest) = dy.split_at_mut(live * columns);
                self.loss.slopes(y, targets, share, columns, own);
                rest.fill(T::zero());
            }
        }
        [loss * self.loss.factor::<T>(columns).double(), right]
    }
}

impl Compute for Head {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let (batch, columns) = match self.last {
            None => io.matrix(2),
            Some(_) => self.outputs(&io.signature.inputs).shape.rows_and_columns(),
        };
        // Only plans for GPUs compute the last layer here, so that this allocates in tests only.
        let computed = self.computed(io);
        let (given, targets) = (io.input(2), TargetRows::of(io, 3));
        let y = computed.as_deref().unwrap_or(given);
        let cursor = io.words(1);
        let counted = (cursor[ROWS] as usize).min(batch);
        let indices = self.gather.then(|| io.words(4));
        let (ring, data_rows) = (io.dims(0), io.dims(3).first().copied().unwrap_or(1));
        let scale = self.scale(|word| cursor[word]);
        let share = T::constant(f64::from(scale)) / T::constant(counted.max(1) as f64);
        let loss_at = place(cursor[STEP], ring, self.loss_column).start;
        let accuracy = self
            .accuracy
            .map(|(kind, column)| (kind, place(cursor[STEP], ring, column).start));
        let parts = Parts::of(batch);
        if let TargetRows::Dense(t) = targets
            && self.loss != RowLoss::CrossEntropy
            && columns <= ROOM
        {
            let batch = HeadBatch {
                y: &y[..batch * columns],
                t,
                indices,
                columns,
                counted,
                share,
            };
            for part in 0..parts.count {
                let [loss, right] = self.part(&batch, part * parts.rows, parts.rows, io);
                store(&mut io.output(0)[loss_at + 2 * part..][..2], loss);
                if let Some((_, at)) = accuracy {
                    store(&mut io.output(0)[at + 2 * part..][..2], right);
                }
            }
            return self.fade(io);
        }
        // Loss and slopes take the same powers: in one loop over all rows, which may be shorter than a vector.
        let stored = self.gradient && matches!(self.loss, RowLoss::CrossEntropy);
        if stored {
            powers(&y[..batch * columns], columns, io.output(1));
        }
        for part in 0..parts.count {
            let (mut loss, mut right) = (0.0, 0.0);
            for r in part * parts.rows..((part + 1) * parts.rows).min(batch) {
                let row = indices.map_or(r, |indices| row_of(indices[r], data_rows));
                let (y, target) = (&y[r * columns..][..columns], targets.row(row, columns));
                if r < counted {
                    loss += match target {
                        Some(target) if stored => {
                            let dy = &io.output(1)[r * columns..][..columns];
                            let powers = Powers {
                                largest: largest(y),
                                sum: T::total(dy),
                            };
                            loss_of_powers(y, target, powers)
                        }
                        target => self.loss.of_row(y, target),
                    }
                    .double();
                    if let Some((kind, _)) = accuracy {
                        right += kind.of_row(y, target).double();
                    }
                }
                if self.gradient {
                    let dloss = if r < counted { share } else { T::zero() };
                    let dy = &mut io.output(1)[r * columns..][..columns];
                    match target {
                        Some(target) if stored => slopes_of_powers(target, dloss, dy),
                        target => self.loss.slopes_of_row(y, target, dloss, dy),
                    }
                }
            }
            store(&mut io.output(0)[loss_at + 2 * part..][..2], loss);
            if let Some((_, at)) = accuracy {
                store(&mut io.output(0)[at + 2 * part..][..2], right);
            }
        }
        self.fade(io);
    }
}

/// Losses of numbers are sums over elements, each by itself; the cross-entropy goes along a row.
impl RowLoss {
    #[inline(always)]
    fn losses<T: Real>(self, y: &[T], t: &[T], losses: &mut [T]) {
        let terms = losses.iter_mut().zip(y.iter().zip(t));
        // The form told apart outside of the loops, so that they vectorise.
        match self {
            RowLoss::CrossEntropy => {}
            RowLoss::Binary(Form::Logits) => terms.for_each(
                #[inline(always)]
                |(loss, (&y, &t))| *loss = Form::Logits.term(y, t),
            ),
            RowLoss::Binary(form) => {
                terms.for_each(|(loss, (&y, &t))| *loss = form.term(y, t));
            }
            RowLoss::Squared(_) => terms.for_each(
                #[inline(always)]
                |(loss, (&y, &t))| *loss = (y - t) * (y - t),
            ),
        }
    }

    /// dy for the first rows, as many as `dy` has.
    #[inline(always)]
    fn slopes<T: Real>(self, y: &[T], t: &[T], share: T, columns: usize, dy: &mut [T]) {
        let count = T::constant(columns as f64);
        let slopes = dy.iter_mut().zip(y.iter().zip(t));
        match self {
            RowLoss::CrossEntropy => {}
            RowLoss::Binary(Form::Logits) => slopes.for_each(
                #[inline(always)]
                |(dy, (&y, &t))| *dy = Form::Logits.slope(y, t) * share / count,
            ),
            RowLoss::Binary(form) => {
                slopes.for_each(|(dy, (&y, &t))| *dy = form.slope(y, t) * share / count);
            }
            RowLoss::Squared(scale) => {
                let scale = T::constant(2.0 * f64::from(scale));
                slopes.for_each(
                    #[inline(always)]
                    |(dy, (&y, &t))| *dy = scale * (y - t) * share,
                );
            }
        }
    }

    /// What the sum of a row's terms is multiplied by.
    fn factor<T: Real>(self, columns: usize) -> T {
        match self {
            RowLoss::Squared(scale) => T::given(scale),
            _ => T::one() / T::constant(columns as f64),
        }
    }

    pub(in crate::op) fn of_row<T: Real>(self, y: &[T], target: Option<RowTarget<'_, T>>) -> T {
        match (self, target) {
            (RowLoss::CrossEntropy, Some(target)) => loss_of_logits(y, target),
            (RowLoss::Binary(form), Some(RowTarget::Shares(t))) => {
                let sum: T = y.iter().zip(t).map(|(&y, &t)| form.term(y, t)).sum();
                sum / T::constant(y.len() as f64)
            }
            (RowLoss::Squared(scale), Some(RowTarget::Shares(t))) => {
                let squares = y.iter().zip(t).map(|(&y, &t)| (y - t) * (y - t));
                T::given(scale) * squares.sum()
            }
            _ => T::nan(),
        }
    }

    pub(in crate::op) fn slopes_of_row<T: Real>(
        self,
        y: &[T],
        target: Option<RowTarget<'_, T>>,
        dloss: T,
        dy: &mut [T],
    ) {
        match (self, target) {
            (RowLoss::CrossEntropy, Some(target)) => slopes_of_logits(y, target, dloss, dy),
            (_, Some(RowTarget::Shares(t))) => self.slopes(y, t, dloss, y.len(), dy),
            _ => dy.fill(T::nan()),
        }
    }
}
