//! What a layer is: a rule of shapes, tensors that it keeps, and a forward pass made of tensor methods.

use std::borrow::Borrow;
use std::cell::Cell;
use std::fmt;
use std::panic::Location;

use crate::{DType, Error, Graph, Initial, Shape, Tensor, TensorType};

use super::config::Config;
use super::{Call, Constraint, Initializer, LayerRef, Symbol};

/// Rows of the batch with which a forward pass is tried out; a number that few layers have as size.
pub(crate) const TRIAL_ROWS: usize = 1009;

/// A part of a network: takes tensors, keeps some of its own, gives a tensor.
///
/// Every layer of Kiln implements this trait, and a layer of one's own stands beside them. Shapes are those of one sample,
/// without the batch dimension, as in Keras; tensors have the batch in front. A layer needs a name for its class, the
/// tensors that it keeps, and the forward pass; the shape of its output follows from the latter.
///
/// ```
/// use kiln::nn::{Call, Parameter};
/// use kiln::prelude::*;
/// use kiln::Shape;
///
/// /// y = factor·x with a trained factor for each column.
/// #[derive(Debug)]
/// struct Gain;
///
/// impl Layer for Gain {
///     fn class(&self) -> &'static str {
///         "Gain"
///     }
///
///     fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
///         let columns = inputs[0].dims().last().copied().unwrap_or(1);
///         vec![Parameter::new("factor", [columns], Initializer::Constant(1.0))]
///     }
///
///     fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
///         inputs[0].mul(&call.weight("factor"))
///     }
/// }
///
/// let model = Sequential::new(3).layer(Gain).dense(1, Linear);
/// assert_eq!(model.parameter_count(), 3 + 4);
/// ```
pub trait Layer: fmt::Debug + Send + Sync {
    /// The name of its class, as Keras has it: `Dense`. Layers without a name of their own are called after it: `dense`,
    /// `dense_1` …
    fn class(&self) -> &'static str;

    /// The tensors that it keeps, for inputs of these shapes; none by default.
    ///
    /// Called with shapes that [`Layer::output_shape`] has not refused yet, so it must not take their rank for granted.
    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let _unused = inputs;
        Vec::new()
    }

    /// The output for `inputs`, each `[batch, …]`, recorded by tensor methods.
    ///
    /// `call` has the tensors that the layer keeps, says whether this is training, and takes updates of its state and
    /// losses of its own.
    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor;

    /// The shape of a sample's output. By default the forward pass is recorded in a graph of its own to see. Models ask it
    /// where all inputs are numbers, f32; [`Layer::output_type`] is for others.
    ///
    /// # Errors
    ///
    /// Why the inputs do not fit, as a sentence without the layer's name.
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let kinds: Vec<TensorType> = inputs.iter().map(TensorType::from).collect();
        let parameters = self.parameters(inputs);
        let tried = tried(&kinds, &parameters, |inputs, call| {
            self.forward(inputs, call)
        });
        tried.map(|kind| kind.shape)
    }

    /// Whether it takes integers, u32, such as tokens; default false, so that they are refused before the forward pass. Bytes
    /// are numbers, f32, to every layer.
    fn takes_integers(&self) -> bool {
        false
    }

    /// The type of a sample's output. By default numbers give numbers of [`Layer::output_shape`]; where there are integers
    /// among the inputs, and the layer takes them, its forward pass is recorded to see.
    ///
    /// # Errors
    ///
    /// Why the inputs do not fit, as a sentence without the layer's name.
    fn output_type(&self, inputs: &[TensorType]) -> Result<TensorType, String> {
        let shapes: Vec<Shape> = inputs.iter().map(|kind| kind.shape.clone()).collect();
        let Some(other) = inputs.iter().find(|kind| kind.dtype != DType::F32) else {
            return self.output_shape(&shapes).map(TensorType::from);
        };
        if other.dtype != DType::U32 || !self.takes_integers() {
            return Err(format!(
                "takes numbers, f32, but an input is {other}; `CategoryEncoding` makes numbers of integers"
            ));
        }
        tried(inputs, &self.parameters(&shapes), |inputs, call| {
            self.forward(inputs, call)
        })
    }

    /// Checks that every setting is in its range; initializers and constraints of parameters are checked by the model.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`](crate::Error::Argument) with the name of the setting.
    fn validate(&self) -> crate::Result<()> {
        Ok(())
    }

    /// The settings as a model file keeps them; none for a layer that is not saved, whose model can save weights alone.
    fn config(&self) -> Option<Config> {
        None
    }

    /// What a summary says of it beside its class: a dense layer its activation.
    fn detail(&self) -> Option<String> {
        None
    }

    /// Gives the layer a name of its own, unique within its model.
    fn named(self, name: impl Into<String>) -> LayerRef
    where
        Self: Sized + 'static,
    {
        LayerRef::from(self).named(name)
    }

    /// Whether training changes its weights; default true. A frozen layer keeps them.
    fn trainable(self, trainable: bool) -> LayerRef
    where
        Self: Sized + 'static,
    {
        LayerRef::from(self).trainable(trainable)
    }

    /// The layer's output on these inputs, for a [`Functional`](super::Functional) model.
    ///
    /// What does not fit is told by `compile`, with the line that called this.
    #[track_caller]
    fn on(self, inputs: impl IntoIterator<Item: Borrow<Symbol>>) -> Symbol
    where
        Self: Sized + 'static,
    {
        LayerRef::from(self).on(inputs)
    }
}

