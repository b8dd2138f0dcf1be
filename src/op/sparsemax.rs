//! Sparsemax of each row: yⱼ = max(xⱼ − τ, 0) with τ such that a row sums to one (Martins, Astudillo: From Softmax to
//! Sparsemax, 2016); dxⱼ = dyⱼ − the mean of dy over {k: yₖ > 0} for j in that set, else 0.
//!
//! τ is the root of g(τ) = Σ max(xⱼ − τ, 0) − 1, which is convex and made of straight pieces of slope −s, s the number of
//! elements above τ. Newton's method from the left, τ = (Σ x − 1)/s over the elements above the last τ, never passes the
//! root, and each step makes the product g·s a quarter at least; from g·s ≤ n² it takes log₂ n + 12 steps to 2⁻²⁴, and
//! stays where it is afterwards. No sort is needed, and lanes share a row.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity,
    expect_dtype, shader,
};
use crate::number::{Real, UNIT};
use crate::op::shape::along::Along;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

const SHADER: Shader = shader!("sparsemax", "rows", "along");

pub const ENTRY: Entry = Entry::new("sparsemax", &[SHADER], cases);

/// y = sparsemax x, row by row. x: at least one dimension; y: the same shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sparsemax {
    /// The dimension that rows go along, counted from the back where it is negative.
    pub axis: isize,
}

/// dx from y and dy, one shape.
#[derive(Debug, Clone, Copy)]
struct Backward(Sparsemax);

/// Newton's steps for rows of `columns` elements, one to spare.
fn steps(columns: usize) -> u32 {
    columns.next_power_of_two().ilog2() + 13
}

impl Op for Sparsemax {
    fn name(&self) -> &'static str {
        "sparsemax"
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
        let steps = steps(along.len);
        let passes = u64::from(steps) + 2;
        let launch = along.launch((SHADER, "forward"), (passes, 2 * passes), target);
        Ok(launch.param("rounds", steps).bind_all(1, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // The elements above τ lie within 1 of the largest: s of them have a sum up to s with the error γₛ·s, which the
        // division makes γₛ; subtracting the largest, and τ, are roundings of numbers up to 1. An element that rounding
        // takes for one above τ, or not, adds no more, because it is as near to τ as that.
        let along = Along::admitted(&sample.signature.inputs[0], self.axis);
        let error = 2.0 * Sample::gamma(along.len) + 8.0 * UNIT;
        let bound = sample.relative(0, 1.0).into_iter();
        vec![bound.map(|relative| relative + error).collect()]
    }
}

impl Compute for Sparsemax {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.axis);
        let x = io.input(0);
        let y = io.output(0);
        for row in 0..along.rows() {
            let values = along.row(x, row);
            let larger = |m: T, x: T| if x > m || x.is_nan() { x } else { m };
            let largest = values.clone().fold(T::neg_infinity(), larger);
            let mut tau = -T::one();
            loop {
                let above = values.clone().map(|x| x - largest).filter(|&z| z > tau);
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
            for at in along.places(row) {
                let z = (x[at] - largest) - tau;
                y[at] = if z < T::zero() { T::zero() } else { z };
            }
        }
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "sparsemax.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, dy] = arity::<2>(inputs)?;
        Ok(vec![dy.clone()])
    }

    /// The same operation on dL/d(dx); y has a part in it by its support alone, which jumps.
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, g) = (&vjp.inputs[0], vjp.dy()?);
        let by_dy = || y.graph().apply_one(*self, &[y, g]);
        Ok(vec![None, vjp.wanted[1].then(by_dy)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let along = Along::admitted(&signature.inputs[0], self.0.axis);
        let launch = along.launch((SHADER, "backward"), (2, 2), target);
        Ok(launch.param("rounds", 0u32).bind_all(2, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γ of the sum, made smaller by the division as the terms are, the division's 2.5 units and the difference's one.
        let along = Along::admitted(&sample.signature.inputs[0], self.0.axis);
        let mut bound = sample.relative(0, 1.0);
        let (y, dy) = (&sample.inputs[0], &sample.inputs[1]);
        for row in 0..along.rows() {
            let support = along.places(row).filter(|&at| y[at] > 0.0);
            let (terms, count) = support.fold((0.0, 0.0), |(sum, count), at| {
                (sum + dy[at].abs(), count + 1.0)
            });
            let error = (Sample::gamma(along.len) + 6.0 * UNIT) * terms / f64::max(count, 1.0);
            for at in along.places(row) {
                bound[at] += error;
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let along = Along::admitted(&io.signature.inputs[0], self.0.axis);
        let (y, dy) = (io.input(0), io.input(1));
        let dx = io.output(0);
        for row in 0..along.rows() {
            let support = along.places(row).filter(|&at| y[at] > T::zero());
            let (sum, count) = support.fold((T::zero(), T::zero()), |(sum, count), at| {
                (sum + dy[at], count + T::one())
            });
            for at in along.places(row) {
                dx[at] = match y[at] {
                    y if y.is_nan() => y,
                    y if y > T::zero() => dy[at] - sum / count,
                    _ => T::zero(),
                };
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], isize); 12] = [
        (&[1], 0),
        (&[257], 0),
        (&[1, 1], -1),
        (&[2, 3], -1),
        (&[3, 2], 0),
        (&[17, 10], -1),
        (&[33, 17], -1),
        (&[255, 1], 1),
        (&[2, 3, 5], 1),
        (&[3, 257, 2], -2),
        (&[1000, 10], -1),
        (&[3, 1000], -1),
    ];
    let mut cases = Vec::new();
    for (shape, axis) in shapes {
        let op = Sparsemax { axis };
        // The support is a part of the row, nearly all of it, or one element.
        cases.push(Case::new(op).input(shape, Fill::Uniform(-1.0, 1.0)));
        let near = Case::new(op).input(shape, Fill::Uniform(0.0, 0.001));
        cases.push(near.without_gradient());
        let far = Case::new(op).input(shape, Fill::Uniform(-1e4, 1e4));
        cases.push(far.without_gradient());
        for fill in [Fill::Binary, Fill::Uniform(0.0, 1.0)] {
            let backward = Case::new(Backward(op)).constant(shape, fill);
            cases.push(Case {
                gradients: vec![1],
                ..backward.constant(shape, Fill::Uniform(-2.0, 2.0))
            });
        }
    }
    // Each step of Newton's drops one element only.
    let steep: Vec<f32> = (0..20).map(|i| -(0.5f32.powi(i))).collect();
    cases.push(Case::new(Sparsemax { axis: -1 }).constant(&[20], Fill::Values(steep)));
    cases
}
