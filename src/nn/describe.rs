//! An architecture as model files keep it: layers by class with their settings, calls by number.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{DType, Error, Preprocessing, Result, Shape, TensorType};

use super::assemble::refused;
use super::config::Config;
use super::functional::{InputSpec, LayerCall, OutputSpec, TensorSource};
use super::{Activation, Dense, Functional, Layer, LayerRef};
use super::{
    ActivityRegularization, AlphaDropout, BatchNormalization, Dropout, GaussianDropout,
    GaussianNoise, GroupNormalization, LayerNormalization, PRelu, RMSNormalization, Softmax,
    UnitNormalization,
};
use super::{
    Add, Average, CategoryEncoding, Concatenate, Dot, Flatten, Maximum, Minimum, Multiply, Permute,
    RepeatVector, Rescaling, Reshape, Subtract,
};

/// How a layer is read from its settings; the layers within one may be a user's own.
type Reader = fn(&Config, Custom<'_>) -> Result<Arc<dyn Layer>>;

fn read<L: Layer + DeserializeOwned + 'static>(
    config: &Config,
    _custom: Custom<'_>,
) -> Result<Arc<dyn Layer>> {
    let layer: L = config.read()?;
    Ok(Arc::new(layer))
}

fn read_model(config: &Config, custom: Custom<'_>) -> Result<Arc<dyn Layer>> {
    let model = config.read::<ArchitectureDescription>()?;
    Ok(Arc::new(Functional::from_description(model, custom)?))
}

/// The built-in layers by class, all that model files know of them; a new layer that is to be saved has a line here.
const BUILT_IN: &[(&str, Reader)] = &[
    ("Activation", read::<Activation>),
    ("ActivityRegularization", read::<ActivityRegularization>),
    ("Add", read::<Add>),
    ("AlphaDropout", read::<AlphaDropout>),
    ("Average", read::<Average>),
    ("BatchNormalization", read::<BatchNormalization>),
    ("CategoryEncoding", read::<CategoryEncoding>),
    ("Concatenate", read::<Concatenate>),
    ("Dense", read::<Dense>),
    ("Dot", read::<Dot>),
    ("Dropout", read::<Dropout>),
    ("Flatten", read::<Flatten>),
    ("Functional", read_model),
    ("GaussianDropout", read::<GaussianDropout>),
    ("GaussianNoise", read::<GaussianNoise>),
    ("GroupNormalization", read::<GroupNormalization>),
    ("LayerNormalization", read::<LayerNormalization>),
    ("Maximum", read::<Maximum>),
    ("Minimum", read::<Minimum>),
    ("Multiply", read::<Multiply>),
    ("PReLU", read::<PRelu>),
    ("Permute", read::<Permute>),
    ("RMSNormalization", read::<RMSNormalization>),
    ("RepeatVector", read::<RepeatVector>),
    ("Rescaling", read::<Rescaling>),
    ("Reshape", read::<Reshape>),
    ("Softmax", read::<Softmax>),
    ("Subtract", read::<Subtract>),
    ("UnitNormalization", read::<UnitNormalization>),
];

/// The classes of all layers that model files can hold without being told how to read them.
pub fn built_in_classes() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(class, _)| *class)
}

/// The built-in layer of a class.
fn built_in(class: &str, config: &Config, custom: Custom<'_>) -> Option<Result<Arc<dyn Layer>>> {
    let entry = BUILT_IN.iter().find(|(known, _)| *known == class);
    entry.map(|(_, read)| read(config, custom))
}

/// What of a layer is its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct LayerDescription {
    name: String,
    class: String,
    config: Config,
    trainable: bool,
}

/// A call: the layer's number, and where its inputs come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CallDescription {
    layer: usize,
    inputs: Vec<SourceDescription>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceDescription {
    Input(usize),
    Call(usize),
}

/// The type of an input in a model file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InputType {
    F32,
    U32,
    U8,
}

impl From<InputType> for DType {
    fn from(kind: InputType) -> Self {
        match kind {
            InputType::F32 => DType::F32,
            InputType::U32 => DType::U32,
            InputType::U8 => DType::U8,
        }
    }
}

impl InputType {
    /// The types of the inputs of a model that is not all of f32.
    fn of_all(inputs: &[InputSpec]) -> Vec<Self> {
        if inputs.iter().all(|input| input.kind.dtype == DType::F32) {
            return Vec::new();
        }
        let kind = |input: &InputSpec| match input.kind.dtype {
            DType::U32 => InputType::U32,
            DType::U8 => InputType::U8,
            // A model of f16 inputs does not compile.
            DType::F32 | DType::F16 => InputType::F32,
        };
        inputs.iter().map(kind).collect()
    }
}

/// An architecture as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchitectureDescription {
    inputs: Vec<(String, Vec<usize>)>,
    /// The types of the inputs; none where all are f32, as in every file that knows of no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    input_types: Vec<InputType>,
    layers: Vec<LayerDescription>,
    calls: Vec<CallDescription>,
    outputs: Vec<(String, SourceDescription)>,
    seed: u64,
    preprocessing: Option<Preprocessing>,
}

impl From<TensorSource> for SourceDescription {
    fn from(source: TensorSource) -> Self {
        match source {
            TensorSource::Input(index) => SourceDescription::Input(index),
            TensorSource::Call(index) => SourceDescription::Call(index),
        }
    }
}

