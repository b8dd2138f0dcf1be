//! The tensors that an architecture keeps: their names, their first values, their room.

use crate::graph::Graph;
use crate::target::Target;
use crate::{Error, Result, Tensor};

use super::{Functional, Parameter};

impl Functional {
    /// Every tensor that the layers keep, in order: `dense/kernel`, `dense/bias`, `dense_1/kernel` …
    pub(crate) fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.members.iter().flat_map(|member| {
            member.parameters.iter().map(|parameter| Parameter {
                name: format!("{}/{}", member.name, parameter.name),
                trainable: parameter.trainable && member.layer.trainable,
                ..parameter.clone()
            })
        })
    }

    /// The number of numbers that the layers keep, trained or not.
    pub fn parameter_count(&self) -> usize {
        let counts = self.parameters().map(|parameter| parameter.elements());
        counts.fold(0, usize::saturating_add)
    }

    /// The number of trained numbers.
    pub(super) fn trainable_count(&self) -> usize {
        let trained = self.parameters().filter(|parameter| parameter.trainable);
        let counts = trained.map(|parameter| parameter.elements());
        counts.fold(0, usize::saturating_add)
    }

    /// Refuses parameters that neither `target` nor this machine's memory holds, before any is drawn.
    pub(crate) fn check_room(&self, target: &Target) -> Result<()> {
        for parameter in self.parameters() {
            let elements = parameter.elements();
            let needed = (elements as u64).saturating_mul(4);
            if needed > target.max_buffer_bytes {
                return Err(Error::Limit {
                    limit: "maxBufferSize",
                    what: parameter.name,
                    needed,
                    allowed: target.max_buffer_bytes,
                });
            }
            let room = Vec::<f32>::new().try_reserve_exact(elements);
            room.map_err(|_source| Error::OutOfMemory {
                what: parameter.name,
                needed,
                available: None,
                advice: None,
            })?;
        }
        Ok(())
    }

    /// The first values of every parameter, in order.
    pub(crate) fn drawn(&self) -> impl Iterator<Item = Vec<f32>> {
        let draw =
            |(stream, parameter): (usize, Parameter)| parameter.drawn(self.seed, stream as u64);
        self.parameters().enumerate().map(draw)
    }

    /// Declares the parameters in a graph that is never run, without drawing them.
    pub(crate) fn declare_empty(&self, graph: &Graph) -> Vec<(Parameter, Tensor)> {
        let declare = |parameter: Parameter| {
            let tensor = graph.input(&parameter.name, &parameter.shape);
            (parameter, tensor)
        };
        self.parameters().map(declare).collect()
    }

    /// Declares the parameters in a graph with their drawn values.
    pub(crate) fn declare(&self, graph: &Graph) -> Vec<(Parameter, Tensor)> {
        let declare = |(parameter, values): (Parameter, Vec<f32>)| {
            let tensor = graph.parameter(&parameter.name, &parameter.shape, &values);
            (parameter, tensor)
        };
        self.parameters().zip(self.drawn()).map(declare).collect()
    }
}
