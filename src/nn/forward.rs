//! The forward pass of an architecture, recorded call by call.

use crate::optim::Clock;
use crate::{Error, Graph, Result, Tensor};

use super::call::Activated;
use super::functional::{InputSpec, OutputSpec, TensorSource};
use super::layer::batch_of;
use super::{Activation, Call, Functional, Parameter};

/// What a forward pass gives beside its outputs.
#[derive(Debug)]
pub(crate) struct Forward {
    /// In the order of the model's outputs, in the unit of their targets.
    pub outputs: Vec<Activated>,
    /// The same as losses take them: before [`Functional::target_scaling`] is undone.
    pub trained: Vec<Activated>,
    /// Updates of states, for a step of training.
    pub updates: Vec<Tensor>,
    /// Losses of the layers' own, scalars.
    pub losses: Vec<Tensor>,
    /// What each call of a layer ended with.
    pub activations: Vec<Activation>,
}

/// What tells the draws of a call within a model from those of others: its number, and that of the call which the model
/// itself is in another one. The latter lie far from the small numbers of a model without others in it.
fn stream(number: usize, within: Option<u32>) -> u32 {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    match within {
        None => number,
        Some(outer) => {
            let outer = outer.wrapping_add(1).wrapping_mul(0x9e37_79b9);
            outer ^ number.wrapping_mul(0x85eb_ca6b).rotate_left(16)
        }
    }
}

impl Functional {
    /// Records the pass for `inputs`, each `[batch, …]`, with the parameters of [`Functional::declare`].
    pub(crate) fn forward(
        &self,
        inputs: &[Tensor],
        parameters: &[(Parameter, Tensor)],
        training: bool,
        clock: Option<&Clock>,
    ) -> Forward {
        let outermost = Call {
            training,
            clock: clock.cloned(),
            seed: self.seed,
            ..Call::new(inputs[0].graph())
        };
        self.pass(inputs, parameters, &outermost, None)
    }

    /// The same as part of a call, which is numbered where the model is within another.
    pub(super) fn pass(
        &self,
        inputs: &[Tensor],
        parameters: &[(Parameter, Tensor)],
        outer: &Call,
        within: Option<u32>,
    ) -> Forward {
        let mut weights = Vec::new();
        let mut rest = parameters;
        for member in &self.members {
            let (own, others) = rest.split_at(member.parameters.len().min(rest.len()));
            weights.push(own);
            rest = others;
        }
        let mut values: Vec<Activated> = Vec::new();
        let (mut updates, mut losses) = (Vec::new(), Vec::new());
        for (number, step) in self.calls.iter().enumerate() {
            let value = |source: &TensorSource| match *source {
                TensorSource::Input(index) => inputs[index].clone(),
                TensorSource::Call(index) => values[index].after.clone(),
            };
            let operands: Vec<Tensor> = step.inputs.iter().map(value).collect();
            let member = &self.members[step.member];
            let graph = operands[0].graph().clone();
            let given = match step.inputs.first() {
                Some(&TensorSource::Call(index)) => Some(values[index].clone()),
                _ => None,
            };
            let weights = member.parameters.iter().zip(weights[step.member]);
            let weights = weights.map(|(spec, (_, tensor))| (spec.name.clone(), tensor.clone()));
            let mut call = Call {
                training: outer.training,
                trainable: member.layer.trainable && outer.trainable,
                clock: outer.clock.clone(),
                seed: outer.seed,
                stream: stream(number, within),
                layer: member.name.clone(),
                given,
                weights: weights.collect(),
                ..Call::new(&graph)
            };
            let output =
                graph.in_layer(&member.name, || member.layer.forward(&operands, &mut call));
            let output = self.checked(&graph, number, &operands[0], output);
            updates.append(&mut call.updates);
            losses.append(&mut call.losses);
            let activated = call.activated.take();
            let activated = activated.filter(|activated| activated.after.id() == output.id());
            values.push(activated.unwrap_or_else(|| Activated::linear(output)));
        }
        let output = |spec: &OutputSpec| match spec.source {
            TensorSource::Call(index) => values[index].clone(),
            TensorSource::Input(index) => Activated::linear(inputs[index].clone()),
        };
        let trained: Vec<Activated> = self.outputs.iter().map(output).collect();
        let outputs = self.outputs.iter().zip(&trained);
        let outputs = outputs.map(|(output, value)| self.in_own_unit(output, value));
        Forward {
            outputs: outputs.collect(),
            trained,
            updates,
            losses,
            activations: values.iter().map(|value| value.activation).collect(),
        }
    }

    /// The activations that the outputs end with.
    pub(crate) fn last_activations(&self) -> Vec<Activation> {
        let graph = Graph::new();
        let input = |input: &InputSpec| {
            batch_of(&graph, &format!("{} (input)", input.name), 1, &input.kind)
        };
        let inputs: Vec<Tensor> = self.inputs.iter().map(input).collect();
        let pass = self.forward(&inputs, &self.declare_empty(&graph), false, None);
        let activations = pass.outputs.iter().map(|output| output.activation);
        activations.collect()
    }

    /// Refuses a softmax of a single number, which always is 1 and learns nothing.
    pub(crate) fn check_softmaxes(&self, activations: &[Activation]) -> Result<()> {
        for (step, activation) in self.calls.iter().zip(activations) {
            let (member, dims) = (&self.members[step.member], step.kind.shape.dims());
            let shares = match activation {
                Activation::Softmax | Activation::LogSoftmax | Activation::Sparsemax => {
                    dims.last() == Some(&1)
                }
                _ => member.layer.class() == "Softmax" && dims == [1],
            };
            if shares {
                let message = format!(
                    "hold `{}`, a softmax over a single unit, which always gives the same number; for two classes take \
                     Sigmoid over one unit, or Softmax over two",
                    member.name
                );
                return Err(Error::argument("layers", message));
            }
        }
        Ok(())
    }

    /// The output of a call, or an error of the graph where a layer's forward pass is not what its shape rule says.
    #[track_caller]
    fn checked(&self, graph: &Graph, number: usize, input: &Tensor, output: Tensor) -> Tensor {
        let step = &self.calls[number];
        let rows = input.shape().dims().first().copied().unwrap_or(1);
        let expected = [&[rows], step.kind.shape.dims()].concat();
        let fits = output.shape().dims() == expected && output.dtype() == step.kind.dtype;
        if !graph.owns(&output) || graph.check().is_err() || fits {
            return output;
        }
        let message = format!(
            "its rule of shapes says {expected:?} of {}, but its output is {output:?}",
            step.kind.dtype
        );
        let location = std::panic::Location::caller();
        graph.refuse_at(&self.members[step.member].name, message, location)
    }
}
