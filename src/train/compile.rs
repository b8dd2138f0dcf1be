//! An architecture becomes a model: `compile` with a loss, an optimizer and metrics.

use crate::nn::{Functional, Sequential};
use crate::optim::Optimizer;
use crate::{Device, Error, Result};

use super::{Loss, Metric, Model, Objective};

impl Functional {
    /// Readies the architecture for training on the device that `KILN_DEVICE` names, or the best one.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other, settings out of range, and what opening a device raises.
    pub fn compile(
        self,
        loss: impl Into<Loss>,
        optimizer: impl Optimizer + 'static,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Model> {
        self.compile_on(&Device::from_env()?, loss, optimizer, metrics)
    }

    /// Readies the architecture for training on `device`.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other, settings out of range.
    pub fn compile_on(
        self,
        device: &Device,
        loss: impl Into<Loss>,
        optimizer: impl Optimizer + 'static,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Model> {
        let objective = only_objective(&self, loss, metrics)?;
        self.compile_with(device, [objective], optimizer)
    }

    /// Readies the architecture for training on `device` with a loss and metrics for each output that is trained.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other, settings out of range, names of outputs that are not there, parts of names in the
    /// optimizer's settings that no weight's name has.
    pub fn compile_with(
        self,
        device: &Device,
        objectives: impl IntoIterator<Item = Objective>,
        optimizer: impl Optimizer + 'static,
    ) -> Result<Model> {
        let objectives = objectives.into_iter().collect();
        let model = Model::new(self, device, objectives, Box::new(optimizer))?;
        if let Some(config) = model.optimizer.config() {
            let weights = model.architecture().parameters().map(|own| own.name);
            config.check_names(&weights.collect::<Vec<_>>())?;
        }
        Ok(model)
    }
}

impl Sequential {
    /// Readies the layers for training, as [`Functional::compile`] does.
    ///
    /// # Errors
    ///
    /// The errors of [`Functional::compile`].
    pub fn compile(
        self,
        loss: impl Into<Loss>,
        optimizer: impl Optimizer + 'static,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Model> {
        Functional::from(self).compile(loss, optimizer, metrics)
    }

    /// Readies the layers for training on `device`.
    ///
    /// # Errors
    ///
    /// The errors of [`Functional::compile_on`].
    pub fn compile_on(
        self,
        device: &Device,
        loss: impl Into<Loss>,
        optimizer: impl Optimizer + 'static,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Model> {
        Functional::from(self).compile_on(device, loss, optimizer, metrics)
    }
}

pub(super) fn only_objective(
    architecture: &Functional,
    loss: impl Into<Loss>,
    metrics: impl IntoIterator<Item = Metric>,
) -> Result<Objective> {
    architecture.validate()?;
    let outputs = architecture.outputs.iter();
    match outputs
        .map(|output| output.name.as_str())
        .collect::<Vec<_>>()[..]
    {
        [only] => Ok(Objective {
            metrics: metrics.into_iter().collect(),
            ..Objective::new(only, loss)
        }),
        ref names => Err(Error::argument(
            "loss",
            format!(
                "of a model of several outputs, {}, are given by `compile_with`, one for each",
                names.join(", ")
            ),
        )),
    }
}
