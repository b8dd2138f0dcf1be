//! Categorical hinge of each row: lossᵣ = max(1 + maxⱼ (1 − tⱼ)·yⱼ − Σⱼ tⱼ·yⱼ, 0), as Keras 3 has it.
//!
//! Where the margin is not kept, dyⱼ = ((1 − tⱼ)·[the largest]/(number of largest) − tⱼ)·dloss: like Keras on TensorFlow,
//! equal largest ones share the gradient, and a margin of exactly 0 has one.

use crate::Tensor;
use crate::contract::{Case, Entry, Fill, Sample, Shader, Vjp, shader};
use crate::number::{Real, UNIT};

use super::row_reduction::{
    self, Comparison, RowReduction, RowReductionBackward, SHAPES, TargetGradient,
};

const SHADER: Shader = shader!("categorical_hinge", "rows");

pub const ENTRY: Entry = Entry::new("categorical_hinge", &[SHADER], cases);

/// loss = max(1 + max (1 − t)·y − Σ t·y, 0) over the last dimension. y and t: one shape, t one-hot; loss: the same
/// without the last dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CategoricalHinge;

/// What a row is measured by.
struct HingeSides<T> {
    /// Σ t·y.
    right: T,
    /// max (1 − t)·y.
    wrong: T,
}

impl<T: Real> HingeSides<T> {
    #[inline(always)]
    fn of(y: &[T], t: &[T]) -> Self {
        let (mut right, mut wrong) = (T::zero(), against(y[0], t[0]));
        for (&y, &t) in y.iter().zip(t) {
            right += t * y;
            wrong = wrong.max(against(y, t));
        }
        HingeSides { right, wrong }
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

/// γ of the sum, two roundings of the largest, two of the margin.
fn margin_error(y: &[f64], t: &[f64]) -> f64 {
    let terms: f64 = y.iter().zip(t).map(|(y, t)| (y * t).abs()).sum();
    let sides = HingeSides::of(y, t);
    Sample::gamma(y.len()) * terms
        + UNIT * (4.0 * sides.wrong.abs() + 2.0 * sides.right.abs() + 2.0)
}

impl Comparison for CategoricalHinge {
    fn names(&self) -> [&'static str; 2] {
        ["categorical_hinge", "categorical_hinge.backward"]
    }

    fn shader(&self) -> Shader {
        SHADER
    }

    fn trees(&self) -> (u64, Option<(u64, u64)>) {
        (2, Some((3, 3)))
    }

    fn of_targets(&self) -> TargetGradient<Self> {
        TargetGradient::None
    }

    #[inline(always)]
    fn value<T: Real>(&self, y: &[T], t: &[T]) -> T {
        let margin = HingeSides::of(y, t).margin();
        if margin < T::zero() {
            T::zero()
        } else {
            margin
        }
    }

    #[inline(always)]
    fn slopes<T: Real>(&self, dy: &mut [T], y: &[T], t: &[T], dloss: T) {
        let sides = HingeSides::of(y, t);
        let largest = |y: T, t: T| against(y, t) == sides.wrong;
        let count = y.iter().zip(t).filter(|(y, t)| largest(**y, **t)).count();
        for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
            let up = if largest(y, t) {
                (T::one() - t) / T::constant(count as f64)
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
    }

    /// The slope is flat between its jumps; by dloss it is the slope for a dloss of 1.
    fn second(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t, dloss, g) = (&vjp.inputs[0], &vjp.inputs[1], &vjp.inputs[2], vjp.dy()?);
        let by_dloss = || {
            let ones = dloss.equal(dloss);
            let op = RowReductionBackward(CategoricalHinge);
            let slopes = y.graph().apply_one(op, &[y, t, &ones]);
            let (rows, columns) = y.shape().rows_and_columns();
            let terms = g.mul(&slopes).reshape([rows, columns]);
            terms.sum_over(1).reshape(dloss.shape())
        };
        Ok(vec![None, None, vjp.wanted[2].then(by_dloss)])
    }

    fn value_error(&self, y: &[f64], t: &[f64], _loss: f64) -> f64 {
        margin_error(y, t)
    }

    /// A division, a difference and a product.
    fn slope_units(&self) -> f64 {
        4.0
    }

    /// Where rounding may put the margin on the other side of 0, or another element among the largest, the whole slope is in
    /// doubt.
    fn add_slope_errors(&self, bound: &mut [f64], y: &[f64], t: &[f64], dloss: f64) {
        let sides = HingeSides::of(y, t);
        let near = |y: f64, t: f64| {
            let value = against(y, t);
            value != sides.wrong && (value - sides.wrong).abs() <= 4.0 * UNIT * sides.wrong.abs()
        };
        let exact = t.iter().all(|t| *t == 0.0 || *t == 1.0);
        let tied = !exact && y.iter().zip(t).any(|(&y, &t)| near(y, t));
        let open = sides.margin() != 0.0 && sides.margin().abs() <= margin_error(y, t);
        for (bound, t) in bound.iter_mut().zip(t) {
            let doubt = if tied || open {
                (1.0 - t).abs() + t.abs()
            } else {
                0.0
            };
            *bound += (doubt + 4.0 * UNIT) * dloss.abs();
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut push = |shape: &[usize], y: Fill, t: Fill, smooth: bool| {
        cases.extend(row_reduction::pair(
            CategoricalHinge,
            shape,
            (y, t),
            smooth,
            true,
        ));
    };
    for (i, shape) in SHAPES.into_iter().enumerate() {
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
    pub(crate) fn categorical_hinge(&self, target: &Tensor) -> Tensor {
        self.graph()
            .apply_one(RowReduction(CategoricalHinge), &[self, target])
    }
}
