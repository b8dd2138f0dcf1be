//! The tensors of a model's layers in a file, by name.

use std::path::Path;

use crate::data::{Array, LearnedNames, npy};
use crate::formats::System;
use crate::formats::safetensors::{Elements, NewTensor, header};
use crate::nn::Parameter;
use crate::train::{Model, Weights};
use crate::{Error, Result, formats};

use super::import::{Import, import_weights};
use super::tensors;

impl Model {
    /// Sets the weights of layers from a file of another program, safetensors or npz; the names of the model's tensors that
    /// were set.
    ///
    /// ```no_run
    /// use kiln::io::Import;
    /// use kiln::prelude::*;
    ///
    /// let network = Sequential::new(784).dense(128, Relu).dense(10, Softmax);
    /// let mut model = network.compile(SparseCategoricalCrossentropy, Adam::default(), [Accuracy])?;
    /// // nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)): `0.weight`, `0.bias`, `2.weight` …
    /// model.import_weights("mnist.safetensors", &Import::pytorch())?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where layers of the file and the model do not belong together one to one, or their names do not
    /// tell how; where a tensor is missing, left over, or of another shape. The model stays as it was.
    pub fn import_weights(
        &mut self,
        path: impl AsRef<Path>,
        import: &Import,
    ) -> Result<Vec<String>> {
        import_weights(self, path.as_ref(), import)
    }

    /// Writes the tensors of all layers by name, and nothing else: for models with layers that a file cannot keep. A name that
    /// ends in `.npz` makes an archive of NumPy's arrays of it, any other a safetensors file.
    ///
    /// A safetensors file has the names of columns, categories and classes too that the model has learned; an archive of arrays has
    /// no place for them. The file appears whole or not at all, as with [`Model::save`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be written, [`Error::DeviceLost`] and [`Error::Timeout`] where the weights
    /// do not come from the device.
    pub fn save_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let (path, weights) = (path.as_ref(), self.weights()?);
        if path.extension().is_some_and(|ending| ending == "npz") {
            let mut arrays = Vec::new();
            for weights in &weights {
                let array = Array::from_f32(weights.shape.dims(), &weights.values)?;
                arrays.push((weights.name.as_str(), array));
            }
            return npy::save_all(path, arrays.iter().map(|(name, array)| (*name, array)));
        }
        let mut metadata = vec![("format", "kiln weights".into())];
        metadata.extend(self.names_written(path)?);
        write(path, &weights, &metadata)
    }

    /// The names of columns and classes as a file's metadata has them, where the model has learned some.
    pub(super) fn names_written(&self, path: &Path) -> Result<Option<(&'static str, String)>> {
        let names = self.architecture.names.describe();
        let written = names.map(|names| serde_json::to_string(&names)).transpose();
        let written = written.map_err(|error| {
            Error::format(path, None, format!("names cannot be described: {error}"))
        });
        Ok(written?.map(|json| (tensors::NAMES, json)))
    }

    /// Reads the tensors of all layers by name, from a file of [`Model::save_weights`], [`Model::save`] or another program
    /// that writes safetensors or npz; [`Model::import_weights`] reads those with names of other programs.
    ///
    /// With the weights come the names of columns, categories and classes that a file of [`Model::save_weights`] or [`Model::save`]
    /// has, as tables are put in order by them.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where the names that the file has are others than those that the model has learned.
    /// [`Error::Format`] where the file lacks a tensor of the model, has one of another shape or type, or has one of floats that the
    /// model does not have; the model stays as it was. Other tensors, such as counters and scales in types without a
    /// use here, are passed over unless the model has one of their name.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.settle_now()?;
        let (tensors, names) = tensors::read(path, self)?;
        let names = self.names_of_weights(names, path)?;
        let expected: Vec<Parameter> = self.architecture().parameters().collect();
        let known = |name: &str| expected.iter().any(|parameter| parameter.name == name);
        let mut read = tensors.iter().filter(|(_, tensor)| tensor.values.is_ok());
        if let Some((name, _)) = read.find(|(name, _)| !known(name)) {
            let message = format!("the model has no tensor `{name}`");
            return Err(Error::format(path, None, message));
        }
        tensors::set(self, path, &tensors, &expected)?;
        self.architecture.names = names;
        Ok(())
    }

    /// The names that the model has with all its weights from a file that has these.
    fn names_of_weights(&self, file: Option<LearnedNames>, path: &Path) -> Result<LearnedNames> {
        let own = &self.architecture.names;
        let width = self.architecture.raw_columns();
        let names = file.map(|file| own.with_those_of_weights(file, width));
        names
            .unwrap_or_else(|| Ok(own.clone()))
            .map_err(|message| Error::format(path, None, message))
    }

    /// Reads those tensors that the file and the model both have, by name, and returns their names: for a model that shares
    /// some of its layers with another. Where these are all of its tensors, names of columns and classes come too, as with
    /// [`load_weights`](Self::load_weights).
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where a tensor that both have is of another shape or type; the model stays as it was.
    pub fn load_weights_by_name(&mut self, path: impl AsRef<Path>) -> Result<Vec<String>> {
        let path = path.as_ref();
        self.settle_now()?;
        let (tensors, names) = tensors::read(path, self)?;
        let common: Vec<Parameter> = self
            .architecture()
            .parameters()
            .filter(|parameter| tensors.contains_key(&parameter.name))
            .collect();
        let is_all = common.len() == self.architecture().parameters().count();
        let names = self.names_of_weights(names.filter(|_| is_all), path)?;
        tensors::set(self, path, &tensors, &common)?;
        self.architecture.names = names;
        Ok(common.into_iter().map(|parameter| parameter.name).collect())
    }
}

/// Writes tensors to a file that appears whole or not at all.
pub(super) fn write(path: &Path, weights: &[Weights], metadata: &[(&str, String)]) -> Result<()> {
    let tensors: Vec<NewTensor<'_>> = weights
        .iter()
        .map(|weights| NewTensor {
            name: weights.name.clone(),
            shape: weights.shape.dims().to_vec(),
            elements: Elements::F32(&weights.values),
        })
        .collect();
    let head = header(&tensors, metadata)
        .map_err(|message| Error::format(path, None, format!("it cannot be written: {message}")))?;
    let bytes = tensors.iter().map(|tensor| tensor.elements.bytes());
    formats::write(&System, path, std::iter::once(head.into()).chain(bytes))
}
