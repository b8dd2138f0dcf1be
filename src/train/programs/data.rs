//! The data set in a program: the targets of each objective, and arrays in chunks that fit a binding.

use crate::nn::InputSpec;
use crate::op::MAX_CHUNKS;
use crate::optim::Clock;
use crate::target::Target;
use crate::{DType, Error, Graph, Initial, Result, Role, Tensor, TensorType};

use super::{DataArray, Extent, Recipe, RowProgram, chunk_name};

/// Where the targets of the objectives lie: those that are numbers side by side, and so those that are labels.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// In the order of the objectives.
    pub places: Vec<Place>,
    /// Columns of numbers.
    pub columns: usize,
    /// Columns of labels.
    pub labels: usize,
}

/// The place of one objective's targets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Labels { start: usize, positions: usize },
    Values { start: usize, columns: usize },
}

impl Placed {
    /// The array that holds labels.
    pub fn labels_array(&self) -> DataArray {
        if self.columns == 0 {
            DataArray::OnlyLabels
        } else {
            DataArray::Labels
        }
    }
}

impl Recipe<'_> {
    /// Where the targets of each objective lie.
    pub fn placed(&self) -> Placed {
        let mut placed = Placed::default();
        for objective in self.objectives {
            if objective.takes_labels() {
                let (positions, _) = self.architecture.places_of(self.output(objective));
                placed.places.push(Place::Labels {
                    start: placed.labels,
                    positions,
                });
                placed.labels += positions;
            } else {
                let columns = self.architecture.width_of(self.output(objective));
                placed.places.push(Place::Values {
                    start: placed.columns,
                    columns,
                });
                placed.columns += columns;
            }
        }
        placed
    }

    /// The targets of each objective for the batch at hand, and the data set that they are in where it is one's alone.
    pub(super) fn targets(
        &self,
        graph: &Graph,
        program: RowProgram,
        extent: Extent,
        clock: &Clock,
    ) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let placed = self.placed();
        let mut alone = Vec::new();
        let mut gather = |array: DataArray, dtype: DType, width: usize| -> Result<Option<Tensor>> {
            if width == 0 {
                return Ok(None);
            }
            let data = self.data(graph, &program.array(array), extent, (dtype, width))?;
            let batch = gathered(clock, &data);
            alone = data;
            Ok(Some(batch))
        };
        let values = gather(DataArray::Values, DType::F32, placed.columns)?;
        let labels = gather(placed.labels_array(), DType::U32, placed.labels)?;
        let target = |place: &Place| match (*place, &values, &labels) {
            (Place::Values { start, columns }, Some(values), _) => {
                if columns == placed.columns {
                    values.clone()
                } else {
                    values.slice(1, start, columns)
                }
            }
            (Place::Labels { start, positions }, _, Some(labels)) => {
                let own = if positions == placed.labels {
                    labels.clone()
                } else {
                    labels.slice(1, start, positions)
                };
                match positions {
                    1 if positions < placed.labels => own.reshape([extent.batch]),
                    _ => own,
                }
            }
            _ => graph.labels(program.no_targets(), [extent.batch]),
        };
        let targets = placed.places.iter().map(target).collect();
        let alone = if placed.places.len() == 1 {
            alone
        } else {
            Vec::new()
        };
        Ok((targets, alone))
    }

    /// Rows of numbers as samples of each of the model's inputs.
    pub(super) fn shaped(&self, x: &Tensor) -> Vec<Tensor> {
        let inputs = &self.architecture.inputs;
        let mut start = 0;
        let input = |input: &InputSpec| {
            let width = input.width();
            let own = match inputs.len() {
                1 => x.clone(),
                _ => x.slice(1, start, width),
            };
            start += width;
            match input.kind.shape.rank() {
                1 => own,
                _ => own.reshape([&[x.shape().dims()[0]], input.kind.shape.dims()].concat()),
            }
        };
        inputs.iter().map(input).collect()
    }

    /// An array of a data set on the device, of `width` elements a row, in chunks where it exceeds the largest binding. One
    /// integer a row makes a vector.
    pub(super) fn data(
        &self,
        graph: &Graph,
        name: &str,
        extent: Extent,
        (dtype, width): (DType, usize),
    ) -> Result<Vec<Tensor>> {
        let most = chunk_rows(self.target, width);
        let chunks = extent.rows.div_ceil(most);
        if chunks > MAX_CHUNKS {
            let bytes = (extent.rows as u64).saturating_mul((width as u64).saturating_mul(4));
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
            let shape = match (dtype, width) {
                (DType::U32, 1) => [rows].into(),
                _ => [rows, width].into(),
            };
            let kind = TensorType { shape, dtype };
            graph.variable_as(Role::Data, chunk_name(name, index), kind, Initial::Zeros)
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

/// The batch of a resident data set.
pub(super) fn gathered(clock: &Clock, data: &[Tensor]) -> Tensor {
    clock.indices.gather(&data.iter().collect::<Vec<_>>())
}

/// Rows of `columns` four-byte elements that fit one binding.
pub(crate) fn chunk_rows(target: &Target, columns: usize) -> usize {
    let bytes =
        target.max_binding_bytes.min(target.max_buffer_bytes) / target.alignment * target.alignment;
    usize::try_from(bytes / (columns.max(1) as u64 * 4))
        .unwrap_or(usize::MAX)
        .max(1)
}
