//! Arrays in NumPy's files: `.npy` holds one, `.npz` (a zip archive of them) several by name.
//!
//! The format is that of the NumPy enhancement proposal 1 in its versions 1 to 3. Read are booleans, integers of 8 to 64
//! bits and floats of 16 to 64 bits in either byte order and either memory order; written are little-endian floats of 32 bits.
//! Objects and texts are refused, in an archive where they are asked for by name.

#[cfg(feature = "npz")]
mod archive;
mod header;

use std::collections::{BTreeMap, btree_map};
use std::io::{BufReader, Cursor};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::edge::files::File;
use crate::error::{Error, Result};
use crate::formats::{System, read, write};
use crate::reserve::reserved;

use super::Array;
use super::array::ArrayHeader;
use super::foreign::{Wanted, told};
use super::source::UnpackedLimit;
use header::UnreadArray;

impl Array {
    /// Reads a `.npy` file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is no such file, is cut off or too long,
    /// or holds another type than those above.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::read_alone(read(path)?).map_err(|message| Error::format(path, None, message))
    }

    /// Reads the bytes of a `.npy` file; `name` stands for the path in errors.
    ///
    /// # Errors
    ///
    /// The same errors as [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        let mut copy = reserved(Some(bytes.len()), "the array")?;
        copy.extend_from_slice(bytes);
        Self::read_alone(copy).map_err(|message| Error::format(name, None, message))
    }

    /// The array in a file that is nothing but one.
    fn read_alone(bytes: Vec<u8>) -> Result<Self, String> {
        match told(&bytes, Wanted::Array) {
            Some(other) => Err(other),
            None => Self::parse(bytes).map_err(UnreadArray::message),
        }
    }

    fn parse(mut bytes: Vec<u8>) -> Result<Self, UnreadArray> {
        let (header, data) = ArrayHeader::parse(&bytes)?;
        let needed = header.bytes();
        if needed != Some(data.len()) {
            return Err(UnreadArray::Damaged(format!(
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

/// The arrays of a `.npz` file by their names, which do not have the ending `.npy`: a map of those of numbers.
///
/// ```no_run
/// let archive = kiln::data::npy::load_all("set.npz")?;
/// let images = archive.array("images")?;
/// for (name, array) in archive.iter() {
///     println!("{name} {:?}", array.shape());
/// }
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Archive {
    path: PathBuf,
    arrays: BTreeMap<String, Array>,
    /// What else is in the file, and why it is no array of numbers.
    others: BTreeMap<String, String>,
}

impl Archive {
    /// The array of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Format`] where it is not one of numbers, such as one of texts or another file; [`Error::NotFound`] where there is
    /// none of that name.
    pub fn array(&self, name: &str) -> Result<&Array> {
        if let Some(array) = self.arrays.get(name) {
            return Ok(array);
        }
        Err(match self.others.get(name) {
            Some(message) => Error::format(&self.path, None, format!("`{name}`: {message}")),
            None => Error::NotFound {
                what: "array",
                name: name.into(),
                known: self
                    .arrays
                    .keys()
                    .chain(self.others.keys())
                    .cloned()
                    .collect(),
            },
        })
    }
}

impl Archive {
    /// What is no array of numbers, by name, and why.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&String, &String)> {
        self.others.iter()
    }
}

impl Deref for Archive {
    type Target = BTreeMap<String, Array>;

    fn deref(&self) -> &Self::Target {
        &self.arrays
    }
}

impl IntoIterator for Archive {
    type Item = (String, Array);
    type IntoIter = btree_map::IntoIter<String, Array>;

    fn into_iter(self) -> Self::IntoIter {
        self.arrays.into_iter()
    }
}

/// What archives may unpack to where the caller does not say.
const LIMIT: UnpackedLimit = UnpackedLimit {
    bytes: None,
    mend: "`npy::load_all_within` takes a higher limit",
};

/// Reads every array of numbers in a `.npz` file. Other arrays and other files in it are left out, and refused where
/// [`Archive::array`] asks for them.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is no such archive, where an array in it is
/// damaged (its name is in the message), where the arrays unpack to more than 8 MiB and 200 bytes for each of the file
/// ([`load_all_within`] takes more), and where this build has no archives.
pub fn load_all(path: impl AsRef<Path>) -> Result<Archive> {
    load(path.as_ref(), LIMIT)
}

/// Reads a `.npz` file as [`load_all`] does, whose arrays may unpack to `max_unpacked` bytes.
///
/// # Errors
///
/// The same errors as [`load_all`].
pub fn load_all_within(path: impl AsRef<Path>, max_unpacked: u64) -> Result<Archive> {
    let bytes = Some(max_unpacked);
    load(path.as_ref(), UnpackedLimit { bytes, ..LIMIT })
}

fn load(path: &Path, limit: UnpackedLimit) -> Result<Archive> {
    let file = File::open(path).map_err(|refusal| Error::io(path, refusal))?;
    archive::read(BufReader::new(file), path, limit)
}

/// Reads the bytes of a `.npz` file as [`load_all`] does; `name` stands for the path in errors.
///
/// # Errors
///
/// The same errors as [`load_all`].
pub fn all_from_bytes(bytes: &[u8], name: &str) -> Result<Archive> {
    archive::read(Cursor::new(bytes), Path::new(name), LIMIT)
}

/// Reads the bytes of a `.npz` file with the weights of a model of this many numbers, which may unpack to twice what these take as
/// f64 where that is more than others may.
pub(crate) fn weights_from_bytes(bytes: &[u8], name: &str, numbers: u64) -> Result<Archive> {
    let by_default = UnpackedLimit::by_default(bytes.len() as u64);
    let own = numbers.saturating_mul(2 * size_of::<f64>() as u64);
    let limit = UnpackedLimit {
        bytes: Some(by_default.max(own)),
        ..LIMIT
    };
    archive::read(Cursor::new(bytes), Path::new(name), limit)
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
    use super::{Archive, Error, Path, Result, UnpackedLimit};

    fn refused<T>(path: &Path) -> Result<T> {
        let message = "this build of Kiln has no `.npz` archives: the feature `npz` is off";
        Err(Error::format(path, None, message))
    }

    pub(super) fn read<R>(_file: R, path: &Path, _limit: UnpackedLimit) -> Result<Archive> {
        refused(path)
    }

    pub(super) fn to_bytes<A>(_arrays: A, path: &Path) -> Result<Vec<u8>> {
        refused(path)
    }
}
