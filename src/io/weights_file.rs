//! The tensors of a model's layers in a safetensors file, by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::nn::Parameter;
use crate::train::{Model, Weights};
use crate::{Error, Result};

impl Model {
    /// Writes the tensors of all layers by name, and nothing else: for models with layers that a file cannot keep.
    ///
    /// The file appears whole or not at all, as with [`Model::save`].
    pub fn save_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let weights = self.weights()?;
        let format = ("format".to_string(), "kiln weights".to_string());
        write(path.as_ref(), &weights, HashMap::from([format]))
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
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
        let tensors = parsed(path, &bytes)?;
        let expected: Vec<Parameter> = self.architecture().parameters().collect();
        let known = |name: &str| expected.iter().any(|parameter| parameter.name == name);
        if let Some(name) = tensors.names().into_iter().find(|name| !known(name)) {
            let message = format!("the model has no tensor {name}");
            return Err(Error::format(path, None, message));
        }
        set(self, path, &tensors, &expected)
    }

    /// Reads those tensors that the file and the model both have, by name, and returns their names: for a model that shares
    /// some of its layers with another.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where a tensor that both have is of another shape or type; the model stays as it was.
    pub fn load_weights_by_name(&mut self, path: impl AsRef<Path>) -> Result<Vec<String>> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
        let tensors = parsed(path, &bytes)?;
        let names = tensors.names();
        let common: Vec<Parameter> = self
            .architecture()
            .parameters()
            .filter(|parameter| names.contains(&parameter.name.as_str()))
            .collect();
        set(self, path, &tensors, &common)?;
        Ok(common.into_iter().map(|parameter| parameter.name).collect())
    }
}

fn parsed<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes).map_err(|error| {
        let message = format!("this is no safetensors file: {error}");
        Error::format(path, None, message)
    })
}

/// Sets these parameters of the model from the file's tensors; all of them are read before any is set.
pub(super) fn set(
    model: &mut Model,
    path: &Path,
    tensors: &SafeTensors<'_>,
    parameters: &[Parameter],
) -> Result<()> {
    let unfit = |message: String| Error::format(path, None, message);
    let mut weights = Vec::new();
    for parameter in parameters {
        let tensor = tensors
            .tensor(&parameter.name)
            .map_err(|error| unfit(format!("the tensor {}: {error}", parameter.name)))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != parameter.shape.dims() {
            let (name, dtype, shape) = (&parameter.name, tensor.dtype(), tensor.shape());
            let message = format!(
                "the tensor {name} is {dtype:?} {shape:?}, not F32 {:?}",
                parameter.shape
            );
            return Err(unfit(message));
        }
        let values: Vec<f32> = tensor
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        weights.push((parameter.name.as_str(), values));
    }
    let weights = weights.iter();
    model.set_weights(weights.map(|(name, values)| (*name, values.as_slice())))
}

/// Writes tensors to a file that appears whole or not at all: under another name beside `path`, then renamed.
pub(super) fn write(
    path: &Path,
    weights: &[Weights],
    metadata: HashMap<String, String>,
) -> Result<()> {
    let bytes: Vec<Vec<u8>> = weights
        .iter()
        .map(|w| {
            w.values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        })
        .collect();
    let unfit = |error: safetensors::SafeTensorError| Error::format(path, None, error.to_string());
    let views = weights.iter().zip(&bytes).map(|(weights, bytes)| {
        let view = TensorView::new(Dtype::F32, weights.shape.dims().to_vec(), bytes)?;
        Ok((weights.name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(unfit)?;
    let file = safetensors::serialize(views, Some(metadata)).map_err(unfit)?;
    let beside = beside(path);
    let written = write_synced(&beside, &file).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        // Nothing is left behind; if even that fails, the first error is the one to tell.
        std::fs::remove_file(&beside).unwrap_or_default();
        Error::io(path, error)
    })
}

/// Writes a file down to the disk, so that the rename behind it cannot come first.
fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

/// A name beside `path` that no other writer uses.
fn beside(path: &Path) -> PathBuf {
    static WRITES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let write = WRITES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{write}.part", std::process::id()));
    path.with_file_name(name)
}
