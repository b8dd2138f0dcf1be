//! Softmax of each row: yⱼ = e^(xⱼ − m)/Σₖ e^(xₖ − m) with m the row's largest; dxⱼ = yⱼ·(dyⱼ − Σₖ dyₖ·yₖ).
//!
//! A row is the last dimension, or another. The shift by m changes nothing but the range: no power overflows (Goodfellow, Bengio,
//! Courville: Deep Learning, 2016, section 4.1).

use crate::Tensor;
use crate::contract::{Case, Entry, Fill, Sample, Shader, Vjp, shader};
use crate::number::{Real, UNIT};
use crate::op::shape::along::Along;
use crate::op::shape::row_map::{self, RowFormula, RowMap, RowMapBackward};

const SHADER: Shader = shader!("softmax", "rows", "along");

pub const ENTRY: Entry = Entry::new("softmax", &[SHADER], cases);

#[derive(Debug, Clone, Copy)]
pub(super) struct Softmax;

impl RowFormula for Softmax {
    const NAMES: [&'static str; 2] = ["softmax", "softmax.backward"];
    const SHADER: Shader = SHADER;
    const UNITS: [f64; 2] = [3.0, 1.0];

    #[inline(always)]
    fn values<T: Real>(self, y: &mut [T], x: &[T], columns: usize, total: impl Fn(&[T]) -> T) {
        powers(x, columns, y);
        for y in y.chunks_exact_mut(columns) {
            let sum = total(y);
            for y in y {
                *y = *y / sum;
            }
        }
    }

    #[inline(always)]
    fn slopes<T: Real>(self, dx: &mut [T], y: &[T], dy: &[T], _total: impl Fn(&[T]) -> T) {
        let sum: T = y.iter().zip(dy).map(|(&y, &dy)| dy * y).sum();
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = y * (dy - sum);
        }
    }

    /// The relative errors of power, sum and division add up.
    fn add_errors(self, bound: &mut [f64], x: &[f64], y: &[f64]) {
        let powers = Powers::of(x);
        let sum_error = powers.sum_error(x);
        for ((bound, x), y) in bound.iter_mut().zip(x).zip(y) {
            *bound += y * (exp_error(x - powers.largest) + sum_error);
        }
    }

    /// γₙ of the sum, one rounding of the difference, one of the product.
    fn add_slope_errors(self, bound: &mut [f64], y: &[f64], dy: &[f64]) {
        let terms: f64 = y.iter().zip(dy).map(|(y, dy)| (y * dy).abs()).sum();
        for (bound, y) in bound.iter_mut().zip(y) {
            *bound += y.abs() * Sample::gamma(dy.len()) * terms;
        }
    }

    /// With g = dL/d(dx): by y it is g ⊙ (dy − Σ dy ⊙ y) − dy·Σ g ⊙ y; by dy the same operation on g.
    fn second(op: RowMapBackward<Self>, vjp: &Vjp<'_>) -> Result<[Option<Tensor>; 2], String> {
        let (y, dy, g) = (&vjp.inputs[0], &vjp.inputs[1], vjp.dy()?);
        let by_y = || {
            let along = Along::admitted(&y.kind(), op.0.axis);
            let [wide_y, wide_dy, wide_g] = [y, dy, g].map(|tensor| along.wide(tensor));
            let sum = along.sums(&wide_dy.mul(&wide_y));
            let own = along.sums(&wide_g.mul(&wide_y));
            let by_y = wide_g.mul(&wide_dy.sub(&sum)).sub(&wide_dy.mul(&own));
            by_y.reshape(y.shape())
        };
        let by_dy = || y.graph().apply_one(op, &[y, g]);
        Ok([vjp.wanted[0].then(by_y), vjp.wanted[1].then(by_dy)])
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

fn cases() -> Vec<Case> {
    let mut cases = row_map::cases(Softmax, |last| {
        if last {
            Fill::Probabilities
        } else {
            Fill::Uniform(0.0, 1.0)
        }
    });
    let op = RowMap {
        function: Softmax,
        axis: -1,
    };
    for most in [100.0, 1e4] {
        for shape in [&[33, 10][..], &[17, 257], &[2, 70_000]] {
            let case = Case::new(op).input(shape, Fill::Uniform(-most, most));
            cases.push(case.without_gradient());
        }
    }
    // Ties, and a row that an unshifted power would lose.
    let edges = vec![
        5.0, 5.0, 5.0, -1e4, -1e4, -1e4, 0.0, -1e4, 1e4, 88.0, 89.0, 90.0,
    ];
    cases.push(Case::new(op).constant(&[4, 3], Fill::Values(edges)));
    cases
}
