//! A model in one safetensors file: weights as tensors, everything else as JSON in the metadata.
//!
//! Tensors are named `dense/kernel` (`[inputs, units]`, f32, row-major), `dense/bias` (`[units]`), `dense_1/kernel` …
//! The metadata has `format` = `kiln`, `version` = `2`, `model`, the JSON of architecture, scaling, loss, metrics
//! and optimizer, and where the model learned from a table with names `names`, the JSON of those of columns, categories and
//! classes. Any safetensors reader opens the file; the Python package of that name does in a test.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::formats::safetensors::File;
use crate::nn::{Config, Functional, LayerRef, Parameter};
use crate::optim::OptimizerConfig;
use crate::train::{Loss, Metric, Model, Objective};
use crate::{Device, Error, Result, formats, nn};

use super::tensors;
use super::weights_file::write;

const FORMAT: &str = "kiln";
const VERSION: &str = "2";

/// What the metadata holds beside the weights.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelDescription {
    architecture: nn::ArchitectureDescription,
    objectives: Vec<ObjectiveDescription>,
    /// None for an optimizer of the user's own; a model loaded without one predicts and evaluates, and trains by Adam.
    optimizer: Option<OptimizerConfig>,
}

/// What is trained of an output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectiveDescription {
    output: String,
    loss: Loss,
    weight: f32,
    metrics: Vec<Metric>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    weighted_metrics: Vec<Metric>,
}

/// An objective as data; losses and metrics of a user's own are none.
fn described(objective: &Objective) -> Result<ObjectiveDescription> {
    let metrics = objective.metrics.iter().chain(&objective.weighted_metrics);
    let mut own = metrics
        .filter(|metric| !metric.is_built_in())
        .map(Metric::name);
    let own_loss = (!objective.loss.is_built_in()).then(|| objective.loss.name());
    if let Some(own) = own_loss.or_else(|| own.next()) {
        let message = format!(
            "hold `{own}`, a function of your own that a file cannot keep; save the weights alone with `save_weights`"
        );
        return Err(Error::argument("objectives", message));
    }
    Ok(ObjectiveDescription {
        output: objective.output.clone(),
        loss: objective.loss.clone(),
        weight: objective.weight,
        metrics: objective.metrics.clone(),
        weighted_metrics: objective.weighted_metrics.clone(),
    })
}

/// What a file of tensors is that holds no model, by the `format` of its metadata.
fn no_model(format: Option<&str>) -> &'static str {
    match format {
        Some("kiln weights") => {
            "the file holds weights without their network, and no kiln model: build the network, and read them with \
             `Model::load_weights`"
        }
        Some("kiln checkpoint") => {
            "the file is a checkpoint of a run, and no kiln model: `RunState::load` reads it, and `Fit::resume` goes on from it"
        }
        Some("pt" | "np" | "tf" | "flax" | "mlx") => {
            "the file holds tensors of another program, and no kiln model: build the network, and read them with \
             `Model::import_weights`"
        }
        _ => {
            "the file holds tensors, but no kiln model: build the network, and read them with `Model::load_weights` or \
             `Model::import_weights`"
        }
    }
}

