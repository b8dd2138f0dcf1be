//! Functions of a whole row, such as softmax, along any axis: what their ops share. A [`RowFormula`] has the formula.

use std::fmt;

use crate::contract::{
    Case, Compute, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shapes,
};
use crate::number::Real;
use crate::number::parallel::{Table, pieces};
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::along::Along;

/// A function of a row whose derivative follows from its result.
pub(in crate::op) trait RowFormula:
    Copy + fmt::Debug + Send + Sync + 'static
{
    /// The names of the op and of its gradient.
    const NAMES: [&'static str; 2];

    /// The kernels, `forward` and `backward`.
    const SHADER: Shader;

    /// Units of rounding that every y and dx is off by.
    const UNITS: [f64; 2];

    /// A dispatch of `forward`.
    fn forward(self, along: Along, target: &Target) -> Launch {
        along.launch((Self::SHADER, "forward"), (3, 2), target)
    }

    /// A dispatch of `backward`.
    fn backward(self, along: Along, target: &Target) -> Launch {
        along.launch((Self::SHADER, "backward"), (2, 1), target)
    }

    /// y of rows of `columns` numbers; `total` adds up a row.
    fn values<T: Real>(self, y: &mut [T], x: &[T], columns: usize, total: impl Fn(&[T]) -> T);

    /// dx of a row from y and dy.
    fn slopes<T: Real>(self, dx: &mut [T], y: &[T], dy: &[T], total: impl Fn(&[T]) -> T);

    /// Adds to `bound` how far a device may be from y of a row.
    fn add_errors(self, bound: &mut [f64], x: &[f64], y: &[f64]);

    /// Adds to `bound` how far a device may be from dx of a row.
    fn add_slope_errors(self, bound: &mut [f64], y: &[f64], dy: &[f64]);

    /// The gradients of dx by y and by dy, as far as they are wanted, from those of its op.
    fn second(op: RowMapBackward<Self>, vjp: &Vjp<'_>) -> Result<[Option<Tensor>; 2], String>;
}

/// y, row by row along `axis`, which is counted from the back where it is negative. x: at least one dimension; y: the same
/// shape.
#[derive(Debug, Clone, Copy)]
pub(in crate::op) struct RowMap<F> {
    pub function: F,
    pub axis: isize,
}

/// dx. Inputs: y, dy; output dx; one shape.
#[derive(Debug, Clone, Copy)]
pub(in crate::op) struct RowMapBackward<F>(pub RowMap<F>);

impl<F: RowFormula> Op for RowMap<F> {
    fn name(&self) -> &'static str {
        F::NAMES[0]
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        Along::of(x, self.axis)?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let y = &vjp.outputs[0];
        let backward = RowMapBackward(*self);
        Ok(vec![Some(y.graph().apply_one(backward, &[y, vjp.dy()?]))])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let along = Along::admitted(&signature.inputs[0], self.axis);
        Ok(self.function.forward(along, target).bind_all(1, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let along = Along::admitted(&sample.signature.inputs[0], self.axis);
        bounds(along, sample, F::UNITS[0], |bound, row| {
            let y: Vec<f64> = along.row(&sample.results[0], row).collect();
            let x: Vec<f64> = along.row(&sample.inputs[0], row).collect();
            self.function.add_errors(bound, &x, &y);
        })
    }
}

impl<F: RowFormula> Op for RowMapBackward<F> {
    fn name(&self) -> &'static str {
        F::NAMES[1]
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Ok(F::second(*self, vjp)?.into())
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let along = Along::admitted(&signature.inputs[0], self.0.axis);
        Ok(self
            .0
            .function
            .backward(along, target)
            .bind_all(2, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let along = Along::admitted(&sample.signature.inputs[0], self.0.axis);
        bounds(along, sample, F::UNITS[1], |bound, row| {
            let y: Vec<f64> = along.row(&sample.inputs[0], row).collect();
            let dy: Vec<f64> = along.row(&sample.inputs[1], row).collect();
            self.0.function.add_slope_errors(bound, &y, &dy);
        })
    }
}

/// `units` of every result, and what `add` adds to those of a row.
fn bounds(
    along: Along,
    sample: &Sample<'_>,
    units: f64,
    add: impl Fn(&mut [f64], usize),
) -> Vec<Vec<f64>> {
    let mut bound = sample.relative(0, units);
    for row in 0..along.rows() {
        let mut own: Vec<f64> = along.row(&bound, row).collect();
        add(&mut own, row);
        along.put(&own, row, &mut bound);
    }
    vec![bound]
}

/// The sum of numbers one after the other.
#[inline(always)]
fn in_order<T: Real>(values: &[T]) -> T {
    values.iter().copied().sum()
}

impl<F: RowFormula> Compute for RowMap<F> {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.axis);
        let (x, columns) = (io.input(0), along.len);
        if along.inner == 1 {
            let operands = (Table(io.output(0), columns), Table(x, columns));
            return pieces::<T, _>(
                along.rows(),
                16 * columns,
                operands,
                #[inline(always)]
                |_, (Table(y, _), Table(x, _))| self.function.values(y, x, columns, T::total),
            );
        }
        let [mut own_x, mut own_y] = [(); 2].map(|()| vec![T::zero(); columns]);
        for row in 0..along.rows() {
            along.get(x, row, &mut own_x);
            self.function.values(&mut own_y, &own_x, columns, in_order);
            along.put(&own_y, row, io.output(0));
        }
    }
}

impl<F: RowFormula> Compute for RowMapBackward<F> {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.0.axis);
        let (y, dy, columns) = (io.input(0), io.input(1), along.len);
        if along.inner == 1 {
            let operands = (
                Table(io.output(0), columns),
                Table(y, columns),
                Table(dy, columns),
            );
            return pieces::<T, _>(
                along.rows(),
                12 * columns,
                operands,
                #[inline(always)]
                |_, (Table(dx, _), Table(y, _), Table(dy, _))| {
                    let rows = y.chunks_exact(columns).zip(dy.chunks_exact(columns));
                    for (dx, (y, dy)) in dx.chunks_exact_mut(columns).zip(rows) {
                        self.0.function.slopes(dx, y, dy, T::total);
                    }
                },
            );
        }
        let [mut own_y, mut own_dy, mut own_dx] = [(); 3].map(|()| vec![T::zero(); columns]);
        for row in 0..along.rows() {
            along.get(y, row, &mut own_y);
            along.get(dy, row, &mut own_dy);
            self.0
                .function
                .slopes(&mut own_dx, &own_y, &own_dy, in_order);
            along.put(&own_dx, row, io.output(0));
        }
    }
}

