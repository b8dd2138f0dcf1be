//! One array of a data set: a sample for each row, all of one shape, in the type that they came in.

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::reserve::reserved;
use crate::{DType, Shape, TensorType};

use super::rows::picked;
use super::rows::whole_rows;

/// The elements of an array, row-major, borrowed or owned.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TypedValues<'a> {
    /// Numbers.
    F32(Cow<'a, [f32]>),
    /// Integers: tokens, numbers of categories.
    U32(Cow<'a, [u32]>),
    /// Bytes: pixels.
    U8(Cow<'a, [u8]>),
}

/// What the body makes of the elements, in the same type.
macro_rules! same_type {
    ($values:expr, $elements:ident => $body:expr) => {
        match $values {
            TypedValues::F32($elements) => TypedValues::F32($body),
            TypedValues::U32($elements) => TypedValues::U32($body),
            TypedValues::U8($elements) => TypedValues::U8($body),
        }
    };
}

impl<'a> TypedValues<'a> {
    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            TypedValues::F32(_) => DType::F32,
            TypedValues::U32(_) => DType::U32,
            TypedValues::U8(_) => DType::U8,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            TypedValues::F32(values) => values.len(),
            TypedValues::U32(values) => values.len(),
            TypedValues::U8(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers, if they are f32.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match self {
            TypedValues::F32(values) => Some(values),
            TypedValues::U32(_) | TypedValues::U8(_) => None,
        }
    }

    /// The same elements, borrowed from these.
    pub(crate) fn borrowed(&self) -> TypedValues<'_> {
        same_type!(self, values => Cow::Borrowed(&**values))
    }

    /// The elements of a range of rows of `width` elements.
    pub(crate) fn rows(&self, width: usize, rows: &Range<usize>) -> TypedValues<'_> {
        let range = rows.start * width..rows.end * width;
        same_type!(self, values => Cow::Borrowed(&values[range]))
    }

    /// The rows of `width` elements with these numbers, in this order.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where they do not fit into memory.
    pub(crate) fn picked(&self, width: usize, rows: &[usize]) -> Result<TypedValues<'static>> {
        Ok(same_type!(self, values => Cow::Owned(picked(values, width, rows)?)))
    }

    /// Columns of rows of `width` elements.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where they do not fit into memory.
    pub(crate) fn columns(
        &self,
        width: usize,
        columns: &Range<usize>,
    ) -> Result<TypedValues<'static>> {
        fn cut<T: Copy>(table: &[T], width: usize, columns: &Range<usize>) -> Result<Vec<T>> {
            let len = table.len() / width * columns.len();
            let mut cut = reserved(Some(len), "the columns of an input")?;
            for row in table.chunks_exact(width) {
                cut.extend_from_slice(&row[columns.clone()]);
            }
            Ok(cut)
        }
        Ok(same_type!(self, values => Cow::Owned(cut(values, width, columns)?)))
    }

    /// The elements as a model's input of type `wanted` takes them: bytes become numbers or integers, which is exact.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the types do not fit each other, or memory has no room for the wider elements.
    pub(crate) fn converted(self, wanted: DType) -> Result<TypedValues<'a>> {
        Ok(match (self, wanted) {
            (TypedValues::U8(bytes), DType::F32) => {
                TypedValues::F32(mapped(&bytes, f32::from)?.into())
            }
            (TypedValues::U8(bytes), DType::U32) => {
                TypedValues::U32(mapped(&bytes, u32::from)?.into())
            }
            (values, wanted) if values.dtype() == wanted => values,
            (values, wanted) => {
                return Err(Error::data(format!(
                    "it takes {wanted}, but the values are {}",
                    values.dtype()
                )));
            }
        })
    }
}

fn mapped<T: Copy, U>(values: &[T], to: impl Fn(T) -> U) -> Result<Vec<U>> {
    let mut mapped = reserved(Some(values.len()), "the wider elements")?;
    mapped.extend(values.iter().map(|&value| to(value)));
    Ok(mapped)
}

macro_rules! conversions {
    ($($variant:ident: $element:ty),*) => {$(
        impl From<Vec<$element>> for TypedValues<'_> {
            fn from(values: Vec<$element>) -> Self {
                TypedValues::$variant(Cow::Owned(values))
            }
        }

        impl<'a> From<&'a [$element]> for TypedValues<'a> {
            fn from(values: &'a [$element]) -> Self {
                TypedValues::$variant(Cow::Borrowed(values))
            }
        }

        impl<'a> From<&'a Vec<$element>> for TypedValues<'a> {
            fn from(values: &'a Vec<$element>) -> Self {
                TypedValues::$variant(Cow::Borrowed(values))
            }
        }
    )*};
}

conversions!(F32: f32, U32: u32, U8: u8);

impl<'a> From<&'a &'a [f32]> for TypedValues<'a> {
    fn from(values: &'a &'a [f32]) -> Self {
        TypedValues::from(*values)
    }
}

impl<'a> From<&'a Samples<'_>> for TypedValues<'a> {
    fn from(samples: &'a Samples<'_>) -> Self {
        samples.values.borrowed()
    }
}

/// An array `[rows, …]` of f32, u32 or u8: the values of a data set's input.
///
/// ```
/// use kiln::data::Samples;
///
/// // Two sentences of three tokens.
/// let tokens = Samples::new(vec![4u32, 0, 7, 1, 1, 2], 3)?;
/// assert_eq!((tokens.rows(), tokens.shape().dims()), (2, &[3][..]));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Samples<'a> {
    shape: Shape,
    width: usize,
    values: TypedValues<'a>,
}

impl<'a> Samples<'a> {
    /// The array of these values, row-major, whose rows have this shape.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there is no row, a row is empty, or the values are not whole rows.
    pub fn new(values: impl Into<TypedValues<'a>>, shape: impl Into<Shape>) -> Result<Self> {
        Self::called("features", values.into(), shape.into())
    }

    /// The same, called `what` in errors.
    pub(super) fn called(what: &str, values: TypedValues<'a>, shape: Shape) -> Result<Self> {
        let width = usize::try_from(shape.elements()).unwrap_or(usize::MAX);
        whole_rows(what, values.len(), width)?;
        Ok(Samples {
            shape,
            width,
            values,
        })
    }

    /// The number of rows, at least 1.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// The shape of a row.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The shape and type of a row.
    pub fn kind(&self) -> TensorType {
        TensorType {
            shape: self.shape.clone(),
            dtype: self.values.dtype(),
        }
    }

    /// Elements of a row, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The elements, row-major.
    pub fn values(&self) -> &TypedValues<'a> {
        &self.values
    }

    /// The elements as numbers.
    pub(super) fn into_numbers(self) -> Result<Vec<f32>> {
        match self.values.converted(DType::F32)? {
            TypedValues::F32(values) => Ok(values.into_owned()),
            TypedValues::U32(_) | TypedValues::U8(_) => Ok(Vec::new()),
        }
    }

    /// The rows of these numbers in this order.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Samples<'static>> {
        Ok(Samples {
            shape: self.shape.clone(),
            width: self.width,
            values: self.values.picked(self.width, rows)?,
        })
    }
}
