//! Shapes and element types of tensors.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most elements of a tensor: 4 TiB, beyond any machine; arithmetic on smaller sizes does not overflow.
const MAX_ELEMENTS: u64 = 1 << 40;

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DType {
    /// 32-bit floating point (64-bit in the reference session).
    F32,
    /// Unsigned 32-bit integers: class labels, row numbers, counters.
    U32,
    /// 16-bit floating point, for storage only: kernels load f32 and round what they store to the nearest. The CPU sessions
    /// round alike, but keep their own precision's room. See [`Precision::Half`](crate::target::Precision::Half).
    F16,
    /// Bytes from 0 to 255: a type of data sets and of models' inputs. No tensor of a graph has it: a batch's kernel widens
    /// bytes to f32 as it reads them.
    U8,
}

impl DType {
    /// Bytes of an element on a device.
    pub fn bytes(self) -> u64 {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::F16 => 2,
            DType::U8 => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::U32 => "u32",
            DType::F16 => "f16",
            DType::U8 => "u8",
        })
    }
}

/// The sizes of a tensor's dimensions, outermost first; a scalar has none. Storage is row-major.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The sizes, outermost first.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements; `u64::MAX` where the product does not fit, which every limit then refuses.
    pub fn elements(&self) -> u64 {
        self.0
            .iter()
            .fold(1u64, |product, &dim| product.saturating_mul(dim as u64))
    }

    /// The place of dimension `axis`, which counts from the back where it is negative.
    pub(crate) fn axis(&self, axis: isize) -> Result<usize, String> {
        self.axis_among(self.rank(), axis)
    }

    /// The place of dimension `axis` of a shape with `rank` dimensions that is made from this one.
    pub(crate) fn axis_among(&self, rank: usize, axis: isize) -> Result<usize, String> {
        let from_front = if axis < 0 {
            axis.checked_add_unsigned(rank)
        } else {
            Some(axis)
        };
        let at = from_front.and_then(|at| usize::try_from(at).ok());
        at.filter(|&at| at < rank)
            .ok_or_else(|| format!("axis must be one of {rank} dimensions, got {axis} for {self}"))
    }

    /// The same sizes without that of dimension `at`.
    pub(crate) fn without(&self, at: usize) -> Shape {
        Shape([&self.0[..at], &self.0[at + 1..]].concat())
    }

    /// The same sizes with another one for dimension `at`.
    pub(crate) fn resized(&self, at: usize, size: usize) -> Shape {
        Shape([&self.0[..at], &[size], &self.0[at + 1..]].concat())
    }

    /// Whether some machine might hold it. One without elements must be so for its other sizes too, as there are tensors of
    /// those alone, such as sums.
    pub(crate) fn is_possible(&self) -> bool {
        let sizes = self.0.iter().map(|&dim| dim.max(1) as u64);
        sizes.fold(1, u64::saturating_mul) <= MAX_ELEMENTS
    }

    /// The elements as a matrix: the last dimension as columns, all before it as rows. A scalar is 1 × 1.
    pub fn rows_and_columns(&self) -> (usize, usize) {
        match self.0.split_last() {
            Some((&columns, rows)) => (rows.iter().product(), columns),
            None => (1, 1),
        }
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<usize> for Shape {
    /// One dimension.
    fn from(size: usize) -> Self {
        Shape(vec![size])
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Shape(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Shape(dims)
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A tensor's shape and element type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The sizes of its dimensions.
    pub shape: Shape,
    /// The type of its elements.
    pub dtype: DType,
}

impl TensorType {
    pub(crate) fn of(dtype: DType, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        TensorType { shape, dtype }
    }

    /// Floating-point numbers of this shape.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        TensorType::of(DType::F32, shape)
    }

    /// Unsigned integers of this shape.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        TensorType::of(DType::U32, shape)
    }

    /// 16-bit floating-point numbers of this shape.
    pub fn f16(shape: impl Into<Shape>) -> Self {
        TensorType::of(DType::F16, shape)
    }

    /// Bytes of this shape, which only data sets and models' inputs have.
    pub fn u8(shape: impl Into<Shape>) -> Self {
        TensorType::of(DType::U8, shape)
    }

    /// The type in which a graph's tensors hold such elements: bytes are widened to f32 as they are read.
    pub(crate) fn widened(&self) -> Self {
        let dtype = match self.dtype {
            DType::U8 => DType::F32,
            dtype => dtype,
        };
        TensorType::of(dtype, &self.shape)
    }

    /// The number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.elements()
    }

    /// Bytes of its elements on a device.
    pub fn bytes(&self) -> u64 {
        self.elements().saturating_mul(self.dtype.bytes())
    }
}

/// A shape alone is that of f32 numbers.
macro_rules! of_numbers {
    ($([$($generic:tt)*] $shape:ty;)*) => {$(
        impl<$($generic)*> From<$shape> for TensorType {
            /// Numbers of this shape.
            fn from(shape: $shape) -> Self {
                TensorType::f32(shape)
            }
        }
    )*};
}

of_numbers! {
    [] usize;
    [] Shape;
    [] &Shape;
    [] &[usize];
    [] Vec<usize>;
    [const N: usize] [usize; N];
}

impl From<&TensorType> for TensorType {
    fn from(kind: &TensorType) -> Self {
        kind.clone()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype {
            DType::F32 => write!(f, "{}", self.shape),
            DType::U32 | DType::F16 | DType::U8 => write!(f, "{} {}", self.shape, self.dtype),
        }
    }
}
