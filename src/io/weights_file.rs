//! The tensors of a model's layers in a safetensors file, by name.

use std::path::Path;

use crate::nn::Parameter;
use crate::train::{Model, Weights};
use crate::{Error, Result};

use super::atomic;
use super::disk::System;
use super::safetensors::{Elements, File, Tensor, header};

impl Model {
    /// Writes the tensors of all layers by name, and nothing else: for models with layers that a file cannot keep.
    ///
    /// The file appears whole or not at all, as with [`Model::save`].
    pub fn save_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let weights = self.weights()?;
        write(
            path.as_ref(),
            &weights,
            &[("format", "kiln weights".into())],
        )
    }

    /// Reads the tensors of all layers by name, from a file of [`Model::save_weights`], [`Model::save`] or another program
    /// that writes safetensors.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where the file lacks a tensor of the model, has one of another shape or type, or has one that the
    /// model does not have; the model stays as it was.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = atomic::read(path)?;
        let file = File::parse(&bytes, path)?;
        let expected: Vec<Parameter> = self.architecture().parameters().collect();
        let known = |name: &str| expected.iter().any(|parameter| parameter.name == name);
        if let Some(name) = file.names().find(|name| !known(name)) {
            let message = format!("the model has no tensor {name}");
            return Err(Error::format(path, None, message));
        }
        set(self, path, &file, &expected)
    }

    /// Reads those tensors that the file and the model both have, by name, and returns their names: for a model that shares
    /// some of its layers with another.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where a tensor that both have is of another shape or type; the model stays as it was.
    pub fn load_weights_by_name(&mut self, path: impl AsRef<Path>) -> Result<Vec<String>> {
        let path = path.as_ref();
        let bytes = atomic::read(path)?;
        let file = File::parse(&bytes, path)?;
        let common: Vec<Parameter> = self
            .architecture()
            .parameters()
            .filter(|parameter| file.find(&parameter.name).is_some())
            .collect();
        set(self, path, &file, &common)?;
        Ok(common.into_iter().map(|parameter| parameter.name).collect())
    }
}

/// Sets these parameters of the model from the file's tensors; all of them are read before any is set.
pub(super) fn set(
    model: &mut Model,
    path: &Path,
    file: &File<'_>,
    parameters: &[Parameter],
) -> Result<()> {
    let mut weights = Vec::new();
    for parameter in parameters {
        let tensor = file.tensor(&parameter.name)?;
        if tensor.shape != parameter.shape.dims() {
            let (name, shape) = (&parameter.name, &tensor.shape);
            let message = format!(
                "the tensor `{name}` is {shape:?}, not {:?} as in the model",
                parameter.shape
            );
            return Err(Error::format(path, None, message));
        }
        weights.push((parameter.name.as_str(), tensor.floats()?));
    }
    let weights = weights.iter();
    model.set_weights(weights.map(|(name, values)| (*name, values.as_slice())))
}

/// Writes tensors to a file that appears whole or not at all.
pub(super) fn write(path: &Path, weights: &[Weights], metadata: &[(&str, String)]) -> Result<()> {
    let tensors: Vec<Tensor<'_>> = weights
        .iter()
        .map(|weights| Tensor {
            name: weights.name.clone(),
            shape: weights.shape.dims().to_vec(),
            elements: Elements::F32(&weights.values),
        })
        .collect();
    let head = header(&tensors, metadata)
        .map_err(|message| Error::format(path, None, format!("it cannot be written: {message}")))?;
    let bytes = tensors.iter().map(|tensor| tensor.elements.bytes());
    atomic::write(&System, path, std::iter::once(head.into()).chain(bytes))
}
