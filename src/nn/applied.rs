//! A model inside a graph of one's own.

use std::panic::Location;

use crate::optim::Clock;
use crate::{Error, Graph, Result, Tensor, TensorType};

use super::{Functional, Parameter};

/// What a model is in a graph of one's own: its outputs there, and its weights as variables of the graph.
///
/// ```
/// use kiln::prelude::*;
///
/// let graph = Graph::new();
/// let x = graph.input("x", [16, 3]);
/// let target = graph.input("target", [16, 1]);
/// let network = Functional::from(Sequential::new(3).dense(8, Tanh).dense(1, Linear));
/// let applied = network.apply(&graph, &x)?;
/// let loss = (&applied.outputs[0] - &target).square().mean();
/// let adam = Adam::new(0.01);
/// let clock = graph.clock("clock", 16, adam.rates());
/// let step = Program::new("step").update(&adam.minimize(&loss, &applied.trainable(), &clock));
/// // The same weights on other rows.
/// let two = applied.on(&graph.input("two", [2, 3]))?;
/// assert_eq!(two.outputs[0].shape().dims(), [2, 1]);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Applied {
    /// In the order of the model's outputs, each `[batch, …]`.
    pub outputs: Vec<Tensor>,
    /// Updates of the layers' states, such as running means, for the program of a step; none but after
    /// [`Applied::in_training`].
    pub updates: Vec<Tensor>,
    /// The layers' own losses, such as penalties on weights, to be added to the loss: a scalar, or a number for each row.
    pub losses: Vec<Tensor>,
    architecture: Functional,
    /// Under their names in the graph.
    parameters: Vec<(Parameter, Tensor)>,
}

impl Functional {
    /// The model's outputs for tensors of a graph, each `[batch, …]` in the order of its inputs, with the weights that training
    /// would begin with.
    ///
    /// Layers pass as in prediction, on numbers as they are: steps of [`preprocessing`](Self::preprocessing) are not part of the
    /// graph. Outputs with [scaled targets](Self::target_scaling) are in the targets' own unit. The weights become variables of the
    /// graph under their names in the model, or `dense/kernel.1` where these are taken; they stay as they are unless an update
    /// changes them.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other; [`Error::Shape`] for tensors that are not what the model takes; memory.
    #[track_caller]
    pub fn apply(&self, graph: &Graph, inputs: impl AsRef<[Tensor]>) -> Result<Applied> {
        self.apply_with(graph, inputs.as_ref(), self.drawn())
    }

    /// The same with these values of its parameters.
    #[track_caller]
    pub(crate) fn apply_with(
        &self,
        graph: &Graph,
        inputs: &[Tensor],
        values: impl IntoIterator<Item = Vec<f32>>,
    ) -> Result<Applied> {
        self.validate()?;
        self.check_operands(graph, inputs, Location::caller())?;
        let declare = |(mut parameter, values): (Parameter, Vec<f32>)| {
            parameter.name = graph.free_name(&parameter.name);
            let tensor = graph.parameter(&parameter.name, &parameter.shape, &values);
            (parameter, tensor)
        };
        let applied = Applied {
            outputs: Vec::new(),
            updates: Vec::new(),
            losses: Vec::new(),
            architecture: self.clone(),
            parameters: self.parameters().zip(values).map(declare).collect(),
        };
        Ok(applied.passed(inputs, None))
    }

    /// Refuses tensors that are not what the model takes.
    fn check_operands(
        &self,
        graph: &Graph,
        inputs: &[Tensor],
        location: &'static Location<'static>,
    ) -> Result<()> {
        let refuse = |message: String| {
            Err(Error::Shape {
                op: "apply".into(),
                message,
                location,
            })
        };
        if inputs.len() != self.inputs.len() {
            let (takes, got) = (self.inputs.len(), inputs.len());
            return refuse(format!("the model takes {takes} inputs, got {got}"));
        }
        let mut rows = None;
        for (input, tensor) in self.inputs.iter().zip(inputs) {
            if !graph.owns(tensor) {
                return refuse("a tensor of another graph was given".into());
            }
            let (kind, sample) = (tensor.kind(), input.kind.widened());
            let name = &input.name;
            let (batch, shape) = match kind.shape.dims() {
                [batch, shape @ ..] => (*batch, shape),
                [] => return refuse(format!("`{name}` needs a batch of rows, got {kind}")),
            };
            if shape != sample.shape.dims() || kind.dtype != sample.dtype {
                let told = |kind: &TensorType| format!("{} {}", kind.shape, kind.dtype);
                let (sample, kind) = (told(&sample), told(&kind));
                return refuse(format!("`{name}` is {sample} a row, got {kind}"));
            }
            if *rows.get_or_insert(batch) != batch {
                return refuse(format!(
                    "`{name}` has {batch} rows, and others another number"
                ));
            }
        }
        Ok(())
    }
}

impl Applied {
    /// The model on other tensors of the graph, with the same weights, as in prediction.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] for tensors that are not what the model takes.
    #[track_caller]
    pub fn on(&self, inputs: impl AsRef<[Tensor]>) -> Result<Applied> {
        self.checked(inputs.as_ref(), None, Location::caller())
    }

    /// The same in a step of training, which `clock` counts: dropout drops, batch normalisation takes the batch's own means. The
    /// step needs `updates` beside those of the optimizer.
    ///
    /// # Errors
    ///
    /// The errors of [`Applied::on`].
    #[track_caller]
    pub fn in_training(&self, inputs: impl AsRef<[Tensor]>, clock: &Clock) -> Result<Applied> {
        self.checked(inputs.as_ref(), Some(clock), Location::caller())
    }

    /// The weights that training changes, by their names in the graph: for
    /// [`Optimizer::minimize`](crate::optim::Optimizer::minimize). Those of frozen layers are not among them.
    pub fn trainable(&self) -> Vec<(&str, &Tensor)> {
        let trained = self.parameters.iter().filter(|(own, _)| own.trainable);
        trained
            .map(|(parameter, tensor)| (parameter.name.as_str(), tensor))
            .collect()
    }

    /// Every tensor that the layers keep, trained or not, by its name in the graph, in the model's order.
    pub fn weights(&self) -> Vec<(&str, &Tensor)> {
        let all = self.parameters.iter();
        all.map(|(parameter, tensor)| (parameter.name.as_str(), tensor))
            .collect()
    }

    fn checked(
        &self,
        inputs: &[Tensor],
        clock: Option<&Clock>,
        location: &'static Location<'static>,
    ) -> Result<Applied> {
        // A model has at least one layer, but that may keep nothing: any of its tensors tells the graph.
        if let Some(own) = self.outputs.first() {
            let check = self
                .architecture
                .check_operands(own.graph(), inputs, location);
            check?;
        }
        Ok(self.passed(inputs, clock))
    }

    /// The pass on tensors that fit.
    fn passed(&self, inputs: &[Tensor], clock: Option<&Clock>) -> Applied {
        let training = clock.is_some();
        let (architecture, parameters) = (&self.architecture, &self.parameters);
        let pass = architecture.forward(inputs, parameters, training, clock);
        let outputs = pass.outputs.into_iter().map(|output| output.after);
        Applied {
            outputs: outputs.collect(),
            updates: if training { pass.updates } else { Vec::new() },
            losses: pass.losses,
            architecture: architecture.clone(),
            parameters: parameters.clone(),
        }
    }
}

/// A list of one: what takes tensors takes `&x` as well as `[a, b]` or a vector.
impl AsRef<[Tensor]> for Tensor {
    fn as_ref(&self) -> &[Tensor] {
        std::slice::from_ref(self)
    }
}
