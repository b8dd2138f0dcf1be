//! Sparsemax of each row: yⱼ = max(xⱼ − τ, 0) with τ such that a row sums to one (Martins, Astudillo: From Softmax to
//! Sparsemax, 2016); dxⱼ = dyⱼ − the mean of dy over {k: yₖ > 0} for j in that set, else 0.
//!
//! τ is the root of g(τ) = Σ max(xⱼ − τ, 0) − 1, which is convex and made of straight pieces of slope −s, s the number of
//! elements above τ. Newton's method from the left, τ = (Σ x − 1)/s over the elements above the last τ, never passes the
//! root, and each step makes the product g·s a quarter at least; from g·s ≤ n² it takes log₂ n + 12 steps to 2⁻²⁴, and
//! stays where it is afterwards. No sort is needed, and lanes share a row.

use crate::Tensor;
use crate::contract::{Case, Entry, Fill, Launch, Sample, Shader, Vjp, shader};
use crate::number::{Real, UNIT};
use crate::op::shape::along::Along;
use crate::op::shape::row_map::{RowFormula, RowMap, RowMapBackward, SHAPES};
use crate::target::Target;

const SHADER: Shader = shader!("sparsemax", "rows", "along");

pub const ENTRY: Entry = Entry::new("sparsemax", &[SHADER], cases);

#[derive(Debug, Clone, Copy)]
pub(super) struct Sparsemax;

/// Newton's steps for rows of `columns` elements, one to spare.
fn steps(columns: usize) -> u32 {
    columns.next_power_of_two().ilog2() + 13
}

impl RowFormula for Sparsemax {
    const NAMES: [&'static str; 2] = ["sparsemax", "sparsemax.backward"];
    const SHADER: Shader = SHADER;
    const UNITS: [f64; 2] = [1.0, 1.0];

    fn forward(self, along: Along, target: &Target) -> Launch {
        let steps = steps(along.len);
        let passes = u64::from(steps) + 2;
        let launch = along.launch((Self::SHADER, "forward"), (passes, 2 * passes), target);
        launch.param("rounds", steps)
    }

    fn backward(self, along: Along, target: &Target) -> Launch {
        let launch = along.launch((Self::SHADER, "backward"), (2, 2), target);
        launch.param("rounds", 0u32)
    }

    #[inline(always)]
    fn values<T: Real>(self, y: &mut [T], x: &[T], columns: usize, _total: impl Fn(&[T]) -> T) {
        for (y, x) in y.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
            let larger = |m: T, &x: &T| if x > m || x.is_nan() { x } else { m };
            let largest = x.iter().fold(T::neg_infinity(), larger);
            let mut tau = -T::one();
            loop {
                let above = x.iter().map(|&x| x - largest).filter(|&z| z > tau);
                let (sum, count) = above.fold((T::zero(), T::zero()), |(sum, count), z| {
                    (sum + z, count + T::one())
                });
                let next = (sum - T::one()) / count;
                if next > tau {
                    tau = next;
                } else {
                    break;
                }
            }
            for (y, &x) in y.iter_mut().zip(x) {
                let z = (x - largest) - tau;
                *y = if z < T::zero() { T::zero() } else { z };
            }
        }
    }

    #[inline(always)]
    fn slopes<T: Real>(self, dx: &mut [T], y: &[T], dy: &[T], _total: impl Fn(&[T]) -> T) {
        let support = y.iter().zip(dy).filter(|(y, _)| **y > T::zero());
        let (sum, count) = support.fold((T::zero(), T::zero()), |(sum, count), (_, &dy)| {
            (sum + dy, count + T::one())
        });
        for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
            *dx = match y {
                y if y.is_nan() => y,
                y if y > T::zero() => dy - sum / count,
                _ => T::zero(),
            };
        }
    }

    /// The elements above τ lie within 1 of the largest: s of them have a sum up to s with the error γₛ·s, which the
    /// division makes γₛ; subtracting the largest, and τ, are roundings of numbers up to 1. An element that rounding takes
    /// for one above τ, or not, adds no more, because it is as near to τ as that.
    fn add_errors(self, bound: &mut [f64], x: &[f64], _y: &[f64]) {
        let error = 2.0 * Sample::gamma(x.len()) + 8.0 * UNIT;
        for bound in bound {
            *bound += error;
        }
    }

    /// γ of the sum, made smaller by the division as the terms are, the division's 2.5 units and the difference's one.
    fn add_slope_errors(self, bound: &mut [f64], y: &[f64], dy: &[f64]) {
        let support = y.iter().zip(dy).filter(|(y, _)| **y > 0.0);
        let (terms, count) = support.fold((0.0, 0.0), |(sum, count), (_, dy)| {
            (sum + dy.abs(), count + 1.0)
        });
        let error = (Sample::gamma(dy.len()) + 6.0 * UNIT) * terms / f64::max(count, 1.0);
        for bound in bound {
            *bound += error;
        }
    }

    /// The same operation on dL/d(dx); y has a part in it by its support alone, which jumps.
    fn second(op: RowMapBackward<Self>, vjp: &Vjp<'_>) -> Result<[Option<Tensor>; 2], String> {
        let (y, g) = (&vjp.inputs[0], vjp.dy()?);
        let by_dy = || y.graph().apply_one(op, &[y, g]);
        Ok([None, vjp.wanted[1].then(by_dy)])
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let of = |axis: isize| RowMap {
        function: Sparsemax,
        axis,
    };
    for (shape, axis) in SHAPES {
        let op = of(axis);
        // The support is a part of the row, nearly all of it, or one element.
        cases.push(Case::new(op).input(shape, Fill::Uniform(-1.0, 1.0)));
        for fill in [Fill::Uniform(0.0, 0.001), Fill::Uniform(-1e4, 1e4)] {
            cases.push(Case::new(op).input(shape, fill).without_gradient());
        }
        for fill in [Fill::Binary, Fill::Uniform(0.0, 1.0)] {
            let backward = Case::new(RowMapBackward(op)).constant(shape, fill);
            cases.push(Case {
                gradients: vec![1],
                ..backward.constant(shape, Fill::Uniform(-2.0, 2.0))
            });
        }
    }
    // Each step of Newton's drops one element only.
    let steep: Vec<f32> = (0..20).map(|i| -(0.5f32.powi(i))).collect();
    cases.push(Case::new(of(-1)).constant(&[20], Fill::Values(steep)));
    cases
}