/// Shapes that these functions are tried on, and the axis of the rows: short rows and long ones, one row and many.
pub(in crate::op) const SHAPES: [(&[usize], isize); 24] = shapes![
    1: 0; 3: -1; 257: 0; 257: -1; 1 x 1: -1; 1 x 1: 0; 2 x 3: -1; 2 x 3: 0; 3 x 2: -1; 3 x 2: 0; 17 x 10: -1;
    33 x 17: -1; 255 x 1: 1; 256 x 10: -1; 257 x 3: -1; 2 x 3 x 5: -1; 2 x 3 x 5: 1; 4 x 5 x 6: 0;
    4 x 5 x 6: 1; 3 x 257 x 2: -2; 1000 x 10: -1; 1000 x 17: 0; 33 x 257: -1; 3 x 1000: -1
];

/// A function and its gradient on all [`SHAPES`], with x from −4 to 4 and y as `saved` says for an axis that is the last, or
/// is not.
pub(in crate::op) fn cases<F: RowFormula>(function: F, saved: impl Fn(bool) -> Fill) -> Vec<Case> {
    let both = |(shape, axis): (&[usize], isize)| {
        let op = RowMap { function, axis };
        let last = axis == -1 || axis as usize + 1 == shape.len();
        let backward = Case::new(RowMapBackward(op)).input(shape, saved(last));
        [
            Case::new(op).input(shape, Fill::Uniform(-4.0, 4.0)),
            backward.input(shape, Fill::Uniform(-2.0, 2.0)),
        ]
    };
    SHAPES.into_iter().flat_map(both).collect()
}
