//! [`Array`]: elements of any type as a file holds them, with their shape.

use std::fmt;

use crate::error::{Error, Result};
use crate::number::{first_beyond_f32, half_value};
use crate::reserve::reserved;

use super::targets::label;
use super::{Samples, Targets, TypedValues};

/// An array as a file holds it: a shape, and elements in row-major order.
///
/// ```
/// use kiln::data::Array;
///
/// let array = Array::from_f32(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// let read = Array::from_bytes(&array.to_bytes(), "x.npy")?;
/// assert_eq!((read.shape(), read.to_f32()?[4]), (&[2, 3][..], 5.0));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub(super) header: ArrayHeader,
    /// The elements as the file has them.
    pub(super) data: Vec<u8>,
}

impl Array {
    /// An array of these elements, row-major.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `values` are not as many as the shape has elements.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Result<Self> {
        let header = ArrayHeader {
            kind: ElementKind {
                class: ElementClass::Float,
                width: 4,
                big_endian: false,
            },
            fortran: false,
            shape: shape.to_vec(),
        };
        if header.bytes() != values.len().checked_mul(4) {
            let message = format!(
                "must be as many as {shape:?} has elements, got {}",
                values.len()
            );
            return Err(Error::argument("values", message));
        }
        let data = values.iter().flat_map(|value| value.to_le_bytes());
        Ok(Array {
            header,
            data: data.collect(),
        })
    }

    /// The shape; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// The elements as f32, row-major; wider numbers are rounded to the nearest.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where one is beyond what f32 holds, about 3.4e38, and where they do not fit into memory.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        if let Some(number) = self.beyond_f32() {
            return Err(Error::data(format!(
                "the array has {number:e} in it, which is beyond what f32 holds (3.4e38): scale it before"
            )));
        }
        self.rounded()
    }

    /// The elements as f32, row-major; one that is [beyond](Self::beyond_f32) what f32 holds is infinite.
    pub(crate) fn rounded(&self) -> Result<Vec<f32>> {
        self.elements(|kind, bytes| Ok(kind.float(bytes) as f32))
    }

    /// The first number that f32 does not hold.
    pub(crate) fn beyond_f32(&self) -> Option<f64> {
        let kind = self.header.kind;
        if kind.class != ElementClass::Float || kind.width < 8 {
            return None;
        }
        let numbers = self.data.chunks_exact(kind.width);
        first_beyond_f32(numbers.map(|bytes| kind.float(bytes)))
    }

    /// The elements as labels, row-major. Negative ones, as in [`Targets::Labels`], are for losses that ignore them.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] with the first element that is not a whole number from −2³¹ below 2³¹.
    pub fn to_labels(&self) -> Result<Vec<u32>> {
        self.elements(|kind, bytes| {
            let value = kind.float(bytes);
            label(value).ok_or_else(|| {
                Error::data(format!(
                    "{value} is not a label: labels are whole numbers from 0; numbers to learn are read by `to_f32`"
                ))
            })
        })
    }

    /// The elements as rows of a model's input: bytes where they are integers of 8 bits without a sign, f32 otherwise.
    pub(super) fn values(&self) -> Result<TypedValues<'static>> {
        if self.header.kind.is_u8() {
            self.elements(|_, bytes| Ok(bytes[0])).map(Into::into)
        } else {
            self.to_f32().map(Into::into)
        }
    }

    /// What `decode` makes of the bytes of each element, row-major.
    pub(super) fn elements<T>(
        &self,
        decode: impl Fn(ElementKind, &[u8]) -> Result<T>,
    ) -> Result<Vec<T>> {
        let (kind, width) = (self.header.kind, self.header.kind.width);
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

impl TryFrom<&Array> for Samples<'static> {
    type Error = Error;

    /// A sample for each first index: bytes where they are integers of 8 bits without a sign, f32 otherwise. Tokens are
    /// [`Samples`] of [`Array::to_labels`].
    fn try_from(array: &Array) -> Result<Self> {
        let shape = array.shape().get(1..).unwrap_or_default();
        Samples::new(array.values()?, shape)
    }
}

impl TryFrom<&Array> for Targets {
    type Error = Error;

