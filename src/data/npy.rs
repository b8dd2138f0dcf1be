//! Arrays in NumPy's files: `.npy` holds one, `.npz` (a zip archive of them) several by name.
//!
//! The format is that of the NumPy enhancement proposal 1 in its versions 1 to 3. Read are booleans, integers of 8 to 64
//! bits and floats of 16 to 64 bits in either byte order and either memory order; written are little-endian floats of 32 bits.
//! Objects and texts are refused.

#[cfg(feature = "npz")]
mod archive;
mod header;

use std::collections::BTreeMap;
use std::io::{BufReader, Cursor};
use std::path::Path;

use crate::edge::files::File;
use crate::error::{Error, Result};
use crate::formats::{System, read, write};
use crate::reserve::reserved;

use super::Array;
use super::array::ArrayHeader;

impl Array {
    /// Reads a `.npy` file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is no such file, is cut off or too long,
    /// or holds another type than those above.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read(path)?;
        Self::parse(bytes, path)
    }

    /// Reads the bytes of a `.npy` file; `name` stands for the path in errors.
    ///
    /// # Errors
    ///
    /// The same errors as [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        let mut copy = reserved(Some(bytes.len()), "the array")?;
        copy.extend_from_slice(bytes);
        Self::parse(copy, Path::new(name))
    }

    fn parse(mut bytes: Vec<u8>, path: &Path) -> Result<Self> {
        let unfit = |message: String| Error::format(path, None, message);
        let (header, data) = ArrayHeader::parse(&bytes).map_err(unfit)?;
        let needed = header.bytes();
        if needed != Some(data.len()) {
            return Err(unfit(format!(
                "an array {:?} of {} needs {} bytes, and {} are there",
                header.shape,
                header.kind,
                needed.map_or("too many".to_string(), |needed| needed.to_string()),
                data.len()
            )));
        }
        let begin = bytes.len() - data.len();
        bytes.drain(..begin);
        Ok(Array {
            header,
            data: bytes,
        })
    }

    /// The bytes of a `.npy` file of it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.to_bytes();
        bytes.extend_from_slice(&self.data);
        bytes
    }

    /// Writes a `.npy` file, which appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write(&System, path, [self.to_bytes()])
    }
}

/// Reads every array of a `.npz` file, by name without the ending `.npy`.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is no such archive, where an array in it is
/// damaged (its name is in the message), and where this build has no archives.
pub fn load_all(path: impl AsRef<Path>) -> Result<BTreeMap<String, Array>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|refusal| Error::io(path, refusal))?;
    archive::read(BufReader::new(file), path)
}

/// Reads every array of the bytes of a `.npz` file; `name` stands for the path in errors.
///
/// # Errors
///
/// The same errors as [`load_all`].
pub fn all_from_bytes(bytes: &[u8], name: &str) -> Result<BTreeMap<String, Array>> {
    archive::read(Cursor::new(bytes), Path::new(name))
}

/// Writes a `.npz` file of these arrays, uncompressed as NumPy's `savez` does. It appears whole or not at all.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be written, [`Error::Argument`] where two arrays have one name, [`Error::Format`] where this
/// build has no archives.
pub fn save_all<'a>(
    path: impl AsRef<Path>,
    arrays: impl IntoIterator<Item = (&'a str, &'a Array)>,
) -> Result<()> {
    let path = path.as_ref();
    let bytes = archive::to_bytes(arrays, path)?;
    write(&System, path, [bytes])
}

/// What stands for archives where the crate is built without them.
#[cfg(not(feature = "npz"))]
mod archive {
    use super::{Array, BTreeMap, Error, Path, Result};

    fn refused<T>(path: &Path) -> Result<T> {
        let message = "this build of Kiln has no `.npz` archives: the feature `npz` is off";
        Err(Error::format(path, None, message))
    }

    pub(super) fn read<R>(_file: R, path: &Path) -> Result<BTreeMap<String, Array>> {
        refused(path)
    }

    pub(super) fn to_bytes<A>(_arrays: A, path: &Path) -> Result<Vec<u8>> {
        refused(path)
    }
}
