//! IDX files, the format in which MNIST and its relatives come, plain or gzipped.
//!
//! The format: two zero bytes, a byte for the type of the elements, a byte for the number of dimensions, the
//! dimensions as big-endian u32, and the elements in big-endian order, the last dimension running fastest
//! (Y. LeCun, C. Cortes, C. Burges, *The MNIST database of handwritten digits*).
//!
//! A header is not believed before its elements are there: memory grows with what was read, to at most twice the size
//! of the elements, and a file is not decompressed further than its header says it goes.

mod mnist;

use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::Array;
use super::array::{ArrayHeader, ElementKind};
use super::foreign::{Wanted, told};
use super::source::{UnpackedLimit, open, unpacked, unreadable};

pub use mnist::{mnist, read_images};

/// The types of the format, each by its number and as NumPy writes it; MNIST's pixels and labels are of the first.
const KINDS: [(u8, &str); 6] = [
    (8, "|u1"),
    (9, "|i1"),
    (11, ">i2"),
    (12, ">i4"),
    (13, ">f4"),
    (14, ">f8"),
];

/// A gzipped file that says to unpack to more is not believed.
const LIMIT: UnpackedLimit = UnpackedLimit {
    bytes: None,
    mend: "unpack the file yourself, as with gunzip: an unpacked file has no limit",
};

/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// Bytes by which a file of another kind is known.
const FIRST_BYTES: usize = 1 << 12;

/// Reads an IDX file, gzipped or not.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be read; [`Error::Format`] where it is not an IDX file, where it ends before its
/// last element or goes on after it, and where its gzip data is damaged.
pub fn read(path: impl AsRef<Path>) -> Result<Array> {
    let path = path.as_ref();
    parse(open(path, LIMIT)?, path)
}

/// Reads from `reader`, gzipped or not; `name` stands for the path in errors.
///
/// # Errors
///
/// The same errors as [`read`].
pub fn read_from(reader: impl Read, name: &str) -> Result<Array> {
    let path = Path::new(name);
    parse(unpacked(reader, path, LIMIT)?, path)
}

fn parse(mut reader: impl Read, path: &Path) -> Result<Array> {
    let refused = |message: String| Error::format(path, None, message);
    let magic = bytes(&mut reader, 4, path)?;
    let known = match magic[..] {
        [0, 0, number, rank @ 1..=255] => {
            let kind = KINDS.iter().find(|(known, _)| *known == number);
            kind.and_then(|(_, name)| Some((ElementKind::parse(name)?, rank)))
        }
        _ => None,
    };
    let Some((kind, rank)) = known else {
        let more = bytes(&mut reader, FIRST_BYTES, path)?;
        let other = told(&[&magic[..], &more].concat(), Wanted::Idx);
        return Err(refused(other.unwrap_or_else(|| {
            format!(
                "it begins with the bytes {magic:02x?}; an IDX file begins with 00 00, a type of 08, 09 or 0b to 0e, \
                 and the number of dimensions"
            )
        })));
    };
    let sizes = bytes(&mut reader, 4 * usize::from(rank), path)?;
    let sizes = sizes.as_chunks().0.iter();
    let shape: Vec<usize> = sizes.map(|dim| u32::from_be_bytes(*dim) as usize).collect();
    if shape.len() < rank.into() {
        let message = format!("it ends within the sizes of its {rank} dimensions");
        return Err(refused(message));
    }
    let header = ArrayHeader {
        kind,
        fortran: false,
        shape,
    };
    let dims = &header.shape;
    let size = header.bytes().ok_or_else(|| {
        refused(format!(
            "its dimensions {dims:?} are more elements than can be counted"
        ))
    })?;
    let mut pieces = Vec::new();
    let mut found = 0;
    while found < size {
        let piece = bytes(&mut reader, PIECE.min(size - found), path)?;
        if piece.is_empty() {
            return Err(refused(format!(
                "it ends after {found} bytes of elements, and its dimensions {dims:?} ask for {size}"
            )));
        }
        found += piece.len();
        pieces.push(piece);
    }
    if !bytes(&mut reader, 1, path)?.is_empty() {
        return Err(refused(format!(
            "it goes on after the {size} bytes of elements that its dimensions {dims:?} ask for"
        )));
    }
    let mut data = reserved(Some(size), "the elements")?;
    for piece in pieces {
        data.extend_from_slice(&piece);
    }
    Ok(Array { header, data })
}

/// The next `len` bytes, fewer only where the file ends.
fn bytes(reader: &mut impl Read, len: usize, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = reserved(Some(len), "the next bytes")?;
    let read = reader.take(len as u64).read_to_end(&mut bytes);
    read.map_err(|refusal| unreadable(path, refusal))?;
    Ok(bytes)
}
