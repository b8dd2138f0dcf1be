//! A model in one safetensors file: weights as tensors, everything else as JSON in the metadata.
//!
//! Tensors are named `dense/kernel` (`[inputs, units]`, f32, row-major), `dense/bias` (`[units]`), `dense_1/kernel` …
//! The metadata has `format` = `kiln`, `version` = `2` and `model`, the JSON of architecture, scaling, loss, metrics
//! and optimizer. Any safetensors reader opens the file; the Python package of that name does in a test.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use crate::nn::{self, Config, Functional, LayerRef, Parameter};
use crate::optim::OptimizerConfig;
use crate::train::{LossSpec, Metric, Model};
use crate::{Device, Error, Result};

use super::weights_file::{set, write};

const FORMAT: &str = "kiln";
const VERSION: &str = "2";

/// What the metadata holds beside the weights.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    architecture: nn::Description,
    loss: LossSpec,
    metrics: Vec<Metric>,
    /// None for an optimizer of the user's own; a model loaded without one predicts and evaluates, and trains by Adam.
    optimizer: Option<OptimizerConfig>,
}

impl Model {
    /// Writes weights, architecture, scaling, loss, metrics and optimizer settings to one safetensors file.
    ///
    /// The file appears whole or not at all: it is written under another name beside `path` and then renamed.
    /// Optimizer states are not part of it.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let weights = self.weights()?;
        let description = Description {
            architecture: self.architecture().describe()?,
            loss: self.loss,
            metrics: self.metrics.clone(),
            optimizer: self.optimizer.config(),
        };
        let json = serde_json::to_string(&description).map_err(|error| {
            Error::format(
                path,
                None,
                format!("the model cannot be described: {error}"),
            )
        })?;
        let metadata = HashMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("version".to_string(), VERSION.to_string()),
            ("model".to_string(), json),
        ]);
        write(path, &weights, metadata)
    }

    /// Reads a model that [`Model::save`] wrote, onto the device that `KILN_DEVICE` names, or the best one.
    ///
    /// On the same kind of device it predicts the same bits as the model that was saved.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Self::load_on(&Device::from_env()?, path)
    }

    /// Reads a model that [`Model::save`] wrote, onto `device`.
    pub fn load_on(device: &Device, path: impl AsRef<Path>) -> Result<Model> {
        Self::load_with(device, path, |_, _| None)
    }

    /// [`Model::load_on`] for a model with layers of one's own: `layers` makes the layer of a class from its settings, as
    /// [`Layer::config`](crate::nn::Layer::config) gave them, and none for classes that it does not know.
    pub fn load_with(
        device: &Device,
        path: impl AsRef<Path>,
        layers: impl Fn(&str, &Config) -> Option<Result<LayerRef>>,
    ) -> Result<Model> {
        let path = path.as_ref();
        let unfit = |message: String| Error::format(path, None, message);
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
        let (_, header) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| unfit(format!("this is no safetensors file: {error}")))?;
        let entries = header.metadata().clone().unwrap_or_default();
        let entry = |name: &str| entries.get(name).map(String::as_str);
        match (entry("format"), entry("version")) {
            (Some(FORMAT), Some(VERSION)) => {}
            (Some(FORMAT), version) => {
                return Err(unfit(format!(
                    "model version {version:?} is not known, only {VERSION} is"
                )));
            }
            _ => return Err(unfit("the file holds tensors, but no kiln model".into())),
        }
        let json = entry("model").ok_or_else(|| unfit("the metadata has no `model`".into()))?;
        let description: Description = serde_json::from_str(json)
            .map_err(|error| unfit(format!("the model's description: {error}")))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| unfit(error.to_string()))?;
        let optimizer = description.optimizer.unwrap_or_default().into_optimizer();
        let (loss, metrics) = (description.loss, description.metrics);
        let architecture = Functional::from_description(description.architecture, &layers)
            .map_err(|error| unfit(format!("the model's layers: {error}")))?;
        let mut model = Model::new(architecture, device, loss, optimizer, metrics)?;
        let expected: Vec<Parameter> = model.architecture().parameters().collect();
        set(&mut model, path, &tensors, &expected)?;
        Ok(model)
    }
}
