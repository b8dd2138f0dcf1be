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

use super::source::{decompressed, open, unreadable};

pub use mnist::{mnist, mnist_images, read_images, read_images_and_labels};

/// Bytes read at a time; a multiple of every element's width, so that no element lies in two pieces.
const PIECE: usize = 1 << 20;

/// The array of an IDX file.
#[derive(Debug, Clone, PartialEq)]
pub struct Idx {
    /// The sizes of the dimensions, at least one; the data has their product of elements.
    pub dims: Vec<usize>,
    /// The elements, the last dimension running fastest.
    pub data: IdxData,
}

/// The elements of an [`Idx`], in one of the six types that the format has.
#[derive(Debug, Clone, PartialEq)]
pub enum IdxData {
    /// Type 8: the pixels and labels of MNIST.
    U8(Vec<u8>),
    /// Type 9.
    I8(Vec<i8>),
    /// Type 11.
    I16(Vec<i16>),
    /// Type 12.
    I32(Vec<i32>),
    /// Type 13.
    F32(Vec<f32>),
    /// Type 14.
    F64(Vec<f64>),
}

impl Idx {
    /// The elements as f32, rounded where they are i32 or f64.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where they do not fit into memory.
    pub fn into_f32(self) -> Result<Vec<f32>> {
        fn convert<T>(elements: Vec<T>, to_f32: impl Fn(T) -> f32) -> Result<Vec<f32>> {
            let mut converted = reserved(Some(elements.len()), "the elements as f32")?;
            converted.extend(elements.into_iter().map(to_f32));
            Ok(converted)
        }
        match self.data {
            IdxData::U8(elements) => convert(elements, f32::from),
            IdxData::I8(elements) => convert(elements, f32::from),
            IdxData::I16(elements) => convert(elements, f32::from),
            IdxData::I32(elements) => convert(elements, |x| x as f32),
            IdxData::F32(elements) => Ok(elements),
            IdxData::F64(elements) => convert(elements, |x| x as f32),
        }
    }
}

/// Reads an IDX file, gzipped or not.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be read; [`Error::Format`] where it is not an IDX file, where it ends before its
/// last element or goes on after it, and where its gzip data is damaged.
pub fn read(path: impl AsRef<Path>) -> Result<Idx> {
    let path = path.as_ref();
    read_all(open(path)?, path)
}

/// Reads from `reader`, gzipped or not; `name` stands for the path in errors.
///
/// # Errors
///
/// The same errors as [`read`].
pub fn read_from(reader: impl Read, name: &str) -> Result<Idx> {
    let path = Path::new(name);
    read_all(
        decompressed(reader).map_err(|refusal| unreadable(path, refusal))?,
        path,
    )
}

fn read_all<'a>(mut reader: Box<dyn Read + 'a>, path: &'a Path) -> Result<Idx> {
    let magic = bytes(&mut reader, 4, path)?;
    let [0, 0, kind @ (8 | 9 | 11..=14), rank @ 1..=255] = magic[..] else {
        return Err(Error::format(
            path,
            None,
            format!(
                "it begins with the bytes {magic:02x?}; an IDX file begins with 00 00, a type of 08, 09 or 0b to 0e, \
                 and the number of dimensions"
            ),
        ));
    };
    let header = bytes(&mut reader, 4 * usize::from(rank), path)?;
    let dims: Vec<u32> = header
        .as_chunks()
        .0
        .iter()
        .map(|dim| u32::from_be_bytes(*dim))
        .collect();
    if dims.len() < rank.into() {
        let message = format!("it ends within the sizes of its {rank} dimensions");
        return Err(Error::format(path, None, message));
    }
    let mut body = Body {
        reader,
        path,
        dims: &dims,
    };
    let data = match kind {
        8 => IdxData::U8(body.elements(u8::from_be_bytes)?),
        9 => IdxData::I8(body.elements(i8::from_be_bytes)?),
        11 => IdxData::I16(body.elements(i16::from_be_bytes)?),
        12 => IdxData::I32(body.elements(i32::from_be_bytes)?),
        13 => IdxData::F32(body.elements(f32::from_be_bytes)?),
        _ => IdxData::F64(body.elements(f64::from_be_bytes)?),
    };
    Ok(Idx {
        dims: dims.iter().map(|&dim| dim as usize).collect(),
        data,
    })
}

/// What follows an IDX header.
struct Body<'a> {
    reader: Box<dyn Read + 'a>,
    path: &'a Path,
    dims: &'a [u32],
}

impl Body<'_> {
    /// Reads the elements, `WIDTH` bytes each, and makes sure that the file ends with them.
    fn elements<T, const WIDTH: usize>(&mut self, from_be: fn([u8; WIDTH]) -> T) -> Result<Vec<T>> {
        let (path, dims) = (self.path, self.dims);
        let refused = |message| Error::format(path, None, message);
        let count = dims.iter().try_fold(1, |count: usize, dim| {
            count.checked_mul(usize::try_from(*dim).ok()?)
        });
        let Some(size) = count.and_then(|count| count.checked_mul(WIDTH)) else {
            return Err(refused(format!(
                "its dimensions {dims:?} are more elements than can be counted"
            )));
        };
        let mut pieces = Vec::new();
        let mut found = 0;
        while found < size {
            let piece = bytes(&mut self.reader, PIECE.min(size - found), path)?;
            if piece.is_empty() {
                return Err(refused(format!(
                    "it ends after {found} bytes of elements, and its dimensions {dims:?} ask for {size}"
                )));
            }
            found += piece.len();
            pieces.push(piece);
        }
        if !bytes(&mut self.reader, 1, path)?.is_empty() {
            return Err(refused(format!(
                "it goes on after the {size} bytes of elements that its dimensions {dims:?} ask for"
            )));
        }
        let mut elements = reserved(Some(size / WIDTH), "the elements")?;
        for piece in pieces {
            elements.extend(piece.as_chunks().0.iter().map(|element| from_be(*element)));
        }
        Ok(elements)
    }
}

/// The next `len` bytes, fewer only where the file ends.
fn bytes(reader: &mut impl Read, len: usize, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = reserved(Some(len), "the next bytes")?;
    let read = reader.take(len as u64).read_to_end(&mut bytes);
    read.map_err(|refusal| unreadable(path, refusal))?;
    Ok(bytes)
}
