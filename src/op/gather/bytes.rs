//! Rows of bytes by their numbers, widened in the load: y`[r, …]` = f32(data[indices`[r]`, …]).

use crate::contract::{Case, Compute, Fill, Io, Launches, Op, Sample, Signature, expect_dtype};
use crate::number::Real;
use crate::number::parallel::{Table, pieces};
use crate::target::Target;
use crate::{DType, Shape, Tensor, TensorType};

use super::{Home, MAX_CHUNKS, checked_batch, launched};

/// Bytes of a word.
const BYTES: usize = 4;

/// y`[r, …]` = f32(data[indices`[r]`, …]). Inputs: indices, u32 \[batch\], then one to four chunks of the data, u32
/// \[n, words\] each; output: \[batch, …sample\] numbers from 0 to 255.
///
/// A word holds four bytes, the first in its low bits, and every row begins at a word. Chunks and indices beyond the last row
/// are those of [`Gather`](super::Gather). The data has no gradient.
#[derive(Debug, Clone, PartialEq)]
pub struct GatherBytes {
    /// The shape of a row of bytes.
    pub sample: Shape,
}

impl GatherBytes {
    /// Words of a row, given its bytes.
    pub fn words(bytes: usize) -> usize {
        bytes.div_ceil(BYTES)
    }
}

impl Op for GatherBytes {
    fn name(&self) -> &'static str {
        "gather_bytes"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        let Some((indices, chunks)) = inputs.split_first() else {
            return Err("takes indices and 1 to 4 chunks of data, got nothing".into());
        };
        let batch = checked_batch(indices, chunks)?;
        expect_dtype("data", &chunks[0], DType::U32)?;
        let bytes = usize::try_from(self.sample.elements()).unwrap_or(usize::MAX);
        let words = GatherBytes::words(bytes);
        if !matches!(chunks[0].shape.dims(), &[_, own] if own == words) {
            return Err(format!(
                "rows of {bytes} bytes, {}, are {words} words each, got data {}",
                self.sample, chunks[0]
            ));
        }
        let shape = [&[batch], self.sample.dims()].concat();
        Ok(vec![TensorType::f32(shape)])
    }

    fn touched(&self, signature: &Signature, input: usize) -> u64 {
        // The rows come from one chunk or another; all are counted with the first.
        let rows = signature.inputs[0].elements();
        match input {
            0 => rows,
            1 => rows.saturating_mul(super::row_elements(&signature.inputs[1])),
            _ => 0,
        }
    }

    fn launch(&self, signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let (words, bytes) = (
            super::row_elements(&signature.inputs[1]),
            self.sample.elements(),
        );
        let entry = if bytes == words * BYTES as u64 {
            "widen_vec4"
        } else {
            "widen"
        };
        launched(signature, entry, words, bytes)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        // Whole numbers below 256 are floats of any precision.
        vec![vec![0.0; sample.results[0].len()]]
    }
}

impl Compute for GatherBytes {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        let indices = io.words(0);
        let home = Home::of(io.signature);
        let data: [&[u32]; MAX_CHUNKS] = std::array::from_fn(|i| {
            if i < home.chunks {
                io.words(1 + i)
            } else {
                &[]
            }
        });
        let len = self.sample.elements() as usize;
        pieces::<T, _>(
            indices.len(),
            8 * len,
            (Table(io.output(0), len), indices),
            #[inline(always)]
            |_, (Table(y, _), indices)| {
                for (y, &index) in y.chunks_exact_mut(len).zip(indices) {
                    let (chunk, range) = home.place(index);
                    for (four, word) in y.chunks_mut(BYTES).zip(&data[chunk][range]) {
                        for (value, byte) in four.iter_mut().zip(word.to_le_bytes()) {
                            *value = T::constant(f64::from(byte));
                        }
                    }
                }
            },
        );
    }
}

pub(super) fn cases() -> Vec<Case> {
    // Batch, rows of the chunks, shape of a row: every remainder by 4, and rows longer and shorter than the lanes.
    let shapes: [(usize, &[usize], &[usize]); 18] = [
        (1, &[1], &[]),
        (2, &[3], &[1]),
        (17, &[33], &[3]),
        (5, &[7], &[4]),
        (33, &[5, 5, 2], &[5]),
        (33, &[768], &[2, 3]),
        (257, &[10, 10, 10, 1], &[7]),
        (256, &[100, 100], &[3, 4]),
        (255, &[257], &[31]),
        (40, &[64], &[33]),
        (32, &[100], &[28, 28]),
        (32, &[40, 40, 20], &[784]),
        (7, &[9, 9], &[785]),
        (5, &[11], &[32, 32, 3]),
        (3, &[4, 4, 4, 4], &[70_001]),
        (1000, &[3, 1], &[2, 3, 5]),
        (70_000, &[300, 300, 300, 255], &[1]),
        (65_536, &[255], &[9]),
    ];
    let case = |(batch, chunks, row): (usize, &[usize], &[usize])| {
        let rows: usize = chunks.iter().sum();
        let op = GatherBytes { sample: row.into() };
        let words = GatherBytes::words(row.iter().product());
        // One in sixteen or so lies beyond the data.
        let indices = Fill::Below((rows + rows.div_ceil(16)) as u32);
        let case = Case::new(op).words(&[batch], indices);
        chunks.iter().fold(case, |case, &n| {
            case.words(&[n, words], Fill::Below(u32::MAX))
        })
    };
    shapes.into_iter().map(case).collect()
}

impl Tensor {
    /// The rows of a data set of bytes at these indices, u32 \[batch\], as numbers from 0 to 255: \[batch, …sample\]. The
    /// data lies in one to four `chunks`, u32 \[n, words\] with four bytes to a word, the first in its low bits, and every row
    /// begins at a word; the rest is as for [`gather`](Self::gather).
    #[track_caller]
    pub fn gather_bytes(&self, chunks: &[&Tensor], sample: impl Into<Shape>) -> Tensor {
        let op = GatherBytes {
            sample: sample.into(),
        };
        self.graph().apply_one(op, &[&[self], chunks].concat())
    }
}
