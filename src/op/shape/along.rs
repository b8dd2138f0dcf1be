//! Ops that go along one dimension of a tensor of any shape, as they go along the rows of a matrix.

use std::ops::Range;

use crate::contract::{Io, Launch, Shader};
use crate::number::Real;
use crate::target::Target;
use crate::{Tensor, TensorType};

use super::rows::Rows;

/// A shape with one dimension picked: `[outer, len, inner]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Along {
    /// The dimension, counted from the front.
    pub(crate) at: usize,
    pub(crate) outer: usize,
    pub(crate) len: usize,
    pub(crate) inner: usize,
}

impl Along {
    /// Dimension `axis` of x, counted from the back where it is negative.
    pub(crate) fn of(x: &TensorType, axis: isize) -> Result<Self, String> {
        let (dims, at) = (x.shape.dims(), x.shape.axis(axis)?);
        let size = |dims: &[usize]| dims.iter().fold(1, |n: usize, &dim| n.saturating_mul(dim));
        Ok(Along {
            at,
            outer: size(&dims[..at]),
            len: dims[at],
            inner: size(&dims[at + 1..]),
        })
    }

    /// The dimension of an op whose shape rule has admitted x.
    pub(crate) fn admitted(x: &TensorType, axis: isize) -> Self {
        Self::of(x, axis)
            .unwrap_or_else(|_source| unreachable!("the shape rule admitted this axis"))
    }

    /// The number of rows.
    pub(crate) fn rows(self) -> usize {
        self.outer * self.inner
    }

    /// A dispatch with lanes to a row, for a shader that `rows` and `along` follow.
    pub(crate) fn launch(
        self,
        (shader, entry): (Shader, &'static str),
        (passes, trees): (u64, u64),
        target: &Target,
    ) -> Launch {
        let rows = Rows::of(self.rows() as u64, self.len as u64, passes, target);
        rows.launch(shader, entry, passes, trees)
            .param("inner", self.inner)
    }

    /// Where `len` elements of the dimension from `start` on lie in each of the `outer` rows of numbers.
    pub(crate) fn stretch(self, start: usize, len: usize) -> Range<usize> {
        start * self.inner..(start + len) * self.inner
    }

    /// The numbers of each of the `outer` rows.
    pub(crate) fn width(self) -> usize {
        self.len * self.inner
    }

    /// x as `[outer, len, inner]`.
    pub(crate) fn wide(self, x: &Tensor) -> Tensor {
        x.reshape([self.outer, self.len, self.inner])
    }

    /// The sums of such a tensor's rows, as `[outer, 1, inner]`.
    pub(crate) fn sums(self, wide: &Tensor) -> Tensor {
        wide.sum_over(1).reshape([self.outer, 1, self.inner])
    }

    /// The positions of the elements of row `row`.
    #[inline(always)]
    pub(crate) fn places(self, row: usize) -> impl Iterator<Item = usize> + Clone {
        let first = row / self.inner * self.len * self.inner + row % self.inner;
        (0..self.len).map(move |i| first + i * self.inner)
    }

    /// The elements of row `row`.
    #[inline(always)]
    pub(crate) fn row<T: Real>(self, x: &[T], row: usize) -> impl Iterator<Item = T> + Clone {
        self.places(row).map(|at| x[at])
    }

    /// The elements of row `row` side by side.
    #[inline(always)]
    pub(crate) fn get<T: Copy>(self, x: &[T], row: usize, into: &mut [T]) {
        for (value, at) in into.iter_mut().zip(self.places(row)) {
            *value = x[at];
        }
    }

    /// Puts the elements of row `row` in their places.
    #[inline(always)]
    pub(crate) fn put<T: Copy>(self, values: &[T], row: usize, into: &mut [T]) {
        for (at, &value) in self.places(row).zip(values) {
            into[at] = value;
        }
    }
}

/// Copies the columns `from` of each row of input `input` to the columns `to` of each row of the output: both with the
/// number of columns in a row.
#[inline(always)]
pub(crate) fn copy_columns<T: Real>(
    io: &mut Io<'_, T>,
    input: usize,
    from: (Range<usize>, usize),
    to: (Range<usize>, usize),
) {
    #[inline(always)]
    fn copy<E: Copy>(x: &[E], y: &mut [E], from: (Range<usize>, usize), to: (Range<usize>, usize)) {
        for (y, x) in y.chunks_exact_mut(to.1).zip(x.chunks_exact(from.1)) {
            y[to.0.clone()].copy_from_slice(&x[from.0.clone()]);
        }
    }
    if io.is_words(input) {
        copy(io.words(input), io.output_words(0), from, to);
    } else {
        copy(io.input(input), io.output(0), from, to);
    }
}
