//! The logarithm of softmax of each row: yⱼ = (xⱼ − m) − ln Σₖ e^(xₖ − m) with m the row's largest; dxⱼ = dyⱼ − e^yⱼ·Σₖ dyₖ.
//!
//! No logarithm of a small number is taken, so that y is right where softmax is 0. Rows and m as in `softmax`.

use crate::Tensor;
use crate::contract::{Case, Entry, Fill, Sample, Shader, Vjp, shader};
use crate::number::{Real, UNIT};
use crate::op::shape::along::Along;
use crate::op::shape::row_map::{self, RowFormula, RowMap, RowMapBackward};

use super::softmax::{Powers, exp_error, largest};

const SHADER: Shader = shader!("log_softmax", "rows", "along");

pub const ENTRY: Entry = Entry::new("log_softmax", &[SHADER], cases);

#[derive(Debug, Clone, Copy)]
pub(super) struct LogSoftmax;

impl RowFormula for LogSoftmax {
    const NAMES: [&'static str; 2] = ["log_softmax", "log_softmax.backward"];
    const SHADER: Shader = SHADER;
    const UNITS: [f64; 2] = [1.0, 1.0];

    #[inline(always)]
    fn values<T: Real>(self, y: &mut [T], x: &[T], columns: usize, total: impl Fn(&[T]) -> T) {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            let largest = largest(x);
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - largest).power_of_e();
            }
            let log_sum = total(y).ln();
            for (y, &x) in y.iter_mut().zip(x) {
                *y = (x - largest) - log_sum;
            }
        }
    }

    #[inline(always)]
    fn slopes<T: Real>(self, dx: &mut [T], y: &[T], dy: &[T], total: impl Fn(&[T]) -> T) {
        let sum = total(dy);
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = dy - y.power_of_e() * sum;
        }
    }

    /// Roundings of x − m and of y; the sum's relative error, which its logarithm turns into an absolute one; and the
    /// logarithm's own.
    fn add_errors(self, bound: &mut [f64], x: &[f64], _y: &[f64]) {
        let powers = Powers::of(x);
        let sum = powers.sum_error(x) + UNIT + 2.0 * 8.0 * UNIT * powers.sum.ln();
        for (bound, x) in bound.iter_mut().zip(x) {
            *bound += sum + 2.0 * UNIT * (x - powers.largest).abs();
        }
    }

    /// γₙ of the sum, the power's error, and a rounding each of product and difference.
    fn add_slope_errors(self, bound: &mut [f64], y: &[f64], dy: &[f64]) {
        let terms: f64 = dy.iter().map(|dy| dy.abs()).sum();
        for (bound, y) in bound.iter_mut().zip(y) {
            let error = Sample::gamma(dy.len()) + exp_error(*y) + 2.0 * UNIT;
            *bound += y.exp() * terms * error;
        }
    }

    /// With g = dL/d(dx): by y it is −g ⊙ e^y·Σ dy, by dy it is g − Σ g ⊙ e^y.
    fn second(op: RowMapBackward<Self>, vjp: &Vjp<'_>) -> Result<[Option<Tensor>; 2], String> {
        let (y, dy, g) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let along = Along::admitted(&y.kind(), op.0.axis);
        let [wide_dy, wide_g] = [dy, g].map(|tensor| along.wide(tensor));
        let shares = wide_g.mul(&along.wide(y).exp());
        let by_y = || shares.mul(&along.sums(&wide_dy)).neg().reshape(y.shape());
        let by_dy = || wide_g.sub(&along.sums(&shares)).reshape(y.shape());
        Ok([vjp.wanted[0].then(by_y), vjp.wanted[1].then(by_dy)])
    }
}

fn cases() -> Vec<Case> {
    let mut cases = row_map::cases(LogSoftmax, |_| Fill::Uniform(-8.0, 0.0));
    for most in [100.0, 1e4] {
        let case = Case::new(RowMap {
            function: LogSoftmax,
            axis: -1,
        });
        let case = case.input(&[17, 257], Fill::Uniform(-most, most));
        cases.push(case.without_gradient());
    }
    cases
}
