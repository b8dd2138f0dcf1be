//! A stack of layers, each feeding the next.

use serde::{Deserialize, Serialize};

use crate::device::Device;
use crate::graph::Graph;
use crate::optim::Optimizer;
use crate::plan::Target;
use crate::train::{LossSpec, Metric, Model};
use crate::{Error, Preprocessing, Result, Tensor};

use super::{Activation, Dense, Initializer};

/// The architecture of a model: layers in order, and the seed of their weights.
///
/// ```
/// use kiln::prelude::*;
///
/// let model = Sequential::new(8).dense(10, Relu).dense(8, Relu).dense(1, Sigmoid);
/// assert_eq!(model.parameter_count(), 187);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sequential {
    pub(crate) inputs: usize,
    pub(crate) layers: Vec<Dense>,
    pub(crate) seed: u64,
    pub(crate) preprocessing: Option<Preprocessing>,
}

/// A trained tensor of the architecture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub initializer: Initializer,
}

impl Parameter {
    /// The number of elements; the largest number where it does not fit, which no memory holds.
    pub fn elements(&self) -> usize {
        self.shape.iter().fold(1, |n, &dim| n.saturating_mul(dim))
    }
}

impl Sequential {
    /// A model that takes rows of `inputs` numbers and has no layers yet.
    pub fn new(inputs: usize) -> Self {
        Sequential {
            inputs,
            layers: Vec::new(),
            seed: 0,
            preprocessing: None,
        }
    }

    /// Adds a dense layer with Keras' defaults.
    pub fn dense(self, units: usize, activation: Activation) -> Self {
        self.layer(Dense::new(units).activation(activation))
    }

    /// Adds a layer.
    pub fn layer(mut self, layer: Dense) -> Self {
        self.layers.push(layer);
        self
    }

    /// Sets the seed of the weights and of the shuffle; default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Transforms the inputs of training, evaluation and prediction, and is saved with the model: fitted steps, or a
    /// [`Scaler`](crate::Scaler) alone.
    pub fn preprocessing(mut self, preprocessing: impl Into<Preprocessing>) -> Self {
        self.preprocessing = Some(preprocessing.into());
        self
    }

    /// Readies the architecture for training on the device that `KILN_DEVICE` names, or the best one.
    pub fn compile(
        self,
        loss: impl Into<LossSpec>,
        optimizer: impl Optimizer + 'static,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Model> {
        let device = Device::from_env()?;
        self.compile_on(&device, loss, optimizer, metrics)
    }

    /// Readies the architecture for training on `device`.
    pub fn compile_on(
        self,
        device: &Device,
        loss: impl Into<LossSpec>,
        optimizer: impl Optimizer + 'static,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Model> {
        Model::new(
            self,
            device,
            loss.into(),
            Box::new(optimizer),
            metrics.into_iter().collect(),
        )
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, Dense::outputs)
    }

    /// Columns of the input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The layers, in order.
    pub fn layers(&self) -> &[Dense] {
        &self.layers
    }

    /// The number of trained numbers.
    pub fn parameter_count(&self) -> usize {
        self.parameters().fold(0, |n: usize, parameter| {
            n.saturating_add(parameter.elements())
        })
    }

    /// A table of the layers with output shapes and parameter counts.
    pub fn summary(&self) -> String {
        let rule = format!("{}\n", "─".repeat(64));
        let mut table = format!(
            "{rule}{:<28}{:<20}{:>16}\n{rule}",
            "Layer (type)", "Output shape", "Parameters"
        );
        for (index, layer) in self.layers.iter().enumerate() {
            let name = layer_name(index);
            let count: usize = self
                .parameters()
                .filter(|parameter| parameter.name.split('/').next() == Some(&name))
                .fold(0, |n: usize, parameter| {
                    n.saturating_add(parameter.elements())
                });
            let title = format!("{name} (Dense, {})", layer.activation);
            table += &format!(
                "{title:<28}{:<20}{count:>16}\n",
                format!("(any, {})", layer.outputs())
            );
        }
        let total = self.parameter_count();
        table
            + &format!(
                "{rule}Total parameters: {total} ({:.2} KiB)\n{rule}",
                total as f64 * 4.0 / 1024.0
            )
    }

    /// Every trained tensor, in order: `dense/kernel`, `dense/bias`, `dense_1/kernel` …
    pub(crate) fn parameters(&self) -> impl Iterator<Item = Parameter> {
        let fans = std::iter::once(self.inputs).chain(self.layers.iter().map(Dense::outputs));
        self.layers
            .iter()
            .zip(fans)
            .enumerate()
            .flat_map(|(index, (layer, inputs))| {
                let name = layer_name(index);
                let kernel = Parameter {
                    name: format!("{name}/kernel"),
                    shape: vec![inputs, layer.units],
                    initializer: layer.kernel_initializer,
                };
                let bias = layer.use_bias.then(|| Parameter {
                    name: format!("{name}/bias"),
                    shape: vec![layer.units],
                    initializer: layer.bias_initializer,
                });
                std::iter::once(kernel).chain(bias)
            })
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
            })?;
        }
        Ok(())
    }

    /// The first values of every parameter, in order.
    pub(crate) fn drawn(&self) -> impl Iterator<Item = Vec<f32>> {
        let draw = |(stream, parameter): (usize, Parameter)| {
            let (fan_in, fan_out) = match parameter.shape[..] {
                [fan_in, fan_out] => (fan_in, fan_out),
                _ => (1, parameter.shape.iter().product()),
            };
            let initializer = parameter.initializer;
            initializer.draw(fan_in, fan_out, self.seed, stream as u64)
        };
        self.parameters().enumerate().map(draw)
    }

    /// Declares the parameters in a graph with their drawn values.
    pub(crate) fn declare(&self, graph: &Graph) -> Vec<(String, Tensor)> {
        let declare = |(parameter, values): (Parameter, Vec<f32>)| {
            let tensor = graph.parameter(&parameter.name, parameter.shape.as_slice(), &values);
            (parameter.name, tensor)
        };
        self.parameters().zip(self.drawn()).map(declare).collect()
    }

    /// The last layer's output before its activation, and after.
    pub(crate) fn forward(&self, x: &Tensor, parameters: &[(String, Tensor)]) -> (Tensor, Tensor) {
        let mut tensors = parameters.iter().map(|(_, tensor)| tensor);
        let mut values = (x.clone(), x.clone());
        for layer in &self.layers {
            let Some(kernel) = tensors.next() else { break };
            let bias = if layer.use_bias { tensors.next() } else { None };
            let before = layer.pre_activation(&values.1, kernel, bias);
            let after = layer.activation.apply(&before);
            values = (before, after);
        }
        values
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if self.inputs == 0 {
            return Err(Error::argument(
                "inputs",
                "a model needs at least one input column, got 0",
            ));
        }
        if self.layers.is_empty() {
            return Err(Error::argument(
                "layers",
                "a model needs at least one layer; add one with `dense`",
            ));
        }
        if let Some(columns) = self.preprocessing.as_ref().map(Preprocessing::outputs)
            && columns != self.inputs
        {
            let message = format!(
                "makes {columns} columns, but the model has {} inputs",
                self.inputs
            );
            return Err(Error::argument("preprocessing", message));
        }
        self.layers.iter().try_for_each(Dense::validate)
    }
}

fn layer_name(index: usize) -> String {
    if index == 0 {
        "dense".into()
    } else {
        format!("dense_{index}")
    }
}
