//! Class labels as rows of shares: sharesᵣⱼ = wⱼ·((1 − s)·[labelᵣ = j] + s/classes), zeros where the label is ignored.
//!
//! With them the one cross-entropy of shares has label smoothing, class weights and an ignored class, as PyTorch's
//! `CrossEntropyLoss` and `NLLLoss` define them; the sum over a row without smoothing is the weight of its class.

use crate::contract::{
    Case, Compute, Entry, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp, expect_dtype,
    shader, shapes,
};
use crate::number::Real;
use crate::op::shape::rows::elementwise;
use crate::target::Target;
use crate::{DType, Tensor, TensorType};

const SHADER: Shader = shader!("one_hot");

pub const ENTRY: Entry = Entry::new("one_hot", &[SHADER], cases);

/// Inputs: labels u32, one for each row, and, if there are class weights, `[classes]` numbers; output: the labels' shape
/// with a dimension of `classes` after it.
///
/// A label that names no class gives NaN, unless it is ignored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneHot {
    /// The number of classes.
    pub classes: usize,
    /// s: the part of a one that all classes share.
    pub smoothing: f32,
    /// The label whose rows are zeros.
    pub ignored: Option<u32>,
}

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let (labels, weights) = match inputs {
            [labels] => (labels, None),
            [labels, weights] => (labels, Some(weights)),
            _ => {
                return Err(format!(
                    "takes labels and class weights, got {} inputs",
                    inputs.len()
                ));
            }
        };
        expect_dtype("labels", labels, DType::U32)?;
        if let Some(weights) = weights.filter(|w| **w != TensorType::f32([self.classes])) {
            let classes = self.classes;
            return Err(format!(
                "class weights must be [{classes}] numbers, got {weights}"
            ));
        }
        if self.classes == 0 || u32::try_from(self.classes).is_err() {
            return Err(format!(
                "there must be from 1 to 2³² − 1 classes, got {}",
                self.classes
            ));
        }
        let shape = [labels.shape.dims(), &[self.classes]].concat();
        Ok(vec![TensorType::f32(shape)])
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        if vjp.wanted.get(1) == Some(&true) {
            return Err("class weights have no gradient".into());
        }
        Ok(vec![None; vjp.inputs.len()])
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let inputs = signature.inputs.len();
        let entry = if inputs == 1 {
            "forward"
        } else {
            "forward_weighted"
        };
        Ok(elementwise(SHADER, entry, &signature.outputs[0].shape)
            .set("IGNORES", self.ignored.is_some())
            .param("smoothing", self.smoothing)
            .param("ignored", self.ignored.unwrap_or_default())
            .bind_all(inputs, 1)
            .into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A difference, a division, a sum and a product; without smoothing and weights exact.
        vec![sample.relative(0, 5.0)]
    }
}

impl Compute for OneHot {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let labels = io.words(0);
        let weights = (io.signature.inputs.len() > 1).then(|| io.input(1));
        let smoothing = T::constant(f64::from(self.smoothing));
        let (own, all) = (
            T::one() - smoothing,
            smoothing / T::constant(self.classes as f64),
        );
        let rows = io.output(0).chunks_exact_mut(self.classes);
        for (row, &label) in rows.zip(labels) {
            if self.ignored == Some(label) {
                row.fill(T::zero());
                continue;
            }
            row.fill(all);
            match row.get_mut(label as usize) {
                Some(share) => *share += own,
                None => row.fill(T::nan()),
            }
            for (share, &weight) in row.iter_mut().zip(weights.into_iter().flatten()) {
                *share = *share * weight;
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [(&[usize], usize); 10] = shapes![
        1: 1; 2: 3; 17: 10; 33: 17; 255: 2; 256: 3; 2 x 3: 5; 33: 257; 1000: 10; 2: 70_000
    ];
    let shapes = [(&[][..], 3)].into_iter().chain(shapes);
    let mut cases = Vec::new();
    for (i, (rows, classes)) in shapes.enumerate() {
        for (smoothing, ignored) in [(0.0, None), (0.1, Some(i as u32 % 2)), (0.25, None)] {
            let op = OneHot {
                classes,
                smoothing,
                ignored,
            };
            let case = Case::new(op).words(rows, Fill::Below(classes as u32));
            cases.push(match ignored {
                None => case,
                Some(_) => case.constant(&[classes], Fill::Uniform(0.0, 3.0)),
            });
        }
    }
    // Labels that name no class, one of them ignored.
    for ignored in [None, Some(u32::MAX), Some(2)] {
        let op = OneHot {
            classes: 3,
            smoothing: 0.1,
            ignored,
        };
        cases.push(Case::new(op).words(&[5], Fill::Words(vec![0, 3, 2, u32::MAX, 1])));
    }
    cases
}
