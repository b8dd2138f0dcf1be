//! Categorical hinge of each row: lossᵣ = max(1 + maxⱼ (1 − tⱼ)·yⱼ − Σⱼ tⱼ·yⱼ, 0), as Keras 3 has it.
//!
//! Where the margin is not kept, dyⱼ = ((1 − tⱼ)·[the largest]/(number of largest) − tⱼ)·dloss: like Keras on TensorFlow,
//! equal largest ones share the gradient, and a margin of exactly 0 has one.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity, shader,
};
use crate::number::{Real, UNIT};
use crate::op::shape::row_pairs::{gradients, losses, of_sample};
use crate::op::shape::rows::{Rows, dense};
use crate::target::Target;
use crate::{Tensor, TensorType};

const SHADER: Shader = shader!("categorical_hinge", "rows");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "categorical_hinge",
    shaders: &[SHADER],
    cases,
};

/// loss = max(1 + max (1 − t)·y − Σ t·y, 0) over the last dimension. y and t: one shape, t one-hot; loss: the same
/// without the last dimension.
#[derive(Debug, Clone, Copy)]
pub struct CategoricalHinge;

/// dy. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy)]
struct Backward;

/// What a row is measured by.
struct Sides<T> {
    /// Σ t·y.
    right: T,
    /// max (1 − t)·y.
    wrong: T,
}

impl<T: Real> Sides<T> {
    #[inline(always)]
    fn of(y: &[T], t: &[T]) -> Self {
        let (mut right, mut wrong) = (T::zero(), against(y[0], t[0]));
        for (&y, &t) in y.iter().zip(t) {
            right += t * y;
            wrong = wrong.max(against(y, t));
        }
        Sides { right, wrong }
    }

    #[inline(always)]
    fn margin(&self) -> T {
        self.wrong - self.right + T::one()
    }
}

#[inline(always)]
fn against<T: Real>(y: T, t: T) -> T {
    (T::one() - t) * y
}

