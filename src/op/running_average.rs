//! Running averages, such as batch normalisation keeps: average ← keep·average + (1 − keep)·value. A variance of n values may
//! be taken for that of all they were drawn from: then it is multiplied by n/(n − 1) first, as in PyTorch; Keras does not.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    expect_dtype, shader, shapes,
};
use crate::number::{Real, UNIT};
use crate::target::Target;
use crate::{DType, TensorType};

use super::cursor::{ROWS, WORDS};

const SHADER: Shader = shader!("running_average");

pub const ENTRY: Entry = Entry::new("running_average", &[SHADER], cases);

/// average ← keep·average + (1 − keep)·value. Inputs: average, updated in place, value of the same shape, and a cursor where
/// batches are ragged. No output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunningAverage {
    /// The share of the old average, in [0, 1]. PyTorch's `momentum` is one less it.
    pub keep: f32,
    /// For a variance: the number of values it is of, whose bias is taken out.
    pub unbiased: Option<usize>,
    /// Values that a row of a batch holds, where batches are ragged: only those of the cursor's rows count.
    pub ragged: Option<usize>,
}

impl RunningAverage {
    fn factor(self, rows: Option<u32>) -> f64 {
        let Some(count) = self.unbiased else {
            return 1.0;
        };
        let n = match (rows, self.ragged) {
            (Some(rows), Some(each)) => count.min(rows as usize * each),
            _ => count,
        };
        n.max(1) as f64 / (n.max(2) - 1) as f64
    }
}

impl Op for RunningAverage {
    fn name(&self) -> &'static str {
        "running_average"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let wanted = 2 + usize::from(self.ragged.is_some());
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} inputs, got {}", inputs.len()));
        }
        expect_dtype("average", &inputs[0], DType::F32)?;
        expect_dtype("value", &inputs[1], DType::F32)?;
        if inputs[0] != inputs[1] {
            return Err(format!(
                "value is {}, but average is {}",
                inputs[1], inputs[0]
            ));
        }
        if let Some(cursor) = inputs.get(2)
            && *cursor != TensorType::u32([WORDS])
        {
            return Err(format!("the cursor must be [{WORDS}] u32, got {cursor}"));
        }
        if (0.0..=1.0).contains(&self.keep) {
            return Ok(Vec::new());
        }
        Err(format!("keep must be between 0 and 1, got {}", self.keep))
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let len = signature.inputs[0].elements();
        let ragged = self.ragged.is_some();
        Ok(Launch::new(SHADER, "update")
            .set("UNBIASED", self.unbiased.is_some())
            .set("RAGGED", ragged)
            .param("len", len as usize)
            .param("count", self.unbiased.unwrap_or(1))
            .param("each", self.ragged.unwrap_or(1))
            .param("keep", self.keep)
            .bind(Binding::Input(1))
            // What is not asked for is bound to the value and never read.
            .bind(Binding::Input(if ragged { 2 } else { 1 }))
            .bind(Binding::Input(0))
            .over(len, 64)
            .flops(len * 4)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // 1 − keep, the factor's division, three products and a sum.
        let keep = f64::from(self.keep);
        let rows = self.ragged.map(|_| sample.inputs[2][ROWS] as u32);
        let factor = self.factor(rows);
        let operands = sample.inputs[0].iter().zip(&sample.inputs[1]);
        let error = |(average, value): (&f64, &f64)| {
            let value = ((1.0 - keep) * factor * value).abs();
            UNIT * (3.0 * (keep * average).abs() + 12.0 * value) + 1e-37
        };
        vec![operands.map(error).collect()]
    }
}

impl Compute for RunningAverage {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let rows = self.ragged.map(|_| io.words(2)[ROWS]);
        let factor = T::constant(self.factor(rows));
        let keep = T::constant(f64::from(self.keep));
        let value = io.input(1);
        for (average, &value) in io.output(0).iter_mut().zip(value) {
            *average = keep * *average + (T::one() - keep) * (factor * value);
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 9] = shapes![
        1; 2; 3; 17; 33 x 5; 257; 1000; 2 x 3 x 5; 70_000
    ];
    let mut cases = Vec::new();
    for (number, shape) in shapes.into_iter().enumerate() {
        let rows = [1, 2, 7, 40][number % 4];
        for (unbiased, ragged) in [
            (None, None),
            (Some(32), None),
            (Some(32), Some(1)),
            (Some(64), Some(2)),
        ] {
            let op = RunningAverage {
                keep: [0.99, 0.9, 0.0, 1.0][number % 4],
                unbiased,
                ragged,
            };
            let case = Case::new(op)
                .constant(shape, Fill::Uniform(-1.0, 2.0))
                .input(shape, Fill::Uniform(0.0, 3.0))
                .without_gradient();
            let cursor = Fill::Words(vec![1, 0, 0, rows, 1000, 0, 0, 0]);
            cases.push(match ragged {
                Some(_) => case.words(&[WORDS], cursor),
                None => case,
            });
        }
    }
    cases
}
