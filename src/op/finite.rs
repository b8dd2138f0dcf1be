//! Whether tensors hold a number that is not finite: one pass over several of them, which writes nothing where all are.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    expect_dtype, shader,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, TensorType};

use super::scale;

const SHADER: Shader = shader!("finite");

pub const ENTRY: Entry = Entry::new("finite", &[SHADER], cases);

/// Most tensors of a call: with the state as many storage buffers as every adapter binds, one left for a guard.
pub const MAX_CHECKED_TENSORS: usize = 6;

/// Looks for numbers that are not finite. Inputs: a loss scale's state u32 \[8\], updated in place, whose word
/// [`scale::FOUND`] is set if there is one; up to 6 tensors. No output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finite;

impl Op for Finite {
    fn name(&self) -> &'static str {
        "finite"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let Some((state, tensors)) = inputs.split_first() else {
            return Err("got no inputs".into());
        };
        if *state != TensorType::u32([scale::WORDS]) {
            let wanted = TensorType::u32([scale::WORDS]);
            return Err(format!("state must be {wanted}, got {state}"));
        }
        if !(1..=MAX_CHECKED_TENSORS).contains(&tensors.len()) {
            return Err(format!(
                "takes 1 to {MAX_CHECKED_TENSORS} tensors, got {}",
                tensors.len()
            ));
        }
        for tensor in tensors {
            expect_dtype("x", tensor, DType::F32)?;
        }
        Ok(Vec::new())
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const NAMES: [&str; MAX_CHECKED_TENSORS] =
            ["len_0", "len_1", "len_2", "len_3", "len_4", "len_5"];
        let tensors = &signature.inputs[1..];
        let fours = tensors.iter().map(|tensor| tensor.elements().div_ceil(4));
        let mut launch = Launch::new(SHADER, "find");
        for (i, name) in NAMES.into_iter().enumerate() {
            let len = tensors.get(i).map_or(0, TensorType::elements);
            // What is not there is the first one, of which nothing is read.
            let bound = if i < tensors.len() { i + 1 } else { 1 };
            launch = launch.param(name, len as usize).bind(Binding::Input(bound));
        }
        Ok(launch
            .bind(Binding::Input(0))
            .over(fours.sum(), 256)
            .flops(tensors.iter().map(TensorType::elements).sum())
            .into())
    }

    fn bound(&self, _sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // A word.
        vec![vec![0.0; scale::WORDS]]
    }
}

impl Compute for Finite {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        for i in 1..io.signature.inputs.len() {
            let x = io.input(i);
            // A sum that cannot be finite if any element is not; f32 may overflow it otherwise, so elements are asked then.
            let unsure = !T::total(x).is_finite();
            if unsure && x.iter().any(|x| !x.is_finite()) {
                io.output_words(0)[scale::FOUND] = 1;
            }
        }
    }
}

fn cases() -> Vec<Case> {
    let shapes: [&[&[usize]]; 14] = [
        &[&[]],
        &[&[1]],
        &[&[2]],
        &[&[3]],
        &[&[17]],
        &[&[33, 10]],
        &[&[255], &[1]],
        &[&[257], &[3, 5], &[2]],
        &[&[1000], &[33, 17], &[17], &[256]],
        &[&[70_000]],
        &[&[300, 257], &[257], &[10]],
        &[&[1], &[2], &[3], &[4], &[5], &[6]],
        &[&[10, 7], &[7], &[7, 5], &[5], &[5, 3], &[3]],
        &[&[300, 257], &[257], &[257, 33], &[33], &[33, 10], &[10]],
    ];
    let mut cases = Vec::new();
    for (number, tensors) in shapes.into_iter().enumerate() {
        // The one that has it, none, and numbers whose sum is not finite though all of them are.
        let last = tensors.len() - 1;
        for bad in [None, Some(0), Some(last / 2), Some(last)] {
            let mut words = vec![0; scale::WORDS];
            (words[scale::GOOD], words[scale::FOUND]) = (3, u32::from(number % 5 == 4));
            let mut case = Case::new(Finite).words(&[scale::WORDS], Fill::Words(words));
            for (i, shape) in tensors.iter().enumerate() {
                let len: usize = shape.iter().product();
                let mut values = vec![if number % 2 == 0 { 1.0 } else { 3e38 }; len];
                if bad == Some(i) {
                    // The last element alone, or one in the middle.
                    let at = if number % 3 == 0 { len / 2 } else { len - 1 };
                    values[at] = [f32::INFINITY, f32::NEG_INFINITY][number % 2];
                }
                case = case.constant(shape, Fill::Values(values));
            }
            cases.push(case);
        }
    }
    cases
}
