//! Named tensors out of a file of either format, safetensors or npz.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::{LearnedNames, NamesDescription, npy};
use crate::formats::safetensors::File;
use crate::formats::{FileOf, file_of};
use crate::nn::Parameter;
use crate::train::Model;
use crate::{Error, Result, formats};

/// A tensor of a file, on the host.
#[derive(Debug, Clone)]
pub(super) struct HostTensor {
    pub shape: Vec<usize>,
    /// The elements, or what they are where they are no floats of 32 bits.
    pub values: Result<Vec<f32>, String>,
}

/// The tensors of a file by name.
pub(super) type HostTensors = BTreeMap<String, HostTensor>;

/// Reads all tensors of a file for this model, and the names of columns and classes that the file's model learned, where it has
/// some; which of the formats it is, its first bytes say.
pub(super) fn read(path: &Path, model: &Model) -> Result<(HostTensors, Option<LearnedNames>)> {
    let bytes = formats::read(path)?;
    if !bytes.starts_with(b"PK") {
        let file = File::parse(&bytes, path)?;
        return Ok((of(&file)?, names(&file)?));
    }
    if let Some(other) = file_of(&bytes).filter(|other| *other != FileOf::Npz) {
        return Err(Error::format(path, None, other.to_string()));
    }
    let parameters = model.architecture().parameters();
    let numbers = parameters.map(|own| own.elements() as u64).sum();
    let mut tensors = BTreeMap::new();
    let archive = npy::weights_from_bytes(&bytes, &path.display().to_string(), numbers)?;
    for (name, why) in archive.others() {
        let tensor = HostTensor {
            shape: Vec::new(),
            values: Err(format!("no array of numbers ({why})")),
        };
        tensors.insert(name.clone(), tensor);
    }
    for (name, array) in archive {
        let values = match array.beyond_f32() {
            Some(number) => Err(too_large(number)),
            None => Ok(array.rounded()?),
        };
        let shape = array.shape().to_vec();
        tensors.insert(name, HostTensor { shape, values });
    }
    Ok((tensors, None))
}

/// The names that the model of a file of ours learned; none in files of other programs.
pub(super) fn names(file: &File<'_>) -> Result<Option<LearnedNames>> {
    let is_ours = file
        .text("format")
        .is_some_and(|format| format.starts_with("kiln"));
    if !is_ours || file.text(NAMES).is_none() {
        return Ok(None);
    }
    let names: NamesDescription = file.json(NAMES)?;
    Ok(Some(LearnedNames::from(names)))
}

/// What the names are called in the metadata.
pub(super) const NAMES: &str = "names";

/// The tensors in a safetensors file.
pub(super) fn of(file: &File<'_>) -> Result<HostTensors> {
    let mut tensors = BTreeMap::new();
    for name in file.names() {
        let tensor = file.tensor(name)?;
        let values = match tensor.beyond_f32() {
            Some(number) => Err(too_large(number)),
            None if tensor.is_float() => Ok(tensor.rounded()?),
            None => Err(format!("{}, not floats", tensor.dtype)),
        };
        let shape = tensor.shape;
        tensors.insert(name.into(), HostTensor { shape, values });
    }
    Ok(tensors)
}

/// What a tensor of wider floats is with this number in it.
fn too_large(number: f64) -> String {
    format!("one of wider floats with {number:e} in it, beyond what f32 holds (3.4e38)")
}

/// Sets these parameters of the model from tensors of their names; all of them are looked at before any is set.
pub(super) fn set(
    model: &mut Model,
    path: &Path,
    tensors: &HostTensors,
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
                return Err(unfit(format!("the tensor `{name}` is {kind}")));
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
