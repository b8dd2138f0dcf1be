//! Softmax of each row: yⱼ = e^(xⱼ − m)/Σₖ e^(xₖ − m) with m the row's largest; dxⱼ = yⱼ·(dyⱼ − Σₖ dyₖ·yₖ).
//!
//! A row is the last dimension, or another. The shift by m changes nothing but the range: no power overflows (Goodfellow, Bengio,
//! Courville: Deep Learning, 2016, section 4.1).

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader,
};
use crate::number::parallel::{Table, pieces};
use crate::number::{Real, UNIT};
use crate::op::shape::along::Along;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

const SHADER: Shader = shader!("softmax", "rows", "along");

pub const ENTRY: Entry = Entry::new("softmax", &[SHADER], cases);

/// y = softmax x, row by row. x: at least one dimension; y: the same shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Softmax {
    /// The dimension that rows go along, counted from the back where it is negative.
    pub axis: isize,
}

/// dx = y ⊙ (dy − Σ dy ⊙ y). Inputs: y, dy; output dx; one shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backward(pub Softmax);

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        Along::of(x, self.axis)?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let y = &vjp.outputs[0];
        Ok(vec![Some(
            y.graph().apply_one(Backward(*self), &[y, vjp.dy()?]),
        )])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let along = Along::admitted(&signature.inputs[0], self.axis);
        let launch = along.launch((SHADER, "forward"), (3, 2), target);
        Ok(launch.bind_all(1, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The relative errors of power, sum and division add up.
        let along = Along::admitted(&sample.signature.inputs[0], self.axis);
        let mut bound = sample.relative(0, 3.0);
        for row in 0..along.rows() {
            let x: Vec<f64> = along.row(&sample.inputs[0], row).collect();
            let powers = Powers::of(&x);
            let sum_error = powers.sum_error(&x);
            for (at, x) in along.places(row).zip(x) {
                let y = sample.results[0][at];
                bound[at] += y * (exp_error(x - powers.largest) + sum_error);
            }
        }
        vec![bound]
    }
}

impl Compute for Softmax {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.axis);
        let (x, columns) = (io.input(0), along.len);
        if along.inner != 1 {
            return apart(along, x, io.output(0));
        }
        let operands = (Table(io.output(0), columns), Table(x, columns));
        let rows = x.len() / columns;
        pieces::<T, _>(
            rows,
            16 * columns,
            operands,
            #[inline(always)]
            |_, (Table(y, _), Table(x, _))| {
                powers(x, columns, y);
                for y in y.chunks_exact_mut(columns) {
                    let sum = T::total(y);
                    for y in y {
                        *y = *y / sum;
                    }
                }
            },
        );
    }
}

/// Rows whose elements lie apart.
fn apart<T: Real>(along: Along, x: &[T], y: &mut [T]) {
    for row in 0..along.rows() {
        let largest = along
            .row(x, row)
            .fold(T::neg_infinity(), |m, x| if x > m { x } else { m });
        let mut sum = T::zero();
        for at in along.places(row) {
            y[at] = (x[at] - largest).power_of_e();
            sum += y[at];
        }
        for at in along.places(row) {
            y[at] = y[at] / sum;
        }
    }
}

/// y = e^(x − m) with m the largest of each row. All powers in one loop, because rows may be shorter than a vector.
#[inline(always)]
pub(super) fn powers<T: Real>(x: &[T], columns: usize, y: &mut [T]) {
    for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
        let largest = largest(x);
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x - largest;
        }
    }
    for y in y {
        *y = y.power_of_e();
    }
}

/// The largest element of a row.
#[inline(always)]
pub(super) fn largest<T: Real>(row: &[T]) -> T {
    row.iter().fold(row[0], |m, &x| if x > m { x } else { m })
}

/// The largest element m of a row, and Σ e^(x − m): a NaN in the row is a NaN here.
pub(super) struct Powers<T> {
    pub(super) largest: T,
    pub(super) sum: T,
}

impl<T: Real> Powers<T> {
    #[inline(always)]
    pub(super) fn of(row: &[T]) -> Self {
        let largest = largest(row);
        let sum = row.iter().map(|&x| (x - largest).power_of_e()).sum();
        Powers { largest, sum }
    }

    /// The softmax of an element.
    #[inline(always)]
    pub(super) fn share(&self, x: T) -> T {
        (x - self.largest).power_of_e() / self.sum
    }
}

impl Powers<f64> {
    /// The relative error of the sum: γₙ for adding up, and the powers' own errors, each by its share.
    pub(super) fn sum_error(&self, row: &[f64]) -> f64 {
        let powers: f64 = row
            .iter()
            .map(|&x| self.share(x) * exp_error(x - self.largest))
            .sum();
        Sample::gamma(row.len()) + powers
    }
}

