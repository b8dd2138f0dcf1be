//! The mean over a batch's own rows: y = Σᵣ xᵣ/n for r < n, where n is the number of rows in the batch at hand.
//!
//! Buffers have room for a full batch. The last batch of an epoch may have fewer rows; what lies after them is left
//! from earlier batches and counts neither in the mean nor in the gradient, dx = dy/n for r < n and 0 after them.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature, Vjp,
    arity, expect_dtype, shader, shapes,
};
use crate::number::Real;
use crate::op::shape::rows::{Rows, elementwise};
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

use super::cursor::{ROWS, WORDS};

const SHADER: Shader = shader!("batch_mean", "rows");

pub const ENTRY: Entry = Entry::new("batch_mean", &[SHADER], cases);

/// y = the mean of the values of the batch's rows. Inputs: values `[rows, …]`, cursor u32 `[8]`; output a scalar.
///
/// More rows than there are count as all, and the mean of none is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct BatchMean;

/// dvalues of `shape`. Inputs: dy, a scalar, and cursor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Backward {
    shape: Shape,
}

/// Rows, and values in each.
fn sizes(values: &Shape) -> (usize, usize) {
    match values.dims().split_first() {
        Some((&rows, inner)) => (rows, inner.iter().product()),
        None => (1, 1),
    }
}

/// The number of values that count.
fn count(values: &Shape, rows_of_batch: u32) -> usize {
    let (rows, inner) = sizes(values);
    rows.min(rows_of_batch as usize) * inner
}

impl Op for BatchMean {
    fn name(&self) -> &'static str {
        "batch_mean"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [values, cursor] = arity::<2>(inputs)?;
        expect_dtype("values", values, DType::F32)?;
        if values.shape.rank() == 0 {
            return Err("values must have rows, got a scalar".into());
        }
        if *cursor != TensorType::u32([WORDS]) {
            return Err(format!("the cursor must be [{WORDS}] u32, got {cursor}"));
        }
        Ok(vec![TensorType::f32([])])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let (values, cursor) = (&vjp.inputs[0], &vjp.inputs[1]);
        let shape = values.shape();
        let dvalues = values
            .graph()
            .apply_one(Backward { shape }, &[vjp.dy()?, cursor]);
        Ok(vec![Some(dvalues), None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let (rows, inner) = sizes(&signature.inputs[0].shape);
        let all = Rows::of(1, signature.inputs[0].elements(), 1, target);
        Ok(all
            .share(Launch::new(SHADER, "forward"), 1, 1)
            .param("rows", rows)
            .param("columns", inner)
            .bind_all(2, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // γ of the sum, and a division, three roundings more.
        let shape = &sample.signature.inputs[0].shape;
        let n = count(shape, sample.inputs[1][ROWS] as u32);
        let terms: f64 = sample.inputs[0][..n].iter().map(|x| x.abs()).sum();
        vec![vec![Sample::gamma(n + 4) * terms / n.max(1) as f64 + 1e-37]]
    }
}

impl Compute for BatchMean {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let n = count(&io.signature.inputs[0].shape, io.words(1)[ROWS]);
        let sum = T::total(&io.input(0)[..n]);
        io.output(0)[0] = sum / T::constant(n.max(1) as f64);
    }
}

impl Op for Backward {
    fn name(&self) -> &'static str {
        "batch_mean.backward"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [_, _] = arity::<2>(inputs)?;
        Ok(vec![TensorType::f32(&self.shape)])
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (rows, inner) = sizes(&self.shape);
        let matrix = Shape::from([rows, inner]);
        Ok(elementwise(SHADER, "backward", &matrix)
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Output(0))
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A division; zeros are exact.
        vec![sample.relative(0, 3.0)]
    }
}

impl Compute for Backward {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let n = count(&self.shape, io.words(1)[ROWS]);
        let share = io.input(0)[0] / T::constant(n.max(1) as f64);
        let (own, stale) = io.output(0).split_at_mut(n);
        own.fill(share);
        stale.fill(T::zero());
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 12] = shapes![
        1; 2; 3; 17; 33; 255; 256; 257; 1000; 70_000; 33 x 5; 2 x 3 x 5
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        let rows = shape[0] as u32;
        // A full batch, ragged ones, none, and a cursor that is wrong.
        for own in [rows, 1, rows.div_ceil(2), rows - 1, 0, rows + 1] {
            let mut cursor = vec![7; WORDS];
            cursor[ROWS] = own;
            let cursor = Fill::Words(cursor);
            let forward = Case::new(BatchMean).input(shape, Fill::Uniform(-1.0, 3.0));
            let forward = forward.words(&[WORDS], cursor.clone());
            cases.push(if own < rows {
                forward.without_nan()
            } else {
                forward
            });
            let shape = Shape::from(shape);
            let backward = Case::new(Backward { shape }).input(&[], Fill::Uniform(-2.0, 2.0));
            let backward = backward.words(&[WORDS], cursor).without_gradient();
            cases.push(if own == 0 {
                backward.without_nan()
            } else {
                backward
            });
        }
    }
    cases
}