impl Model {
    /// Writes weights, architecture, scaling, loss, metrics and optimizer settings to one safetensors file, with the names of columns,
    /// categories and classes that the model learned from.
    ///
    /// The file appears whole or not at all: it is written under another name beside `path` and then renamed.
    /// Optimizer states are not part of it.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a model with a layer, loss, metric or optimizer that a file cannot hold, [`Error::Io`]
    /// where the file cannot be
    /// written; the weights come from the device: [`Error::DeviceLost`] and [`Error::Timeout`].
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let weights = self.weights()?;
        let description = self.description()?;
        let json = serde_json::to_string(&description).map_err(|error| {
            Error::format(
                path,
                None,
                format!("the model cannot be described: {error}"),
            )
        })?;
        let mut metadata = vec![
            ("format", FORMAT.into()),
            ("version", VERSION.into()),
            ("model", json),
        ];
        metadata.extend(self.names_written(path)?);
        write(path, &weights, &metadata)
    }

    fn description(&self) -> Result<ModelDescription> {
        let objectives = self.objectives.iter().map(described);
        Ok(ModelDescription {
            architecture: self.architecture().describe()?,
            objectives: objectives.collect::<Result<_>>()?,
            optimizer: self.optimizer.config(),
        })
    }

    /// Refuses what [`Model::save`] would, before there is anything to write.
    pub(in crate::train) fn check_description(&self) -> Result<()> {
        self.description().map(drop)
    }

    /// Reads a model that [`Model::save`] wrote, onto the device that `KILN_DEVICE` names, or the best one.
    ///
    /// On the same kind of device it predicts the same bits as the model that was saved.
    ///
    /// # Errors
    ///
    /// The errors of [`Model::load_on`] and [`Device::from_env`].
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Self::load_on(&Device::from_env()?, path)
    }

    /// Reads a model that [`Model::save`] wrote, onto `device`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is not what [`Model::save`] writes,
    /// [`Error::NotFound`] for a layer
    /// that is not built in.
    pub fn load_on(device: &Device, path: impl AsRef<Path>) -> Result<Model> {
        Self::load_with(device, path, |_, _| None)
    }

    /// [`Model::load_on`] for a model with layers of one's own: `layers` makes the layer of a class from its settings, as
    /// [`Layer::config`](crate::nn::Layer::config) gave them, and none for classes that it does not know.
    ///
    /// # Errors
    ///
    /// The errors of [`Model::load_on`], and what `layers` returns.
    pub fn load_with(
        device: &Device,
        path: impl AsRef<Path>,
        layers: impl Fn(&str, &Config) -> Option<Result<LayerRef>>,
    ) -> Result<Model> {
        let path = path.as_ref();
        Self::read(device, &formats::read(path)?, path, &layers)
    }

    /// The model in the bytes of a file that [`Model::save`] wrote, onto `device`: one that is part of a program, by
    /// `include_bytes!`.
    ///
    /// # Errors
    ///
    /// The errors of [`Model::load_on`] but for [`Error::Io`].
    pub fn from_bytes(device: &Device, bytes: &[u8]) -> Result<Model> {
        Self::read(device, bytes, Path::new("the model's bytes"), &|_, _| None)
    }

    fn read(
        device: &Device,
        bytes: &[u8],
        path: &Path,
        layers: &dyn Fn(&str, &Config) -> Option<Result<LayerRef>>,
    ) -> Result<Model> {
        let unfit = |message: String| Error::format(path, None, message);
        let file = File::parse(bytes, path)?;
        match (file.text("format"), file.text("version")) {
            (Some(FORMAT), Some(VERSION)) => {}
            (Some(FORMAT), version) => {
                return Err(unfit(format!(
                    "model version {version:?} is not known, only {VERSION} is"
                )));
            }
            (format, _) => return Err(unfit(no_model(format).into())),
        }
        let description: ModelDescription = file.json("model")?;
        let objective = |description: ObjectiveDescription| Objective {
            weight: description.weight,
            metrics: description.metrics,
            weighted_metrics: description.weighted_metrics,
            ..Objective::new(description.output, description.loss)
        };
        let objectives = description.objectives.into_iter().map(objective);
        let optimizer = description.optimizer.unwrap_or_default();
        let architecture = Functional::from_description(description.architecture, layers)
            .map_err(|error| unfit(format!("the model's layers: {error}")))?;
        let objectives = objectives.collect();
        let mut model = Model::new(architecture, device, objectives, Box::new(optimizer))?;
        if let Some(names) = tensors::names(&file)? {
            names
                .check(model.architecture.raw_columns())
                .map_err(|error| unfit(format!("its `names`: {error}")))?;
            if let Some(steps) = &mut model.architecture.preprocessing {
                steps.columns = names.columns.clone();
            }
            model.architecture.names = names;
        }
        let expected: Vec<Parameter> = model.architecture().parameters().collect();
        tensors::set(&mut model, path, &tensors::of(&file)?, &expected)?;
        Ok(model)
    }
}