/// The relative error of a device's e^d for a difference d: WGSL allows exp 3 + 2|d| units in the last place, and the
/// rounding of d is worth another ½|d|.
pub(super) fn exp_error(d: f64) -> f64 {
    2.0 * UNIT * (3.0 + 2.5 * d.abs())
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "softmax.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    /// With g = dL/d(dx): by y it is g ⊙ (dy − Σ dy ⊙ y) − dy·Σ g ⊙ y; by dy the same operation on g.
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, dy, g) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let by_y = || {
            let along = Along::admitted(&y.kind(), self.0.axis);
            let [wide_y, wide_dy, wide_g] = [y, dy, g].map(|tensor| along.wide(tensor));
            let sum = along.sums(&wide_dy.mul(&wide_y));
            let own = along.sums(&wide_g.mul(&wide_y));
            let by_y = wide_g.mul(&wide_dy.sub(&sum)).sub(&wide_dy.mul(&own));
            by_y.reshape(y.shape())
        };
        let by_dy = || y.graph().apply_one(*self, &[y, g]);
        Ok(vec![vjp.wanted[0].then(by_y), vjp.wanted[1].then(by_dy)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let along = Along::admitted(&signature.inputs[0], self.0.axis);
        let launch = along.launch((SHADER, "backward"), (2, 1), target);
        Ok(launch.bind_all(2, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γₙ of the sum, one rounding of the difference, one of the product.
        let along = Along::admitted(&sample.signature.inputs[0], self.0.axis);
        let mut bound = sample.relative(0, 1.0);
        let (y, dy) = (&sample.inputs[0], &sample.inputs[1]);
        for row in 0..along.rows() {
            let terms: f64 = along.places(row).map(|at| (y[at] * dy[at]).abs()).sum();
            for at in along.places(row) {
                bound[at] += y[at].abs() * Sample::gamma(along.len) * terms;
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.0.axis);
        let (y, dy, columns) = (io.input(0), io.input(1), along.len);
        if along.inner != 1 {
            let dx = io.output(0);
            for row in 0..along.rows() {
                let sum: T = along.places(row).map(|at| dy[at] * y[at]).sum();
                for at in along.places(row) {
                    dx[at] = y[at] * (dy[at] - sum);
                }
            }
            return;
        }
        let rows = y.len() / columns;
        let operands = (
            Table(io.output(0), columns),
            Table(y, columns),
            Table(dy, columns),
        );
        pieces::<T, _>(
            rows,
            12 * columns,
            operands,
            #[inline(always)]
            |_, (Table(dx, _), Table(y, _), Table(dy, _))| {
                let rows = y.chunks_exact(columns).zip(dy.chunks_exact(columns));
                for (dx, (y, dy)) in dx.chunks_exact_mut(columns).zip(rows) {
                    let sum: T = y.iter().zip(dy).map(|(&y, &dy)| dy * y).sum();
                    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                        *dx = y * (dy - sum);
                    }
                }
            },
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 15] = [
        &[1],
        &[3],
        &[257],
        &[1, 1],
        &[2, 3],
        &[3, 2],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 10],
        &[257, 3],
        &[1000, 10],
        &[2, 3, 5],
        &[33, 257],
        &[3, 1000],
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        cases.push(Case::new(Softmax { axis: -1 }).input(shape, Fill::Uniform(-4.0, 4.0)));
        let backward = Case::new(Backward(Softmax { axis: -1 })).input(shape, Fill::Probabilities);
        let backward = backward.input(shape, Fill::Uniform(-2.0, 2.0));
        cases.push(backward);
    }
    for most in [100.0, 1e4] {
        for shape in [&[33, 10][..], &[17, 257], &[2, 70_000]] {
            let case = Case::new(Softmax { axis: -1 }).input(shape, Fill::Uniform(-most, most));
            cases.push(case.without_gradient());
        }
    }
    let other: [(&[usize], isize); 5] = [
        (&[1, 1], 0),
        (&[2, 3], 0),
        (&[4, 5, 6], 1),
        (&[3, 257, 2], -2),
        (&[1000, 17], 0),
    ];
    for (shape, axis) in other {
        let softmax = Softmax { axis };
        cases.push(Case::new(softmax).input(shape, Fill::Uniform(-4.0, 4.0)));
        let backward = Case::new(Backward(softmax)).input(shape, Fill::Uniform(0.0, 1.0));
        let backward = backward.input(shape, Fill::Uniform(-2.0, 2.0));
        cases.push(backward);
    }
    // Ties, and a row that an unshifted power would lose.
    let edges = vec![
        5.0, 5.0, 5.0, -1e4, -1e4, -1e4, 0.0, -1e4, 1e4, 88.0, 89.0, 90.0,
    ];
    cases.push(Case::new(Softmax { axis: -1 }).constant(&[4, 3], Fill::Values(edges)));
    cases
}
