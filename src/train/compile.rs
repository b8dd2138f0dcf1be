//! An architecture becomes a model: `compile` with a loss, an optimizer and metrics.

use crate::nn::{Functional, Sequential};
use crate::optim::Optimizer;
use crate::{Device, Result};

use super::{Compile, Loss, Metric, Model};

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
        let device = Device::from_env()?;
        self.compile_on(&device, loss, optimizer, metrics)
    }

    /// Readies the architecture for training on `device`.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other, settings out of range, and what opening a device raises.
    pub fn compile_on(
        self,
        device: &Device,
        loss: impl Into<Loss>,
        optimizer: impl Optimizer + 'static,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Model> {
        Model::new(
            self,
            device,
            loss.into(),
            Box::new(optimizer),
            metrics.into_iter().collect(),
        )
    }

    /// Readies the architecture for training on `device` with a loss and metrics for each output.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other, settings out of range, names of outputs that are not there.
    pub fn compile_with(self, device: &Device, compile: Compile) -> Result<Model> {
        Model::with(self, device, compile)
    }
}

impl Sequential {
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
        Functional::from(self).compile(loss, optimizer, metrics)
    }

    /// Readies the architecture for training on `device`.
    ///
    /// # Errors
    ///
    /// Layers that do not fit each other, settings out of range, and what opening a device raises.
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
