//! The architecture of a model: layers and what flows from one to the next, from any number of inputs to any of outputs.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};

use crate::data::LearnedNames;
use crate::{Error, Preprocessing, Scaler, Shape, TensorType};

use super::assemble::assemble;
use super::symbol::{ModelOutput, Symbol};
use super::{LayerRef, Parameter};

/// A network of layers with its inputs and outputs by name: Keras' functional model.
///
/// ```
/// use kiln::prelude::*;
///
/// let a = Input::named("a", 8);
/// let b = Input::named("b", 4);
/// let x = Dense::new(10).activation(Relu).on(&a);
/// let y = Dense::new(10).activation(Relu).on(&b);
/// let joined = Concatenate::default().on([&x, &y]);
/// let price = Dense::new(1).named("price").on(&joined);
/// let kind = Dense::new(3).activation(Softmax).named("kind").on(&joined);
/// let model = Functional::new([&a, &b], [&price, &kind]);
/// assert_eq!(model.parameter_count(), 90 + 50 + 21 + 63);
/// println!("{}", model.summary());
/// ```
///
/// What does not fit, a shape or a name, is told by `compile`, with the line where the layer was put in its place.
///
/// A layer that stands in two models has weights of its own in each;
/// [`Model::copy_weights`](crate::train::Model::copy_weights) takes them over. [`Model::part`](crate::train::Model::part) makes a
/// model of some of the layers that shares their weights.
#[derive(Debug, Clone)]
pub struct Functional {
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) members: Vec<NamedLayer>,
    pub(crate) calls: Vec<LayerCall>,
    pub(crate) outputs: Vec<OutputSpec>,
    pub(crate) seed: u64,
    pub(crate) preprocessing: Option<Preprocessing>,
    /// What scales the targets of outputs in training, by their names.
    pub(crate) target_scaling: Vec<(String, Scaler)>,
    /// The names of the table that the model learned from.
    pub(crate) names: LearnedNames,
    pub(super) refusal: Option<Error>,
}

/// An input: its name, and the shape and type of a sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InputSpec {
    pub name: String,
    pub kind: TensorType,
}

impl InputSpec {
    /// Elements of a sample.
    pub fn width(&self) -> usize {
        usize::try_from(self.kind.elements()).unwrap_or(usize::MAX)
    }
}

/// A layer under its name in the model, with what it keeps.
#[derive(Debug, Clone)]
pub(crate) struct NamedLayer {
    pub name: String,
    pub layer: LayerRef,
    pub parameters: Vec<Parameter>,
}

/// A call of a layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerCall {
    /// The member's index.
    pub member: usize,
    pub inputs: Vec<TensorSource>,
    /// The shape and type of a sample's output.
    pub kind: TensorType,
}

/// Where a tensor of the model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TensorSource {
    Input(usize),
    Call(usize),
}

/// An output under its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OutputSpec {
    pub name: String,
    pub source: TensorSource,
    pub shape: Shape,
}

impl Functional {
    /// The model that computes `outputs` from `inputs`.
    ///
    /// Outputs are called after the layers that make them, as in Keras, or by names given with them:
    /// `[("price", &y), ("kind", &z)]`.
    pub fn new(
        inputs: impl IntoIterator<Item: Borrow<Symbol>>,
        outputs: impl IntoIterator<Item: Into<ModelOutput>>,
    ) -> Self {
        let inputs = inputs.into_iter().map(|input| input.borrow().clone());
        let inputs: Vec<Symbol> = inputs.collect();
        let built = assemble(&inputs, outputs.into_iter().map(Into::into).collect());
        built.unwrap_or_else(|error| Functional {
            refusal: Some(error),
            ..Functional::empty()
        })
    }

    pub(crate) fn empty() -> Self {
        Functional {
            inputs: Vec::new(),
            members: Vec::new(),
            calls: Vec::new(),
            outputs: Vec::new(),
            seed: 0,
            preprocessing: None,
            target_scaling: Vec::new(),
            names: LearnedNames::default(),
            refusal: None,
        }
    }

    /// The same, refused for this reason, which goes before any other.
    pub(crate) fn refused(mut self, error: Error) -> Self {
        self.refusal = Some(error);
        self
    }

    /// Sets the seed of the weights, the shuffle and the random layers; default 0.
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

    /// The layers by name, in the order of their first calls.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = (&str, &LayerRef)> {
        self.members
            .iter()
            .map(|member| (member.name.as_str(), &member.layer))
    }

    /// The columns of a row before preprocessing.
    pub(crate) fn raw_columns(&self) -> usize {
        let steps = self.preprocessing.as_ref();
        steps.map_or_else(|| self.input_width(), Preprocessing::inputs)
    }

    /// The numbers of a sample over all inputs.
    pub(crate) fn input_width(&self) -> usize {
        numbers(self.inputs.iter().map(|input| &input.kind.shape))
    }

    /// The numbers of a sample over all outputs.
    pub(crate) fn output_width(&self) -> usize {
        numbers(self.outputs.iter().map(|output| &output.shape))
    }

    /// The numbers of a sample of the output of that number.
    pub(crate) fn width_of(&self, output: usize) -> usize {
        numbers(self.outputs.get(output).map(|output| &output.shape))
    }

    /// The positions of an output, and the columns of each: `[…, columns]`. An output of one dimension has one position.
    pub(crate) fn places_of(&self, output: usize) -> (usize, usize) {
        let shape = self.outputs.get(output).map(|output| &output.shape);
        shape.map_or((1, 0), Shape::rows_and_columns)
    }

    pub(crate) fn type_of(&self, source: TensorSource) -> &TensorType {
        match source {
            TensorSource::Input(index) => &self.inputs[index].kind,
            TensorSource::Call(index) => &self.calls[index].kind,
        }
    }
}

/// The elements of these shapes together, or the largest number.
fn numbers<'a>(shapes: impl IntoIterator<Item = &'a Shape>) -> usize {
    let elements = shapes.into_iter().map(Shape::elements);
    usize::try_from(elements.fold(0, u64::saturating_add)).unwrap_or(usize::MAX)
}
