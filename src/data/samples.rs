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
    pub(crate) fn dtype(&self) -> DType {
        match self {
            TypedValues::F32(_) => DType::F32,
            TypedValues::U32(_) => DType::U32,
            TypedValues::U8(_) => DType::U8,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            TypedValues::F32(values) => values.len(),
            TypedValues::U32(values) => values.len(),
            TypedValues::U8(values) => values.len(),
        }
    }

    /// The numbers, if they are f32.
    pub(crate) fn as_f32(&self) -> Option<&[f32]> {
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
    pub(crate) fn picked(&self, width: usize, rows: &[usize]) -> Result<TypedValues<'static>> {
        Ok(same_type!(self, values => Cow::Owned(picked(values, width, rows)?)))
    }

    /// Columns of rows of `width` elements.
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

    /// Rows of `width` elements with their columns in another order: that of these places.
    pub(super) fn reordered(&self, width: usize, places: &[usize]) -> Result<TypedValues<'static>> {
        fn moved<T: Copy>(table: &[T], width: usize, places: &[usize]) -> Result<Vec<T>> {
            let mut moved = reserved(Some(table.len()), "the columns in order")?;
            for row in table.chunks_exact(width.max(1)) {
                moved.extend(places.iter().filter_map(|&place| row.get(place)));
            }
            Ok(moved)
        }
        Ok(same_type!(self, values => Cow::Owned(moved(values, width, places)?)))
    }

    /// The elements as a model's input of type `wanted` takes them: bytes become numbers or integers, which is exact.
    pub(crate) fn converted(self, wanted: DType) -> Result<Self> {
        match (self, wanted) {
            (values, DType::F32) => values.numbers().map(TypedValues::F32),
            (TypedValues::U8(bytes), DType::U32) => {
                Ok(TypedValues::U32(wider(&bytes, u32::from)?.into()))
            }
            (values, wanted) if values.dtype() == wanted => Ok(values),
            (values, wanted) => Err(values.refusal(wanted)),
        }
    }

    /// The elements as f32.
    pub(crate) fn numbers(self) -> Result<Cow<'a, [f32]>> {
        match self {
            TypedValues::F32(values) => Ok(values),
            TypedValues::U8(bytes) => Ok(wider(&bytes, f32::from)?.into()),
            TypedValues::U32(_) => Err(self.refusal(DType::F32)),
        }
    }

    fn refusal(&self, wanted: DType) -> Error {
        let dtype = self.dtype();
        Error::data(format!("it takes {wanted}, but the values are {dtype}"))
    }
}

fn wider<U>(bytes: &[u8], to: impl Fn(u8) -> U) -> Result<Vec<U>> {
    let mut wider = reserved(Some(bytes.len()), "the wider elements")?;
    wider.extend(bytes.iter().map(|&byte| to(byte)));
    Ok(wider)
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

    /// The elements, row-major.
    pub fn values(&self) -> &TypedValues<'a> {
        &self.values
    }

    /// The shape and type of a row.
    pub(super) fn kind(&self) -> TensorType {
        TensorType {
            shape: self.shape.clone(),
            dtype: self.values.dtype(),
        }
    }

    /// Elements of a row, at least 1.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Every number times `factor`.
    pub(super) fn scaled(self, factor: f32) -> Result<Self> {
        let mut numbers = self.values.numbers()?.into_owned();
        numbers.iter_mut().for_each(|x| *x *= factor);
        Ok(Samples {
            values: numbers.into(),
            ..self
        })
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

impl<'a, V: Into<TypedValues<'a>>, S: Into<Shape>> TryFrom<(V, S)> for Samples<'a> {
    type Error = Error;

    /// Values and the shape of a row, as for [`Samples::new`].
    fn try_from((values, shape): (V, S)) -> Result<Self> {
        Samples::new(values, shape)
    }
}
