//! What stands for `.npz` files where the crate is built without the feature `npz`: every call says so.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Error, Result};

use super::Array;

fn refused(path: &Path) -> Error {
    let message = "this build of Kiln has no `.npz` archives: the feature `npz` is off";
    Error::format(path, None, message)
}

/// Reads every array of a `.npz` file.
///
/// # Errors
///
/// [`Error::Format`]: this build reads none.
pub fn load_all(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>> {
    Err(refused(path.as_ref()))
}

/// Reads every array of the bytes of a `.npz` file.
///
/// # Errors
///
/// [`Error::Format`]: this build reads none.
pub fn all_from_bytes(_bytes: &[u8], name: &str) -> Result<BTreeMap<String, Array>> {
    Err(refused(Path::new(name)))
}

/// Writes a `.npz` file of these arrays.
///
/// # Errors
///
/// [`Error::Format`]: this build writes none.
pub fn save_all<'a>(
    path: impl AsRef<Path>,
    _arrays: impl IntoIterator<Item = (&'a str, &'a Array)>,
) -> Result<()> {
    Err(refused(path.as_ref()))
}