/// Layers of a user's own by class and settings, for [`Model::load_with`](crate::train::Model::load_with).
pub(crate) type Custom<'a> = &'a dyn Fn(&str, &Config) -> Option<Result<LayerRef>>;

impl Functional {
    /// The architecture as data.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] with the name of a layer that has no settings to save.
    pub(crate) fn describe(&self) -> Result<ArchitectureDescription> {
        let mut layers = Vec::new();
        for member in &self.members {
            let layer = &member.layer.layer;
            let Some(config) = layer.config() else {
                return Err(Error::argument(
                    "layers",
                    format!(
                        "hold `{}`, a {} without settings that a file could keep: give it `Layer::config`, or save the \
                         weights alone with `save_weights`",
                        member.name,
                        layer.class()
                    ),
                ));
            };
            layers.push(LayerDescription {
                name: member.name.clone(),
                class: layer.class().into(),
                config,
                trainable: member.layer.trainable,
            });
        }
        let call = |step: &LayerCall| CallDescription {
            layer: step.member,
            inputs: step.inputs.iter().map(|&source| source.into()).collect(),
        };
        let input = |input: &InputSpec| (input.name.clone(), input.kind.shape.dims().to_vec());
        let output = |output: &OutputSpec| (output.name.clone(), output.source.into());
        Ok(ArchitectureDescription {
            inputs: self.inputs.iter().map(input).collect(),
            input_types: InputType::of_all(&self.inputs),
            layers,
            calls: self.calls.iter().map(call).collect(),
            outputs: self.outputs.iter().map(output).collect(),
            seed: self.seed,
            preprocessing: self.preprocessing.clone(),
        })
    }

    /// The architecture of a description, every shape and name checked again.
    pub(crate) fn from_description(
        description: ArchitectureDescription,
        custom: Custom<'_>,
    ) -> Result<Self> {
        let mut model = Functional::empty();
        let types = description.input_types;
        if !types.is_empty() && types.len() != description.inputs.len() {
            return Err(Error::data(
                "the types of the inputs are not as many as these",
            ));
        }
        let mut types = types.into_iter();
        let input = |(name, dims): (String, Vec<usize>)| InputSpec {
            name,
            kind: TensorType {
                shape: dims.into(),
                dtype: types.next().map_or(DType::F32, DType::from),
            },
        };
        model.inputs = description.inputs.into_iter().map(input).collect();
        let mut layers = Vec::new();
        for description in description.layers {
            let LayerDescription {
                name,
                class,
                config,
                trainable,
            } = description;
            let of_class = |error: Error| Error::data(format!("the layer `{name}`: {error}"));
            let layer = match built_in(&class, &config, custom) {
                Some(layer) => LayerRef {
                    layer: layer.map_err(of_class)?,
                    name: None,
                    trainable: true,
                },
                None => {
                    let unknown = || Error::data(format!("{class} is no class of layers"));
                    let layer = custom(&class, &config).ok_or_else(unknown).flatten();
                    layer.map_err(of_class)?
                }
            };
            layers.push(layer.named(&name).trainable(trainable));
        }
        for call in description.calls {
            let unknown = || Error::data("a call refers to a layer or tensor that is not there");
            let layer = layers.get(call.layer).ok_or_else(unknown)?;
            if call.inputs.is_empty() {
                return Err(unknown());
            }
            let mut inputs = Vec::new();
            for source in call.inputs {
                inputs.push(model.source(source).ok_or_else(unknown)?);
            }
            let kind = |&source: &TensorSource| model.type_of(source).clone();
            let kinds: Vec<TensorType> = inputs.iter().map(kind).collect();
            let shapes: Vec<Shape> = kinds.iter().map(|kind| kind.shape.clone()).collect();
            let name = layer.name.as_deref().unwrap_or_default();
            layer.layer.validate()?;
            let kind = layer.output_type(&kinds);
            let kind = kind.map_err(|message| refused(name, message, None))?;
            let member = model.member(layer, &shapes, None)?;
            model.calls.push(LayerCall {
                member,
                inputs,
                kind,
            });
        }
        for (name, source) in description.outputs {
            let unknown = || Error::data(format!("the output `{name}` refers to nothing"));
            let source = model.source(source).ok_or_else(unknown)?;
            let shape = model.type_of(source).shape.clone();
            model.outputs.push(OutputSpec {
                name,
                source,
                shape,
            });
        }
        model.seed = description.seed;
        model.preprocessing = description.preprocessing;
        if model.outputs.is_empty() {
            return Err(Error::data("the model has no outputs"));
        }
        model.check_names()?;
        Ok(model)
    }

    fn source(&self, source: SourceDescription) -> Option<TensorSource> {
        match source {
            SourceDescription::Input(index) => {
                (index < self.inputs.len()).then_some(TensorSource::Input(index))
            }
            SourceDescription::Call(index) => {
                (index < self.calls.len()).then_some(TensorSource::Call(index))
            }
        }
    }
}

/// Equal in layers, settings, names, seed and scaling, not in weights; models that cannot be described are equal to none.
impl PartialEq for Functional {
    fn eq(&self, other: &Self) -> bool {
        match (self.describe(), other.describe()) {
            (Ok(own), Ok(other)) => own == other,
            _ => false,
        }
    }
}
