//! An architecture as model files keep it: layers by class with their settings, calls by number.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{DType, Error, Preprocessing, Result, Scaler, TensorType};

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
type Reader = fn(&Config, Custom<'_>) -> Result<LayerRef>;

fn read<L: Layer + DeserializeOwned + 'static>(
    config: &Config,
    _custom: Custom<'_>,
) -> Result<LayerRef> {
    config.read::<L>().map(LayerRef::from)
}

fn read_model(config: &Config, custom: Custom<'_>) -> Result<LayerRef> {
    let model = config.read::<ArchitectureDescription>()?;
    Functional::from_description(model, custom).map(LayerRef::from)
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
fn built_in(class: &str, config: &Config, custom: Custom<'_>) -> Option<Result<LayerRef>> {
    let entry = BUILT_IN.iter().find(|(known, _)| *known == class);
    entry.map(|(_, read)| read(config, custom))
}

/// A layer under its name in the model, with its settings.
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
    inputs: Vec<TensorSource>,
}

/// An architecture as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchitectureDescription {
    inputs: Vec<(String, Vec<usize>)>,
    /// The types of the inputs; none where all are f32, as in every file that knows of no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    input_types: Vec<DType>,
    layers: Vec<LayerDescription>,
    calls: Vec<CallDescription>,
    outputs: Vec<(String, TensorSource)>,
    seed: u64,
    preprocessing: Option<Preprocessing>,
    /// What scales the targets of outputs, by their names; none in files of before it was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    target_scaling: Vec<(String, Scaler)>,
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
            let layer = &member.layer;
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
            inputs: step.inputs.clone(),
        };
        let input = |input: &InputSpec| (input.name.clone(), input.kind.shape.dims().to_vec());
        let output = |output: &OutputSpec| (output.name.clone(), output.source);
        let mut types: Vec<DType> = self.inputs.iter().map(|input| input.kind.dtype).collect();
        if types.iter().all(|&kind| kind == DType::F32) {
            types.clear();
        }
        Ok(ArchitectureDescription {
            inputs: self.inputs.iter().map(input).collect(),
            input_types: types,
            layers,
            calls: self.calls.iter().map(call).collect(),
            outputs: self.outputs.iter().map(output).collect(),
            seed: self.seed,
            // A model file has the names once, for models without preprocessing too.
            preprocessing: self
                .preprocessing
                .as_ref()
                .map(Preprocessing::without_names),
            target_scaling: self.target_scaling.clone(),
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
                dtype: types.next().unwrap_or(DType::F32),
            },
        };
        model.inputs = description.inputs.into_iter().map(input).collect();
        let mut layers = Vec::new();
        for LayerDescription {
            name,
            class,
            config,
            trainable,
        } in description.layers
        {
            let unknown = || Error::data(format!("{class} is no class of layers"));
            let layer = built_in(&class, &config, custom)
                .or_else(|| custom(&class, &config))
                .ok_or_else(unknown)
                .flatten();
            let of_class = |error: Error| Error::data(format!("the layer `{name}`: {error}"));
            layers.push(layer.map_err(of_class)?.named(&name).trainable(trainable));
        }
        for call in description.calls {
            let unknown = || Error::data("a call refers to a layer or tensor that is not there");
            let layer = layers.get(call.layer).ok_or_else(unknown)?;
            if call.inputs.is_empty() || !call.inputs.iter().all(|&source| model.has(source)) {
                return Err(unknown());
            }
            let kinds = call
                .inputs
                .iter()
                .map(|&source| model.type_of(source).clone());
            let kinds: Vec<TensorType> = kinds.collect();
            layer.validate()?;
            let kind = layer.checked_type(&kinds, None)?;
            model.call(layer, call.inputs, kind, None)?;
        }
        for (name, source) in description.outputs {
            if !model.has(source) {
                return Err(Error::data(format!(
                    "the output `{name}` refers to nothing"
                )));
            }
            model.output(name, source);
        }
        model.seed = description.seed;
        model.preprocessing = description.preprocessing;
        model.target_scaling = description.target_scaling;
        if model.outputs.is_empty() {
            return Err(Error::data("the model has no outputs"));
        }
        model.check_names()?;
        Ok(model)
    }

    /// Whether there is such a tensor.
    fn has(&self, source: TensorSource) -> bool {
        match source {
            TensorSource::Input(index) => index < self.inputs.len(),
            TensorSource::Call(index) => index < self.calls.len(),
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
