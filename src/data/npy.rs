//! Arrays in NumPy's files: `.npy` holds one, `.npz` (a zip archive of them) several by name.
//!
//! The format is that of the NumPy enhancement proposal 1 in its versions 1 to 3. Read are booleans, integers of 8 to 64
//! bits and floats of 16 to 64 bits in either byte order and either memory order; written are little-endian floats of 32 bits.
//! Objects and texts are refused.

#[cfg(feature = "npz")]
mod archive;
#[cfg(not(feature = "npz"))]
#[path = "npy/no_archive.rs"]
mod archive;
mod header;

use std::path::Path;

use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::{Dataset, Samples, Targets, TypedValues};
use header::{ArrayHeader, ElementKind};

pub use archive::{all_from_bytes, load_all, save_all};

/// An array as a file holds it: a shape, and elements in row-major order.
///
/// ```
/// use kiln::data::npy::Array;
///
/// let array = Array::from_f32(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let read = Array::from_bytes(&array.to_bytes(), "x.npy")?;
/// assert_eq!((read.shape(), read.to_f32()?[4]), (&[2, 3][..], 5.0));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    header: ArrayHeader,
    /// The elements as the file has them.
    data: Vec<u8>,
}

impl Array {
    /// An array of these elements, row-major.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `values` are not as many as the shape has elements.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Result<Self> {
        let elements = shape
            .iter()
            .try_fold(1, |n: usize, dim| n.checked_mul(*dim));
        if elements != Some(values.len()) {
            let message = format!(
                "must be as many as {shape:?} has elements, got {}",
                values.len()
            );
            return Err(Error::argument("values", message));
        }
        let header = ArrayHeader::of_f32(shape);
        let data = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Ok(Array { header, data })
    }

    /// Reads a `.npy` file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is no such file, is cut off or too long,
    /// or holds another type than those above.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = crate::formats::read(path)?;
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
        crate::formats::write(&crate::formats::System, path, [self.to_bytes()])
    }

    /// The shape; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Whether its elements are integers or booleans.
    pub fn is_integer(&self) -> bool {
        self.header.kind.is_integer()
    }

    /// The elements as f32, row-major; wider numbers are rounded to the nearest.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where they do not fit into memory.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        self.elements(|kind, bytes| Ok(kind.float(bytes) as f32))
    }

    /// The elements as bytes, row-major; none where it does not hold integers of 8 bits without a sign.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where they do not fit into memory.
    pub fn to_u8(&self) -> Result<Option<Vec<u8>>> {
        if !self.header.kind.is_u8() {
            return Ok(None);
        }
        self.elements(|_, bytes| Ok(bytes[0])).map(Some)
    }

    /// The elements as labels, row-major.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] with the first element that is not a whole number from 0 below 2³² − 1.
    pub fn to_labels(&self) -> Result<Vec<u32>> {
        self.elements(|kind, bytes| {
            let value = kind.float(bytes);
            if value.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&value) {
                return Ok(value as u32);
            }
            Err(Error::data(format!(
                "{value} is not a label: labels are whole numbers from 0; numbers to learn are read by `to_f32`"
            )))
        })
    }

    fn elements<T>(&self, decode: impl Fn(ElementKind, &[u8]) -> Result<T>) -> Result<Vec<T>> {
        let (kind, width) = (self.header.kind, self.header.kind.width());
        let len = self.data.len() / width;
        let mut values = reserved(Some(len), "the array's elements")?;
        if !self.header.fortran {
            for bytes in self.data.chunks_exact(width) {
                values.push(decode(kind, bytes)?);
            }
            return Ok(values);
        }
        // Column-major: the first index runs fastest in the file, the last one in the result.
        let mut index = vec![0; self.header.shape.len()];
        for _ in 0..len {
            let place = index.iter().zip(&self.header.shape).rev();
            let place = place.fold(0, |place, (i, dim)| place * dim + i);
            values.push(decode(
                kind,
                &self.data[place * width..(place + 1) * width],
            )?);
            for (i, dim) in index.iter_mut().zip(&self.header.shape).rev() {
                *i += 1;
                if *i < *dim {
                    break;
                }
                *i = 0;
            }
        }
        Ok(values)
    }
}

impl Dataset {
    /// A data set of an array of features, one row for each first index, and one of targets: labels where that one is a
    /// list of integers, values otherwise.
    ///
    /// Features of 8 bits without a sign stay bytes, others become f32; tokens are [`Samples`] of [`Array::to_labels`].
    ///
    /// Integers of more dimensions are values too, because one-hot classes come so. Labels in a single column or of several
    /// positions, and integers of a list that are numbers, are said to be what they are:
    ///
    /// ```
    /// use kiln::data::npy::Array;
    /// use kiln::{Dataset, Targets};
    ///
    /// # let (x, y) = (Array::from_f32(&[2, 4], &[0.0; 8])?, Array::from_f32(&[2, 3], &[0.0, 1.0, 2.0, 2.0, 1.0, 0.0])?);
    /// // Two rows of four features, each with a class at three positions.
    /// let (columns, classes) = (y.shape()[1], 3);
    /// let targets = Targets::LabelTable { labels: y.to_labels()?, columns, classes };
    /// let data = Dataset::new(x.to_f32()?, 4, targets)?;
    /// // The same as numbers.
    /// let numbers = Targets::Values { values: y.to_f32()?, columns };
    /// # assert_eq!((data.rows(), data.classes()), (2, Some(3)));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where an array has no rows, where the two differ in rows, and where an integer is no label.
    pub fn from_arrays(features: &Array, targets: &Array) -> Result<Self> {
        // An array without rows may claim any number of columns.
        let product = |n: usize, dim: &usize| n.saturating_mul(*dim);
        let columns = |array: &Array| array.shape().iter().skip(1).fold(1, product);
        let sample = features.shape().get(1..).unwrap_or(&[]);
        let targets = match targets.shape() {
            [_] if targets.is_integer() => {
                let labels = targets.to_labels()?;
                let classes = labels.iter().max().map_or(0, |label| *label as usize + 1);
                Targets::Labels { labels, classes }
            }
            _ => Targets::Values {
                values: targets.to_f32()?,
                columns: columns(targets),
            },
        };
        let values = match features.to_u8()? {
            Some(bytes) => bytes.into(),
            None => TypedValues::from(features.to_f32()?),
        };
        Self::from_samples(Samples::called("features", values, sample.into())?, targets)
    }
}