/// A tensor that a layer keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The name within the layer, `kernel`; within a model with the layer's in front, `dense/kernel`.
    pub name: String,
    /// The shape.
    pub shape: Shape,
    /// How it begins.
    pub initializer: Initializer,
    /// Whether gradients train it; default true. Others are states, which the layer updates itself if at all.
    pub trainable: bool,
    /// What training puts it under after every update; default none.
    pub constraint: Option<Constraint>,
}

impl Parameter {
    /// A trained tensor.
    pub fn new(name: impl Into<String>, shape: impl Into<Shape>, initializer: Initializer) -> Self {
        Parameter {
            name: name.into(),
            shape: shape.into(),
            initializer,
            trainable: true,
            constraint: None,
        }
    }

    /// A state, which gradients do not train: see [`Call::updates`].
    pub fn state(mut self) -> Self {
        self.trainable = false;
        self
    }

    /// The number of elements; the largest number where it does not fit, which no memory holds.
    pub(crate) fn elements(&self) -> usize {
        usize::try_from(self.shape.elements()).unwrap_or(usize::MAX)
    }

    /// The first values; `stream` numbers the tensor within its model.
    pub(crate) fn drawn(&self, seed: u64, stream: u64) -> Vec<f32> {
        match self.shape.dims() {
            [] | [_] => self.initializer.draw(&[1, self.elements()], seed, stream),
            dims => self.initializer.draw(dims, seed, stream),
        }
    }
}

/// The class of a layer of which a model file keeps every field.
macro_rules! saved_as {
    ($class:expr) => {
        fn class(&self) -> &'static str {
            $class
        }

        fn config(&self) -> Option<$crate::nn::Config> {
            $crate::nn::Config::of(self)
        }
    };
}

pub(super) use saved_as;

thread_local! {
    /// The line of the last call that a trial on this thread refused: [`Layer`] tells refusals as sentences alone.
    static REFUSED: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// The line of what a trial refused since this was asked last.
pub(super) fn refused_line() -> Option<&'static Location<'static>> {
    REFUSED.take()
}

/// The type of a sample's output, by recording the forward pass on a batch.
fn tried(
    inputs: &[TensorType],
    parameters: &[Parameter],
    forward: impl FnOnce(&[Tensor], &mut Call) -> Tensor,
) -> Result<TensorType, String> {
    let graph = Graph::new();
    let input = |(index, kind): (usize, &TensorType)| {
        batch_of(&graph, &format!("input {index}"), TRIAL_ROWS, kind)
    };
    let tensors: Vec<Tensor> = inputs.iter().enumerate().map(input).collect();
    let mut call = Call::new(&graph);
    for parameter in parameters {
        let name = format!("parameter {}", parameter.name);
        call = call.with_weight(&parameter.name, &graph.input(name, &parameter.shape));
    }
    let output = forward(&tensors, &mut call);
    let refused = graph.check().map_err(of_any_batch);
    refused.map_err(|error| match error {
        Error::Shape {
            op,
            message,
            location,
        } => {
            REFUSED.set(Some(location));
            if op == call.layer {
                message
            } else {
                format!("{op}: {message}")
            }
        }
        other => other.to_string(),
    })?;
    match output.shape().dims().split_first() {
        Some((&TRIAL_ROWS, shape)) => Ok(TensorType {
            shape: shape.into(),
            dtype: output.dtype(),
        }),
        _ => {
            let shape = output.shape();
            let message = format!("its output is {shape}, which is no row for each of the batch");
            Err(of_any_batch(Error::data(message)).to_string())
        }
    }
}

/// A refusal of a trial, in words that hold for any batch.
pub(crate) fn of_any_batch(error: Error) -> Error {
    let said = |message: String| {
        let first = format!("[{TRIAL_ROWS}");
        let said = message.replace(&format!("{first}, "), "[batch, ");
        let said = said.replace(&format!("{first}]"), "[batch]");
        let mut numbers = said.split(|c: char| !c.is_ascii_digit());
        let of_rows = |number: &str| {
            let number = number.parse::<usize>();
            number.is_ok_and(|number| number > 0 && number % TRIAL_ROWS == 0)
        };
        if numbers.any(of_rows) {
            format!("{said}, tried with a batch of {TRIAL_ROWS} rows")
        } else {
            said
        }
    };
    match error {
        Error::Shape {
            op,
            message,
            location,
        } => Error::Shape {
            op,
            message: said(message),
            location,
        },
        Error::Data { message } => Error::data(said(message)),
        other => other,
    }
}

/// An input of `rows` samples of this type, of which bytes are numbers.
pub(crate) fn batch_of(graph: &Graph, name: &str, rows: usize, sample: &TensorType) -> Tensor {
    let kind = TensorType {
        shape: [&[rows], sample.shape.dims()].concat().into(),
        dtype: sample.widened().dtype,
    };
    graph.variable_as(crate::graph::Role::Data, name, kind, Initial::Zeros)
}

/// The one input of a layer that takes one.
pub(crate) fn single(inputs: &[Shape]) -> Result<&Shape, String> {
    match inputs {
        [input] => Ok(input),
        _ => Err(format!("takes one input, got {}", inputs.len())),
    }
}
