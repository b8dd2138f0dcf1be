//! Named tensors of numbers out of a file of either format, safetensors or npz.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::npy;
use crate::formats::safetensors::File;
use crate::nn::Parameter;
use crate::train::Model;
use crate::{Error, Result, formats};

/// A tensor on the host.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Reads all tensors of a file; which of the formats it is, its first bytes say.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Numbers>> {
    let bytes = formats::read(path)?;
    if bytes.starts_with(b"PK") {
        let mut tensors = BTreeMap::new();
        for (name, array) in npy::all_from_bytes(&bytes, &path.display().to_string())? {
            let numbers = Numbers {
                shape: array.shape().to_vec(),
                values: array.to_f32()?,
            };
            tensors.insert(name, numbers);
        }
        return Ok(tensors);
    }
    of(&File::parse(&bytes, path)?)
}

/// The tensors of numbers in a safetensors file.
pub(super) fn of(file: &File<'_>) -> Result<BTreeMap<String, Numbers>> {
    let mut tensors = BTreeMap::new();
    for name in file.names() {
        let tensor = file.tensor(name)?;
        // Counters and the like, which no layer of ours keeps.
        if tensor.is_float() {
            let numbers = Numbers {
                values: tensor.floats()?,
                shape: tensor.shape,
            };
            tensors.insert(name.into(), numbers);
        }
    }
    Ok(tensors)
}

/// Sets these parameters of the model from tensors of their names; all of them are looked at before any is set.
pub(super) fn set(
    model: &mut Model,
    path: &Path,
    tensors: &BTreeMap<String, Numbers>,
    parameters: &[Parameter],
) -> Result<()> {
    let unfit = |message: String| Error::format(path, None, message);
    for parameter in parameters {
        let name = &parameter.name;
        let Some(Numbers { shape, .. }) = tensors.get(name) else {
            return Err(unfit(format!("it has no tensor `{name}` of numbers")));
        };
        if shape[..] != *parameter.shape.dims() {
            return Err(unfit(format!(
                "the tensor `{name}` is {shape:?}, not {} as in the model",
                parameter.shape
            )));
        }
    }
    let given = parameters.iter().filter_map(|parameter| {
        let name = parameter.name.as_str();
        Some((name, tensors.get(name)?.values.as_slice()))
    });
    model.set_weights(given)
}