impl Op for CategoricalHinge {
    fn name(&self) -> &'static str {
        "categorical_hinge"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(dense(y, t)?)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t) = (&vjp.inputs[0], &vjp.inputs[1]);
        if vjp.wanted[1] {
            return Err("the target of categorical_hinge has no gradient".into());
        }
        let dy = y.graph().apply_one(Backward, &[y, t, vjp.dy()?]);
        Ok(vec![Some(dy), None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 1, target);
        Ok(rows.launch(SHADER, "forward", 1, 2).bind_all(2, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        let bound = of_sample(sample).map(|(y, t)| margin_error(y, t) + 1e-37);
        vec![bound.collect()]
    }
}

/// γ of the sum, two roundings of the largest, two of the margin.
fn margin_error(y: &[f64], t: &[f64]) -> f64 {
    let terms: f64 = y.iter().zip(t).map(|(y, t)| (y * t).abs()).sum();
    let sides = Sides::of(y, t);
    Sample::gamma(y.len()) * terms
        + UNIT * (4.0 * sides.wrong.abs() + 2.0 * sides.right.abs() + 2.0)
}

impl Compute for CategoricalHinge {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        losses(
            io,
            #[inline(always)]
            |y, t| {
                let margin = Sides::of(y, t).margin();
                if margin < T::zero() {
                    T::zero()
                } else {
                    margin
                }
            },
        );
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "categorical_hinge.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    /// The slope is flat between its jumps; by dloss it is the slope for a dloss of 1.
    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        if vjp.wanted[1] {
            return Err("the target of categorical_hinge has no gradient".into());
        }
        let (y, t, dloss, g) = (&vjp.inputs[0], &vjp.inputs[1], &vjp.inputs[2], vjp.dy()?);
        let by_dloss = || {
            let ones = dloss.equal(dloss);
            let slopes = y.graph().apply_one(Backward, &[y, t, &ones]);
            let (rows, columns) = y.shape().rows_and_columns();
            let terms = g.mul(&slopes).reshape([rows, columns]);
            terms.sum_over(1).reshape(dloss.shape())
        };
        Ok(vec![None, None, vjp.wanted[2].then(by_dloss)])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 3, target);
        Ok(rows.launch(SHADER, "backward", 3, 3).bind_all(3, 1).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A division, a difference and a product. Where rounding may put the margin on the other side of 0, or another
        // element among the largest, the whole slope is in doubt.
        let mut bound = sample.relative(0, 4.0);
        let mut bounds = bound.iter_mut();
        for ((y, t), dloss) in of_sample(sample).zip(&sample.inputs[2]) {
            let sides = Sides::of(y, t);
            let near = |y: f64, t: f64| {
                let value = against(y, t);
                value != sides.wrong
                    && (value - sides.wrong).abs() <= 4.0 * UNIT * sides.wrong.abs()
            };
            let exact = t.iter().all(|t| *t == 0.0 || *t == 1.0);
            let tied = !exact && y.iter().zip(t).any(|(&y, &t)| near(y, t));
            let open = sides.margin() != 0.0 && sides.margin().abs() <= margin_error(y, t);
            for (t, bound) in t.iter().zip(&mut bounds) {
                let doubt = if tied || open {
                    (1.0 - t).abs() + t.abs()
                } else {
                    0.0
                };
                *bound += (doubt + 4.0 * UNIT) * dloss.abs();
            }
        }
        vec![bound]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        gradients(
            io,
            #[inline(always)]
            |dy, y, t, dloss| {
                let sides = Sides::of(y, t);
                let largest = |y: T, t: T| against(y, t) == sides.wrong;
                let count = y.iter().zip(t).filter(|(y, t)| largest(**y, **t)).count();
                for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
                    let up = if largest(y, t) {
                        (T::one() - t) / T::of(count as f64)
                    } else {
                        T::zero()
                    };
                    let slope = if sides.margin() < T::zero() {
                        T::zero()
                    } else {
                        up - t
                    };
                    let nan = sides.right.is_nan();
                    *dy = if nan { sides.right } else { slope } * dloss;
                }
            },
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 14] = [
        &[1],
        &[257],
        &[1, 1],
        &[2, 3],
        &[3, 2],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 3],
        &[1000, 10],
        &[2, 3, 5],
        &[33, 257],
        &[3, 1000],
        &[2, 70_000],
    ];
    let mut cases = Vec::new();
    let mut push = |shape: &[usize], y: Fill, t: Fill, smooth: bool| {
        let forward = Case::new(CategoricalHinge).input(shape, y.clone());
        let forward = forward.constant(shape, t.clone());
        cases.push(if smooth {
            forward
        } else {
            forward.without_gradient()
        });
        let rows = &shape[..shape.len() - 1];
        let backward = Case::new(Backward).input(shape, y).constant(shape, t);
        let backward = backward.input(rows, Fill::Uniform(-2.0, 2.0));
        cases.push(if smooth {
            backward
        } else {
            backward.without_gradient()
        });
    };
    for (i, shape) in shapes.into_iter().enumerate() {
        let t = if i % 4 == 3 {
            Fill::Probabilities
        } else {
            Fill::OneHot
        };
        push(shape, Fill::Uniform(-3.0, 3.0), t, true);
    }
    push(&[33, 10], Fill::Uniform(-1e4, 1e4), Fill::OneHot, false);
    // Ties among the largest, and margins of exactly 0, kept, and missed.
    let y = vec![2.0, 1.0, 1.0, 2.0, 2.0, 2.0, 5.0, 1.0, 1.0, -1.0, 3.0, 3.0];
    let t = Fill::Values([1.0, 0.0, 0.0].repeat(4));
    push(&[4, 3], Fill::Values(y), t, false);
    cases
}

impl Tensor {
    /// The categorical hinge max(1 + max (1 − t)·y − Σ t·y, 0) over the last dimension, which is dropped: a loss for each
    /// row. The target has this tensor's shape and is one-hot.
    #[track_caller]
    pub fn categorical_hinge(&self, target: &Tensor) -> Tensor {
        self.graph().apply_one(CategoricalHinge, &[self, target])
    }
}
