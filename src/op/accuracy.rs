//! The share of right predictions in each row, as Keras's BinaryAccuracy, CategoricalAccuracy and
//! SparseCategoricalAccuracy.
//!
//! Among equal numbers the first counts as the largest. A NaN in a row gives NaN, where Keras counts a miss: a diverged
//! model should not pass for a bad one.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, arity, shader,
    shapes,
};
use crate::number::Real;
use crate::op::shape::rows::{RowTarget, Rows, TargetRows, dense, sparse};
use crate::target::Target;
use crate::{Tensor, TensorType};

const SHADER: Shader = shader!("accuracy", "rows");

pub const ENTRY: Entry = Entry::new("accuracy", &[SHADER], cases);

/// Which predictions are right. Predictions: `[rows, columns]`; the result: `[rows]`. It has no gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Accuracy {
    /// Each column by itself, averaged: whether \[p > threshold\] equals the target \[rows, columns\] of zeros and ones.
    Binary {
        /// Above it a prediction means one; usually ½, of logits 0.
        threshold: f32,
    },
    /// Whether the largest prediction is where the target \[rows, columns\] has its largest.
    Categorical,
    /// Whether the largest prediction is at the label, u32 \[rows\]. A label that names no column gives NaN.
    Sparse,
}

use Accuracy::{Binary, Categorical, Sparse};

impl Op for Accuracy {
    fn name(&self) -> &'static str {
        match self {
            Binary { .. } => "binary_accuracy",
            Categorical => "categorical_accuracy",
            Sparse => "sparse_categorical_accuracy",
        }
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [p, t] = arity::<2>(inputs)?;
        let rows = match self {
            Binary { .. } | Categorical => dense(p, t)?,
            Sparse => sparse(p, t)?,
        };
        Ok(vec![TensorType::f32(rows)])
    }

    /// It is flat wherever it does not jump.
    fn gradient(&self, _vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        Ok(vec![None, None])
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let (entry, passes, trees, threshold) = match *self {
            Binary { threshold } => ("forward_binary", 1, 1, threshold),
            Categorical => ("forward_classes", 4, 5, 0.0),
            Sparse => ("forward_classes", 2, 3, 0.0),
        };
        let rows = Rows::new(&signature.inputs[0].shape, passes, target);
        Ok(rows
            .launch(SHADER, entry, passes, trees)
            .set("SPARSE", matches!(self, Sparse))
            .param("threshold", threshold)
            .bind_all(2, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Counts are exact; WGSL allows the division 2.5 units.
        vec![sample.relative(0, 3.0)]
    }
}

impl Compute for Accuracy {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        scores(io, |p, target| self.of_row(p, target));
    }
}

/// A number of each row of input 0 and its target, input 1, which is none where its label names no column.
#[inline(always)]
pub(super) fn scores<T: Real>(
    io: &mut Io<'_, T>,
    of_row: impl Fn(&[T], Option<RowTarget<'_, T>>) -> T,
) {
    let (_, columns) = io.matrix(0);
    let rows = io.input(0).chunks_exact(columns);
    let targets = TargetRows::of(io, 1);
    for (r, (score, row)) in io.output(0).iter_mut().zip(rows).enumerate() {
        *score = of_row(row, targets.row(r, columns));
    }
}

/// One where it is so, else zero.
pub(super) fn one_if<T: Real>(condition: bool) -> T {
    if condition { T::one() } else { T::zero() }
}

/// The class that a target names; none where it has a NaN.
pub(super) fn wanted<T: Real>(target: RowTarget<'_, T>) -> Option<usize> {
    match target {
        RowTarget::Shares(t) => largest(t),
        RowTarget::Label(label) => Some(label),
    }
}

impl Accuracy {
    /// The share of right predictions in a row; NaN where its label names no column, or where there is one in it.
    pub(super) fn of_row<T: Real>(self, p: &[T], target: Option<RowTarget<'_, T>>) -> T {
        match (self, target) {
            (Binary { threshold }, Some(RowTarget::Shares(t))) => {
                let threshold = T::constant(f64::from(threshold));
                let hits = p.iter().zip(t).map(|(&p, &t)| {
                    if p.is_nan() || t.is_nan() {
                        T::nan()
                    } else {
                        one_if(one_if::<T>(p > threshold) == t)
                    }
                });
                hits.sum::<T>() / T::constant(p.len() as f64)
            }
            (Categorical | Sparse, Some(target)) => match (largest(p), wanted(target)) {
                (Some(said), Some(wanted)) => one_if(said == wanted),
                _ => T::nan(),
            },
            (_, None) | (Binary { .. }, Some(RowTarget::Label(_))) => T::nan(),
        }
    }
}

/// The first of the largest; none of a row with a NaN.
pub(super) fn largest<T: Real>(row: &[T]) -> Option<usize> {
    let mut best = 0;
    for (j, &x) in row.iter().enumerate() {
        if x.is_nan() {
            return None;
        }
        if x > row[best] {
            best = j;
        }
    }
    Some(best)
}

/// Shapes of answers to count right ones in.
pub(super) const SHAPES: [&[usize]; 13] = shapes![
    3; 1 x 1; 2 x 3; 3 x 2; 17 x 10; 33 x 17; 255 x 1; 256 x 10; 257 x 3; 1000 x 10; 2 x 3 x 5; 33 x 257;
    2 x 70_000
];

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shape in SHAPES {
        let rows = &shape[..shape.len() - 1];
        let classes = shape[shape.len() - 1] as u32;
        let binary = Case::new(Binary { threshold: 0.3 }).input(shape, Fill::Uniform(0.0, 1.0));
        cases.push(binary.input(shape, Fill::Binary).without_gradient());
        // Zeros and ones for predictions: many are the largest.
        for p in [Fill::Uniform(-1.0, 1.0), Fill::Binary] {
            for t in [Fill::OneHot, Fill::Binary] {
                let case = Case::new(Categorical).input(shape, p.clone());
                cases.push(case.input(shape, t).without_gradient());
            }
            let case = Case::new(Sparse).input(shape, p).without_gradient();
            cases.push(case.words(rows, Fill::Below(classes)));
        }
    }
    // At the threshold, which is not above it; a target that is neither zero nor one is never met.
    let binary = Case::new(Binary { threshold: 0.5 })
        .constant(&[2, 3], Fill::Values(vec![0.5, 0.5, 0.6, 0.6, 0.4, 0.5]));
    cases.push(binary.constant(&[2, 3], Fill::Values(vec![0.0, 1.0, 1.0, 0.5, 0.5, 0.5])));
    let sparse = Case::new(Sparse).constant(&[4, 3], Fill::Uniform(-1.0, 1.0));
    cases.push(sparse.words(&[4], Fill::Words(vec![0, 3, 2, u32::MAX])));
    cases
}

impl Tensor {
    /// The share of right predictions in each row, from 0 to 1: `[…, columns]` becomes `[…]`. `target` is as [`Accuracy`] says for
    /// the kind. A row with a NaN gives NaN. It has no gradient.
    #[track_caller]
    pub(crate) fn accuracy(&self, target: &Tensor, kind: Accuracy) -> Tensor {
        self.graph().apply_one(kind, &[self, target])
    }
}
