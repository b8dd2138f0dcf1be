//! Rows of numbers beside the rows of a dense target of their shape: what the losses of such rows share on the processor.

use crate::contract::{Io, Sample};
use crate::number::Real;
use crate::number::parallel::{Table, pieces};

/// A loss for each row: inputs y and t, output of one number a row. `of_row` gets a row of each.
#[inline(always)]
pub(crate) fn losses<T: Real>(io: &mut Io<'_, T>, of_row: impl Fn(&[T], &[T]) -> T + Sync) {
    let (rows, columns) = io.matrix(0);
    let y = Table(io.input(0), columns);
    let t = Table(io.input(1), columns);
    let operands = (io.output(0), y, t);
    pieces::<T, _>(
        rows,
        8 * columns,
        operands,
        #[inline(always)]
        |_, (loss, Table(y, _), Table(t, _))| {
            let rows = y.chunks_exact(columns).zip(t.chunks_exact(columns));
            for (loss, (y, t)) in loss.iter_mut().zip(rows) {
                *loss = of_row(y, t);
            }
        },
    );
}

/// The gradient with respect to y: inputs y, t and dloss of one number a row, output shaped as y. `of_row` writes a row
/// of dy, and gets those of y and t and the row's dloss.
#[inline(always)]
pub(crate) fn gradients<T: Real>(
    io: &mut Io<'_, T>,
    of_row: impl Fn(&mut [T], &[T], &[T], T) + Sync,
) {
    let (rows, columns) = io.matrix(0);
    let y = Table(io.input(0), columns);
    let t = Table(io.input(1), columns);
    let dloss = io.input(2);
    let operands = (Table(io.output(0), columns), y, t, dloss);
    pieces::<T, _>(
        rows,
        12 * columns,
        operands,
        #[inline(always)]
        |_, (Table(dy, _), Table(y, _), Table(t, _), dloss)| {
            let rows = y.chunks_exact(columns).zip(t.chunks_exact(columns));
            let outputs = dy.chunks_exact_mut(columns).zip(dloss);
            for ((dy, &dloss), (y, t)) in outputs.zip(rows) {
                of_row(dy, y, t, dloss);
            }
        },
    );
}

/// The rows of y with those of t, the first two inputs of a sample.
pub(crate) fn of_sample<'a>(
    sample: &'a Sample<'_>,
) -> impl Iterator<Item = (&'a [f64], &'a [f64])> {
    let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
    let y = sample.inputs[0].chunks_exact(columns);
    y.zip(sample.inputs[1].chunks_exact(columns))
}
