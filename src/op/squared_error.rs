//! Squared error of each row: lossᵣ = scale·Σⱼ (yᵣⱼ − tᵣⱼ)²; dyᵣⱼ = 2·scale·(yᵣⱼ − tᵣⱼ)·dlossᵣ, dt = −dy.
//!
//! The mean squared error of Keras has scale 1/columns; the half squared error of textbooks, whose derivative is y − t,
//! has ½.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity, shader,
};
use crate::number::Real;
use crate::op::shape::pair_gradients::pair_gradients;
use crate::op::shape::row_pairs::{gradients, losses};
use crate::op::shape::rows::{Rows, dense, elementwise};
use crate::target::Target;
use crate::{Tensor, TensorType};

const SHADER: Shader = shader!("squared_error", "rows");

/// The line in [`op::all`](super::all).
pub const ENTRY: Entry = Entry {
    name: "squared_error",
    shaders: &[SHADER],
    cases,
};

/// loss = scale·Σ (y − t)² over the last dimension. y and t: one shape; loss: the same without the last dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquaredError {
    /// The factor of the sum.
    pub scale: f32,
}

/// dy = 2·scale·(y − t)·dloss. Inputs: y, t, dloss; output dy, shaped as y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Backward(pub SquaredError);

impl Op for SquaredError {
    fn name(&self) -> &'static str {
        "squared_error"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, t] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(dense(y, t)?)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (y, t) = (&vjp.inputs[0], &vjp.inputs[1]);
        let dy = y.graph().apply_one(Backward(*self), &[y, t, vjp.dy()?]);
        let dt = vjp.wanted[1].then(|| dy.neg());
        Ok(vec![Some(dy), dt])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let rows = Rows::new(&signature.inputs[0].shape, 1, target);
        Ok(rows
            .launch(SHADER, "forward", 1, 1)
            .param("scale", self.scale)
            .bind_all(2, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A sum of squares: γ of its length, and of the difference (twice, being squared) and the factor.
        let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
        let losses = sample.results[0].iter();
        vec![
            losses
                .map(|loss| Sample::gamma(columns + 3) * loss.abs() + 1e-37)
                .collect(),
        ]
    }
}

impl Compute for SquaredError {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let scale = T::of(f64::from(self.scale));
        losses(
            io,
            #[inline(always)]
            |y, t| {
                let squares = y.iter().zip(t).map(|(&y, &t)| (y - t) * (y - t));
                scale * squares.sum()
            },
        );
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "squared_error.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [y, _, _] = arity::<3>(inputs)?;
        Ok(vec![y.clone()])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        pair_gradients(vjp, |y, t| y - t, |slopes| slopes.scale(2.0 * self.0.scale))
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        Ok(elementwise(SHADER, "backward", &signature.inputs[0].shape)
            .param("scale", self.0.scale)
            .bind_all(3, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A difference and two products; doubling is exact.
        vec![sample.relative(0, 2.0)]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let scale = T::of(2.0 * f64::from(self.0.scale));
        gradients(
            io,
            #[inline(always)]
            |dy, y, t, dloss| {
                for ((dy, &y), &t) in dy.iter_mut().zip(y).zip(t) {
                    *dy = scale * (y - t) * dloss;
                }
            },
        );
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 15] = [
        &[1],
        &[257],
        &[1, 1],
        &[2, 3],
        &[3, 2],
        &[17, 10],
        &[33, 17],
        &[255, 1],
        &[256, 10],
        &[257, 3],
        &[1000, 1],
        &[2, 3, 5],
        &[33, 257],
        &[3, 1000],
        &[2, 70_000],
    ];
    let mut cases = Vec::new();
    for (i, shape) in shapes.into_iter().enumerate() {
        let scale = [0.5, 1.0, 0.1][i % 3];
        let rows = &shape[..shape.len() - 1];
        let forward = Case::new(SquaredError { scale }).input(shape, Fill::Uniform(-2.0, 3.0));
        cases.push(forward.input(shape, Fill::Uniform(-3.0, 2.0)));
        let backward = Case::new(Backward(SquaredError { scale }))
            .input(shape, Fill::Uniform(-2.0, 3.0))
            .input(shape, Fill::Uniform(-3.0, 2.0))
            .input(rows, Fill::Uniform(-2.0, 2.0));
        cases.push(backward);
    }
    cases
}

impl Tensor {
    /// `scale`·Σ (y − target)² over the last dimension, which is dropped: a loss for each row.
    ///
    /// The mean squared error has `scale` 1/columns, the half squared error ½.
    #[track_caller]
    pub fn squared_error(&self, target: &Tensor, scale: f32) -> Tensor {
        self.graph()
            .apply_one(SquaredError { scale }, &[self, target])
    }
}