    /// Labels where the array is a list of integers, values otherwise.
    ///
    /// Integers of more dimensions are values because one-hot classes come so. Labels in a single column or of several positions
    /// are said to be labels:
    ///
    /// ```
    /// use kiln::data::Array;
    /// use kiln::{Dataset, Targets};
    ///
    /// # let (x, y) = (Array::from_f32(&[2, 4], &[0.0; 8])?, Array::from_f32(&[2, 3], &[0.0, 1.0, 2.0, 2.0, 1.0, 0.0])?);
    /// // Two rows of four features, each with a class at three positions.
    /// let labels = Targets::LabelTable { labels: y.to_labels()?, columns: y.shape()[1], classes: 3 };
    /// let data = Dataset::from_arrays(&x, labels)?;
    /// # assert_eq!((data.rows(), data.classes()), (2, Some(3)));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    fn try_from(array: &Array) -> Result<Self> {
        if array.shape().len() == 1 && array.header.kind.is_integer() {
            let labels = array.to_labels()?;
            return Ok(Targets::from(labels));
        }
        // An array without rows may claim any number of columns.
        let columns = array.shape().iter().skip(1);
        Ok(Targets::Values {
            values: array.to_f32()?,
            columns: columns.fold(1, |n: usize, dim| n.saturating_mul(*dim)),
        })
    }
}

/// What the bytes after the header are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArrayHeader {
    pub kind: ElementKind,
    /// Whether the first index runs fastest.
    pub fortran: bool,
    pub shape: Vec<usize>,
}

/// The type of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ElementKind {
    pub class: ElementClass,
    pub width: usize,
    pub big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementClass {
    Boolean,
    Signed,
    Unsigned,
    Float,
}

impl ElementKind {
    /// A type by NumPy's letters, such as `<f4`.
    pub fn parse(text: &str) -> Option<Self> {
        let (order, rest) = text.split_at_checked(1)?;
        let (class, width) = rest.split_at_checked(1)?;
        let width = width.parse().ok()?;
        let class = match (class, width) {
            ("b", 1) => ElementClass::Boolean,
            ("i", 1 | 2 | 4 | 8) => ElementClass::Signed,
            ("u", 1 | 2 | 4 | 8) => ElementClass::Unsigned,
            ("f", 2 | 4 | 8) => ElementClass::Float,
            _ => return None,
        };
        let big_endian = match order {
            "<" => false,
            ">" => true,
            "|" if width == 1 => false,
            _ => return None,
        };
        Some(ElementKind {
            class,
            width,
            big_endian,
        })
    }

    pub fn is_integer(self) -> bool {
        self.class != ElementClass::Float
    }

    /// Whether elements are bytes from 0 to 255.
    pub fn is_u8(self) -> bool {
        self.class == ElementClass::Unsigned && self.width == 1
    }

    /// The number in the bytes of an element.
    pub fn float(self, bytes: &[u8]) -> f64 {
        let join = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        let bits = if self.big_endian {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        };
        match (self.class, self.width) {
            (ElementClass::Boolean, _) => f64::from(u8::from(bits != 0)),
            (ElementClass::Unsigned, _) => bits as f64,
            (ElementClass::Signed, width) => {
                // The sign bit goes to the top and comes back down with its copies.
                let unused = 64 - 8 * width as u32;
                ((bits << unused) as i64 >> unused) as f64
            }
            (ElementClass::Float, 2) => f64::from(half_value(bits as u16)),
            (ElementClass::Float, 4) => f64::from(f32::from_bits(bits as u32)),
            (ElementClass::Float, _) => f64::from_bits(bits),
        }
    }
}

impl fmt::Display for ElementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            ElementClass::Boolean => "boolean",
            ElementClass::Signed => "integer",
            ElementClass::Unsigned => "unsigned integer",
            ElementClass::Float => "float",
        };
        write!(f, "{class} elements of {} bytes", self.width)
    }
}

impl ArrayHeader {
    /// Bytes of all elements, if they can be counted.
    pub fn bytes(&self) -> Option<usize> {
        let dims = self.shape.iter();
        dims.copied().try_fold(self.kind.width, usize::checked_mul)
    }
}
