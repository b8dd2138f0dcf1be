//! Derivatives of anything that is computed from a model's outputs, by its inputs and by its weights.

use crate::nn::Parameter;
use crate::plan::{Plan, Program};
use crate::{Graph, Result, Shape, Tensor};

use super::Weights;
use super::model::Model;

/// A value and its derivatives: see [`Model::gradients`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// The value that was differentiated; where it has several elements, their sum was.
    pub value: Vec<f32>,
    /// By each of the model's inputs, after preprocessing, in order: `[rows, …]`.
    pub inputs: Vec<Weights>,
    /// By every tensor of the layers, under its name, in order; zeros where nothing depends on it.
    pub weights: Vec<Weights>,
}

/// A value and its derivatives for rows that are preprocessed: see [`Model::gradients`](crate::train::Model::gradients).
pub(super) fn gradients(
    model: &mut Model,
    features: &[f32],
    value: impl FnOnce(&[Tensor]) -> Tensor,
) -> Result<Gradients> {
    let width = model.architecture.input_width();
    let rows = features.len() / width;
    let current = model.weights()?;
    let device = model.device().clone();
    let architecture = &model.architecture;
    architecture.check_room(device.target())?;

    let graph = Graph::new();
    let weight = |(parameter, weights): (Parameter, &Weights)| {
        let tensor = graph.parameter(&parameter.name, &parameter.shape, &weights.values);
        (parameter, tensor)
    };
    let parameters: Vec<(Parameter, Tensor)> = architecture
        .parameters()
        .zip(&current)
        .map(weight)
        .collect();
    let (mut inputs, mut start) = (Vec::new(), 0);
    for input in &architecture.inputs {
        let own = input.width();
        let part = |row: &[f32]| row[start..start + own].to_vec();
        let values: Vec<f32> = features.chunks_exact(width).flat_map(part).collect();
        start += own;
        let shape = Shape::from([&[rows], input.kind.shape.dims()].concat());
        inputs.push(graph.parameter(format!("{} (input)", input.name), shape, &values));
    }
    let pass = architecture.forward(&inputs, &parameters, false, None);
    let outputs: Vec<Tensor> = pass
        .outputs
        .into_iter()
        .map(|output| output.after)
        .collect();
    let value = value(&outputs);
    let by: Vec<&Tensor> = inputs
        .iter()
        .chain(parameters.iter().map(|(_, tensor)| tensor))
        .collect();
    let gradients = graph.gradients(&value, &by);
    let mut program = Program::new("gradients").fetch("value", &value);
    for (index, gradient) in gradients.iter().enumerate() {
        program = program.fetch(format!("gradient {index}"), gradient);
    }
    let plan = Plan::compile(&graph, device.target(), [program])?;
    let mut session = device.open(&plan)?;
    session.run("gradients", 1)?;
    let names = architecture.inputs.iter().map(|input| input.name.clone());
    let names = names.chain(current.into_iter().map(|weights| weights.name));
    let mut read = Vec::new();
    for ((index, name), tensor) in names.enumerate().zip(by) {
        read.push(Weights {
            name,
            shape: tensor.shape(),
            values: session.read(&format!("gradient {index}"))?,
        });
    }
    let weights = read.split_off(inputs.len());
    Ok(Gradients {
        value: session.read("value")?,
        inputs: read,
        weights,
    })
}
