//! Named tensors out of a file of either format, safetensors or npz.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::npy;
use crate::formats::safetensors::File;
use crate::formats::{FileOf, file_of};
use crate::nn::Parameter;
use crate::train::Model;
use crate::{Error, Result, formats};

/// A tensor of a file, on the host.
#[derive(Debug, Clone)]
pub(super) struct HostTensor {
    pub shape: Vec<usize>,
    /// The elements, or the name of their type where they are no floats.
    pub values: Result<Vec<f32>, String>,
}

/// Reads all tensors of a file; which of the formats it is, its first bytes say.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, HostTensor>> {
    let bytes = formats::read(path)?;
    if !bytes.starts_with(b"PK") {
        return of(&File::parse(&bytes, path)?);
    }
    if let Some(other) = file_of(&bytes).filter(|other| *other != FileOf::Npz) {
        return Err(Error::format(path, None, other.to_string()));
    }
    let mut tensors = BTreeMap::new();
    let archive = npy::all_from_bytes(&bytes, &path.display().to_string())?;
    for (name, why) in archive.others() {
        let tensor = HostTensor {
            shape: Vec::new(),
            values: Err(format!("no array of numbers ({why})")),
        };
        tensors.insert(name.clone(), tensor);
    }
    for (name, array) in archive {
        let tensor = HostTensor {
            shape: array.shape().to_vec(),
            values: Ok(array.to_f32()?),
        };
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// The tensors in a safetensors file.
pub(super) fn of(file: &File<'_>) -> Result<BTreeMap<String, HostTensor>> {
    let mut tensors = BTreeMap::new();
    for name in file.names() {
        let tensor = file.tensor(name)?;
        let values = if tensor.is_float() {
            Ok(tensor.floats()?)
        } else {
            Err(tensor.dtype.to_string())
        };
        let shape = tensor.shape;
        tensors.insert(name.into(), HostTensor { shape, values });
    }
    Ok(tensors)
}

/// Sets these parameters of the model from tensors of their names; all of them are looked at before any is set.
pub(super) fn set(
    model: &mut Model,
    path: &Path,
    tensors: &BTreeMap<String, HostTensor>,
    parameters: &[Parameter],
) -> Result<()> {
    let unfit = |message: String| Error::format(path, None, message);
    let mut given = Vec::new();
    for parameter in parameters {
        let name = parameter.name.as_str();
        let Some(HostTensor { shape, values }) = tensors.get(name) else {
            return Err(unfit(format!("it has no tensor `{name}`")));
        };
        let values = match values {
            Ok(values) => values.as_slice(),
            Err(kind) => {
                return Err(unfit(format!("the tensor `{name}` is {kind}, not floats")));
            }
        };
        if shape[..] != *parameter.shape.dims() {
            return Err(unfit(format!(
                "the tensor `{name}` is {shape:?}, not {} as in the model",
                parameter.shape
            )));
        }
        given.push((name, values));
    }
    model.set_weights(given)
}
