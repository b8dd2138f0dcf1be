//! The rows of a step that count where steps without a finite loss do not: all of them or none.

use crate::contract::{
    Binding, Case, Compute, Entry, Fill, Io, Launch, Launches, Op, Sample, Shader, Signature,
    arity, expect_dtype, shader,
};
use crate::number::Real;
use crate::target::Target;
use crate::{DType, TensorType};

use super::cursor::{ROWS, STEP, WORDS};
use super::record::place;

const SHADER: Shader = shader!("finite_rows");

pub const ENTRY: Entry = Entry::new("finite_rows", &[SHADER], cases);

/// The cursor of a step whose loss is finite; of any other the same without rows. Inputs: cursor, u32 \[8\]; ring, \[rows, columns,
/// numbers\], in which the step has recorded its loss. Output: u32 \[8\].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FiniteRows {
    /// The ring's column of the loss.
    pub column: usize,
}

impl Op for FiniteRows {
    fn name(&self) -> &'static str {
        "finite_rows"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let [cursor, ring] = arity::<2>(inputs)?;
        expect_dtype("ring", ring, DType::F32)?;
        if *cursor != TensorType::u32([WORDS]) {
            return Err(format!("cursor must be [{WORDS}] u32, got {cursor}"));
        }
        match *ring.shape.dims() {
            [rows, columns, _] if rows > 0 && self.column < columns => {
                Ok(vec![TensorType::u32([WORDS])])
            }
            _ => Err(format!("column {} of a ring of {ring}", self.column)),
        }
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        match input {
            1 => signature.inputs[1].shape.dims()[2] as u64,
            _ => signature.inputs[input].elements(),
        }
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        const WORKGROUP: u32 = 64;
        let ring = signature.inputs[1].shape.dims();
        Ok(Launch::new(SHADER, "look")
            .set("WORKGROUP", WORKGROUP)
            .param("ring_rows", ring[0])
            .param("columns", ring[1])
            .param("column", self.column)
            .param("numbers", ring[2])
            .bind(Binding::Input(0))
            .bind(Binding::Input(1))
            .bind(Binding::Output(0))
            .grid([1, 1, 1])
            .iterations((ring[2] as u64).div_ceil(u64::from(WORKGROUP)) + 72)
            .into())
    }

    fn bound(&self, _sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Words.
        vec![vec![0.0; WORDS]]
    }
}

impl Compute for FiniteRows {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let mut words = [0; WORDS];
        words.copy_from_slice(io.words(0));
        let loss = place(words[STEP], io.dims(1), self.column);
        if io.input(1)[loss].iter().any(|number| !number.is_finite()) {
            words[ROWS] = 0;
        }
        io.output_words(0).copy_from_slice(&words);
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (number, [rows, columns, numbers]) in [[1, 1, 2], [5, 3, 4], [33, 2, 66], [4, 4, 128]]
        .into_iter()
        .enumerate()
    {
        for bad in [None, Some(0), Some(numbers / 2), Some(numbers - 1)] {
            for elsewhere in [false, true] {
                let column = columns - 1;
                let mut cursor: Vec<u32> = (20..20 + WORDS as u32).collect();
                cursor[STEP] = [1, 7, 4_294_967_295, 8][number];
                let own = place(cursor[STEP], &[rows, columns, numbers], column);
                let mut ring: Vec<f32> = (0..rows * columns * numbers)
                    .map(|i| i as f32 - 9.0)
                    .collect();
                if let Some(bad) = bad {
                    // In its own place, or in the one after it.
                    let at = own.start + bad + if elsewhere { numbers } else { 0 };
                    let len = ring.len();
                    ring[at % len] = [f32::INFINITY, f32::NEG_INFINITY][number % 2];
                }
                cases.push(
                    Case::new(FiniteRows { column })
                        .words(&[WORDS], Fill::Words(cursor))
                        .constant(&[rows, columns, numbers], Fill::Values(ring)),
                );
            }
        }
    }
    cases
}
