//! The data set in a program: its arrays, each in its own type, in chunks that fit a binding.

use crate::graph::Role;
use crate::op::{Gather, MAX_CHUNKS};
use crate::optim::Clock;
use crate::target::Target;
use crate::{DType, Error, Graph, Initial, Result, Tensor, TensorType};

use super::{DataArray, Extent, Recipe, RowProgram, chunk_name};

/// An array of a data set as the device holds it.
#[derive(Debug, Clone)]
pub(crate) struct ArrayKind {
    pub array: DataArray,
    /// A row of it.
    pub row: TensorType,
}

impl ArrayKind {
    /// Four-byte words of a row on the device, where bytes lie four to a word and every row begins at one.
    pub fn words(&self) -> usize {
        let elements = usize::try_from(self.row.elements()).unwrap_or(usize::MAX);
        if self.row.dtype == DType::U8 {
            Gather::words(elements)
        } else {
            elements
        }
    }

    /// The number of the input that it holds, if it is one.
    pub fn input(&self) -> Option<usize> {
        match self.array {
            DataArray::Input(number) => Some(number),
            DataArray::Target(_) | DataArray::Weights => None,
        }
    }

    /// The type of `rows` rows on the device. One integer a row makes a vector.
    fn stored(&self, rows: usize) -> TensorType {
        match (self.row.dtype, self.words()) {
            (DType::U32, 1) => TensorType::u32([rows]),
            (DType::U32 | DType::U8, words) => TensorType::u32([rows, words]),
            (DType::F32 | DType::F16, words) => TensorType::f32([rows, words]),
        }
    }

    /// The rows of the batch at hand: numbers `[batch, columns]`, integers likewise or `[batch]`, bytes as numbers in the shape
    /// of a row.
    fn gathered(&self, clock: &Clock, chunks: &[Tensor]) -> Tensor {
        let chunks: Vec<&Tensor> = chunks.iter().collect();
        if self.row.dtype == DType::U8 {
            clock.indices.gather_bytes(&chunks, &self.row.shape)
        } else {
            clock.indices.gather(&chunks)
        }
    }
}

impl Recipe<'_> {
    /// The arrays of a data set, in the order in which they are prepared: every input, the targets of every objective, and
    /// weights where a row has some.
    pub fn arrays(&self, weights: usize) -> Vec<ArrayKind> {
        let inputs = self.architecture.inputs.iter().enumerate();
        let inputs = inputs.map(|(number, input)| ArrayKind {
            array: DataArray::Input(number),
            row: input.kind.clone(),
        });
        let targets = self.objectives.iter().enumerate();
        let targets = targets.map(|(number, objective)| {
            let output = self.output(objective);
            let row = if objective.takes_labels() {
                TensorType::u32(self.architecture.places_of(output).0)
            } else {
                TensorType::f32(self.architecture.width_of(output))
            };
            let array = DataArray::Target(number);
            ArrayKind { array, row }
        });
        let weights = (weights > 0).then(|| ArrayKind {
            array: DataArray::Weights,
            row: TensorType::f32(weights),
        });
        inputs.chain(targets).chain(weights).collect()
    }

    /// The batch at hand of every array of a program's data set, in the order of [`arrays`](Self::arrays), and the chunks that
    /// each is gathered from.
    pub(super) fn batch(
        &self,
        graph: &Graph,
        program: RowProgram,
        extent: Extent,
        clock: &Clock,
    ) -> Result<Vec<(Tensor, Vec<Tensor>)>> {
        let arrays = self.arrays(extent.weights);
        let gather = |kind: &ArrayKind| {
            let chunks = self.data(graph, &program.array(kind.array), extent, kind)?;
            let batch = kind.gathered(clock, &chunks);
            let Some(input) = kind.input() else {
                return Ok((batch, chunks));
            };
            let sample = self.architecture.inputs[input].kind.shape.dims();
            let dims = [&[extent.batch], sample].concat();
            let batch = if batch.shape().dims() == dims {
                batch
            } else {
                batch.reshape(dims)
            };
            Ok((batch, chunks))
        };
        arrays.iter().map(gather).collect()
    }

    /// An array of a data set on the device, in chunks where it exceeds the largest binding.
    fn data(
        &self,
        graph: &Graph,
        name: &str,
        extent: Extent,
        kind: &ArrayKind,
    ) -> Result<Vec<Tensor>> {
        let most = chunk_rows(self.target, kind.words());
        let chunks = extent.rows.div_ceil(most);
        if chunks > MAX_CHUNKS {
            let row = (kind.words() as u64).saturating_mul(4);
            let bytes = (extent.rows as u64).saturating_mul(row);
            return Err(Error::Limit {
                limit: "maxStorageBufferBindingSize",
                what: format!(
                    "the data set {name} of {} rows, in {MAX_CHUNKS} parts,",
                    extent.rows
                ),
                needed: bytes.div_ceil(MAX_CHUNKS as u64),
                allowed: self.target.max_binding_bytes,
            });
        }
        let chunk = |index: usize| {
            let rows = most.min(extent.rows - index * most);
            let (name, stored) = (chunk_name(name, index), kind.stored(rows));
            graph.variable_as(Role::Data, name, stored, Initial::Zeros)
        };
        Ok((0..chunks).map(chunk).collect())
    }
}

/// Samples as rows of numbers.
pub(super) fn flat(x: &Tensor) -> Tensor {
    match x.shape().dims() {
        [_, _] | [] => x.clone(),
        [rows, sample @ ..] => x.reshape([*rows, sample.iter().product()]),
    }
}

/// Rows of `columns` four-byte elements that fit one binding.
pub(crate) fn chunk_rows(target: &Target, columns: usize) -> usize {
    let bytes =
        target.max_binding_bytes.min(target.max_buffer_bytes) / target.alignment * target.alignment;
    usize::try_from(bytes / (columns.max(1) as u64 * 4))
        .unwrap_or(usize::MAX)
        .max(1)
}
