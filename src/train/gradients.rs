//! Derivatives of anything that is computed from a model's outputs, by its inputs and by its weights.

use crate::data::{Features, TypedValues};
use crate::graph::Role;
use crate::nn::Parameter;
use crate::plan::{Plan, Program};
use crate::{DType, Graph, Initial, Result, Shape, Tensor, TensorType};

use super::Weights;
use super::features::Arranged;
use super::model::Model;

/// A value and its derivatives: see [`Model::gradients`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// The value that was differentiated; where it has several elements, their sum was.
    pub value: Vec<f32>,
    /// By each of the model's inputs that are numbers or bytes, after preprocessing, in order: `[rows, …]`. Integers have
    /// none.
    pub inputs: Vec<Weights>,
    /// By every tensor of the layers, under its name, in order; zeros where nothing depends on it.
    pub weights: Vec<Weights>,
}

impl Model {
    /// Computes a value from the outputs for these rows and its derivatives by every input and every weight, as the model
    /// is now: what Keras users read from a `GradientTape`.
    ///
    /// `value` takes the outputs `[rows, …]` in order and gives any tensor; the derivatives are those of the sum of its
    /// elements. Layers pass as in prediction. For anything else there is [`Graph::gradients`](crate::Graph::gradients),
    /// gradients of gradients among it: products, sums, arithmetic, functions element by element, softmax, normalisations
    /// and most losses have them.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// let model = Sequential::new(3).dense(2, Tanh);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])?;
    /// // How the first output moves with each input.
    /// let gradients = model.gradients(&[[0.1, 0.2, 0.3]], |y| y[0].slice(1, 0, 1))?;
    /// assert_eq!(gradients.inputs[0].values.len(), 3);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Rows that do not fit the model, no rows, and what the closure records that does not fit.
    pub fn gradients<'a>(
        &mut self,
        rows: impl Into<Features<'a>>,
        value: impl FnOnce(&[Tensor]) -> Tensor,
    ) -> Result<Gradients> {
        let device = self.device().clone();
        device.block_on(self.share())?;
        let features = self.recipe().arranged(rows.into())?;
        gradients(self, &features, value)
    }
}

/// A value and its derivatives for rows that are preprocessed: see [`Model::gradients`](crate::train::Model::gradients).
fn gradients(
    model: &mut Model,
    features: &Arranged<'_>,
    value: impl FnOnce(&[Tensor]) -> Tensor,
) -> Result<Gradients> {
    let rows = features.rows;
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
    let mut inputs = Vec::new();
    for (input, values) in architecture.inputs.iter().zip(features.inputs.iter()) {
        let name = format!("{} (input)", input.name);
        let shape = Shape::from([&[rows], input.kind.shape.dims()].concat());
        let values = match values.borrowed() {
            TypedValues::U32(words) => {
                let (kind, words) = (TensorType::u32(shape), Initial::Words((&*words).into()));
                inputs.push(graph.variable_as(Role::Data, name, kind, words));
                continue;
            }
            values => values.numbers()?,
        };
        inputs.push(graph.parameter(name, shape, &values));
    }
    let pass = architecture.forward(&inputs, &parameters, false, None);
    let outputs: Vec<Tensor> = pass
        .outputs
        .into_iter()
        .map(|output| output.after)
        .collect();
    let value = value(&outputs);
    // Integers have no derivatives.
    let numbers = inputs.iter().zip(&architecture.inputs);
    let numbers: Vec<_> = numbers.filter(|(x, _)| x.dtype() == DType::F32).collect();
    let by: Vec<&Tensor> = numbers
        .iter()
        .map(|(x, _)| *x)
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
    let names = numbers.iter().map(|(_, input)| input.name.clone());
    let names = names.chain(current.into_iter().map(|weights| weights.name));
    let mut read = Vec::new();
    for ((index, name), tensor) in names.enumerate().zip(by) {
        read.push(Weights {
            name,
            shape: tensor.shape(),
            values: session.read(&format!("gradient {index}"))?,
        });
    }
    let weights = read.split_off(numbers.len());
    Ok(Gradients {
        value: session.read("value")?,
        inputs: read,
        weights,
    })
}
