//! The logarithm of softmax of each row: yⱼ = (xⱼ − m) − ln Σₖ e^(xₖ − m) with m the row's largest; dxⱼ = dyⱼ − e^yⱼ·Σₖ dyₖ.
//!
//! No logarithm of a small number is taken, so that y is right where softmax is 0. Rows and m as in `softmax`.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader,
};
use crate::number::parallel::{Table, pieces};
use crate::number::{Real, UNIT};
use crate::op::shape::along::Along;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

use super::softmax::{Powers, exp_error, largest};

const SHADER: Shader = shader!("log_softmax", "rows", "along");

pub const ENTRY: Entry = Entry::new("log_softmax", &[SHADER], cases);

/// y = ln softmax x, row by row. x: at least one dimension; y: the same shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogSoftmax {
    /// The dimension that rows go along, counted from the back where it is negative.
    pub axis: isize,
}

/// dx = dy − e^y·Σ dy. Inputs: y, dy; output dx; one shape.
#[derive(Debug, Clone, Copy)]
struct Backward(LogSoftmax);

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [x] = arity::<1>(inputs)?;
        expect_dtype("x", x, DType::F32)?;
        Along::of(x, self.axis)?;
        Ok(vec![x.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let y = &vjp.outputs[0];
        let dx = y.graph().apply_one(Backward(*self), &[y, vjp.dy()?]);
        Ok(vec![Some(dx)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let along = Along::admitted(&signature.inputs[0], self.axis);
        let launch = along.launch((SHADER, "forward"), (3, 2), target);
        Ok(launch.bind_all(1, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Roundings of x − m and of y; the sum's relative error, which its logarithm turns into an absolute one; and the
        // logarithm's own.
        let along = Along::admitted(&sample.signature.inputs[0], self.axis);
        let mut bound = sample.relative(0, 1.0);
        for row in 0..along.rows() {
            let x: Vec<f64> = along.row(&sample.inputs[0], row).collect();
            let powers = Powers::of(&x);
            let sum = powers.sum_error(&x) + UNIT + 2.0 * 8.0 * UNIT * powers.sum.ln();
            for (at, x) in along.places(row).zip(x) {
                bound[at] += sum + 2.0 * UNIT * (x - powers.largest).abs();
            }
        }
        vec![bound]
    }
}

impl Compute for LogSoftmax {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.axis);
        let (x, columns) = (io.input(0), along.len);
        let y = io.output(0);
        if along.inner != 1 {
            for row in 0..along.rows() {
                let values = along.row(x, row);
                let largest = values
                    .clone()
                    .fold(T::neg_infinity(), |m, x| if x > m { x } else { m });
                let sum: T = values.map(|x| (x - largest).power_of_e()).sum();
                for at in along.places(row) {
                    y[at] = (x[at] - largest) - sum.ln();
                }
            }
            return;
        }
        pieces::<T, _>(
            along.rows(),
            16 * columns,
            (Table(y, columns), Table(x, columns)),
            #[inline(always)]
            |_, (Table(y, _), Table(x, _))| {
                for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                    let largest = largest(x);
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = (x - largest).power_of_e();
                    }
                    let log_sum = T::total(y).ln();
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = (x - largest) - log_sum;
                    }
                }
            },
        );
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "log_softmax.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    /// With g = dL/d(dx): by y it is −g ⊙ e^y·Σ dy, by dy it is g − Σ g ⊙ e^y.
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, dy, g) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let along = Along::admitted(&y.kind(), self.0.axis);
        let [wide_dy, wide_g] = [dy, g].map(|tensor| along.wide(tensor));
        let shares = wide_g.mul(&along.wide(y).exp());
        let by_y = || shares.mul(&along.sums(&wide_dy)).neg().reshape(y.shape());
        let by_dy = || wide_g.sub(&along.sums(&shares)).reshape(y.shape());
        Ok(vec![vjp.wanted[0].then(by_y), vjp.wanted[1].then(by_dy)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let along = Along::admitted(&signature.inputs[0], self.0.axis);
        let launch = along.launch((SHADER, "backward"), (2, 1), target);
        Ok(launch.bind_all(2, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γₙ of the sum, the power's error, and a rounding each of product and difference.
        let along = Along::admitted(&sample.signature.inputs[0], self.0.axis);
        let mut bound = sample.relative(0, 1.0);
        let (y, dy) = (&sample.inputs[0], &sample.inputs[1]);
        for row in 0..along.rows() {
            let terms: f64 = along.row(dy, row).map(f64::abs).sum();
            for at in along.places(row) {
                let error = Sample::gamma(along.len) + exp_error(y[at]) + 2.0 * UNIT;
                bound[at] += y[at].exp() * terms * error;
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
        let dx = io.output(0);
        if along.inner != 1 {
            for row in 0..along.rows() {
                let sum: T = along.row(dy, row).sum();
                for at in along.places(row) {
                    dx[at] = dy[at] - y[at].power_of_e() * sum;
                }
            }
            return;
        }
        let operands = (Table(dx, columns), Table(y, columns), Table(dy, columns));
        pieces::<T, _>(
            along.rows(),
            12 * columns,
            operands,
            #[inline(always)]
            |_, (Table(dx, _), Table(y, _), Table(dy, _))| {
                let rows = y.chunks_exact(columns).zip(dy.chunks_exact(columns));
                for (dx, (y, dy)) in dx.chunks_exact_mut(columns).zip(rows) {
                    let sum = T::total(dy);
                    for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                        *dx = dy - y.power_of_e() * sum;
                    }
                }
            },
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], isize); 15] = [
        (&[1], 0),
        (&[257], 0),
        (&[1, 1], -1),
        (&[2, 3], -1),
        (&[3, 2], 0),
        (&[17, 10], -1),
        (&[33, 17], -1),
        (&[255, 1], 1),
        (&[256, 10], -1),
        (&[2, 3, 5], 1),
        (&[4, 5, 6], 0),
        (&[3, 257, 2], -2),
        (&[1000, 10], -1),
        (&[33, 257], -1),
        (&[3, 1000], -1),
    ];
    let mut cases = Vec::new();
    for (shape, axis) in shapes {
        let op = LogSoftmax { axis };
        cases.push(Case::new(op).input(shape, Fill::Uniform(-4.0, 4.0)));
        let backward = Case::new(Backward(op)).input(shape, Fill::Uniform(-8.0, 0.0));
        let backward = backward.input(shape, Fill::Uniform(-2.0, 2.0));
        cases.push(backward);
    }
    for most in [100.0, 1e4] {
        let case = Case::new(LogSoftmax { axis: -1 });
        let case = case.input(&[17, 257], Fill::Uniform(-most, most));
        cases.push(case.without_gradient());
    }
    cases
}
