//! Tensors under other shapes: the same elements, some of them, or some more than once.

use crate::op::concat::{Concat, MAX_JOINED};
use crate::op::one_hot::OneHot;
use crate::op::permute::Permute;
use crate::op::reshape::Reshape;
use crate::op::shape::broadcast::broadcast;
use crate::op::slice::{self, Slice};
use crate::op::sum::{self, Sum};
use crate::op::take::{self, Take};
use crate::{Shape, Tensor};

/// # Shape
///
/// An axis is a dimension's number, counted from 0, or from the back where it is negative: −1 is the last.
///
/// ```
/// use kiln::{Graph, Shape};
///
/// let graph = Graph::new();
/// let x = graph.input("x", [2, 3, 4]);
/// let rows = graph.labels("rows", [5]);
/// let shapes = [
///     x.reshape([6, 4]),
///     x.permute(&[0, -1, 1]),
///     x.slice(-1, 1, 2),
///     x.concat(&[&x, &x], 1),
///     x.pad(1, 1, 0),
///     x.repeat(0, 7),
///     x.expand([5, 2, 3, 4]),
///     x.take(1, &rows),
///     rows.one_hot(10),
/// ];
/// let dims: [&[usize]; 9] = [
///     &[6, 4], &[2, 4, 3], &[2, 3, 2], &[2, 9, 4], &[2, 4, 4], &[7, 2, 3, 4], &[5, 2, 3, 4], &[2, 5, 4], &[5, 10],
/// ];
/// assert_eq!(shapes.map(|y| y.shape()), dims.map(Shape::from));
/// graph.check()?;
/// # Ok::<(), kiln::Error>(())
/// ```
impl Tensor {
    /// The same elements in the same row-major order under another shape, without a copy. Refused where that shape has
    /// another number of elements.
    #[track_caller]
    pub fn reshape(&self, shape: impl Into<Shape>) -> Tensor {
        self.graph().apply_one(Reshape(shape.into()), &[self])
    }

    /// The dimensions in another order: dimension k of the result is dimension `order[k]` of this tensor. NumPy's
    /// `transpose`. Refused where `order` does not name every dimension once.
    #[track_caller]
    pub fn permute(&self, order: &[isize]) -> Tensor {
        let shape = self.shape();
        let places: Result<_, _> = order.iter().map(|&axis| shape.axis(axis)).collect();
        match places {
            Ok(places) => self.graph().apply_one(Permute(places), &[self]),
            Err(message) => self.refuse("permute", message),
        }
    }

    /// Elements `start..start + len` along `axis`, which keeps the size `len`. Refused where there are not as many, or
    /// `len` is 0.
    #[track_caller]
    pub fn slice(&self, axis: isize, start: usize, len: usize) -> Tensor {
        self.graph().apply_one(Slice { axis, start, len }, &[self])
    }

    /// This tensor and `others`, one after the other along `axis`, whose sizes add up. Refused where they differ in
    /// another size or in the type of their elements.
    #[track_caller]
    pub fn concat(&self, others: &[&Tensor], axis: isize) -> Tensor {
        let parts = [&[self], others].concat();
        let (head, rest) = parts.split_at(parts.len().min(MAX_JOINED));
        let joined = self.graph().apply_one(Concat { axis }, head);
        if rest.is_empty() {
            joined
        } else {
            joined.concat(rest, axis)
        }
    }

    /// `before` zeros before the elements along `axis` and `after` zeros after them.
    #[track_caller]
    pub fn pad(&self, axis: isize, before: usize, after: usize) -> Tensor {
        let from = self.shape();
        let at = match from.axis(axis) {
            Ok(at) => at,
            Err(message) => return self.refuse("pad", message),
        };
        let len = from.dims()[at];
        let shape = from.resized(at, len.saturating_add(before).saturating_add(after));
        let slice = Slice {
            axis,
            start: before,
            len,
        };
        self.graph()
            .apply_one(slice::Backward { slice, shape }, &[self])
    }

    /// This tensor `times` times along a new dimension, which is number `axis` of the result. The gradient is the sum
    /// over it. Refused where `times` is 0.
    #[track_caller]
    pub fn repeat(&self, axis: isize, times: usize) -> Tensor {
        let from = self.shape();
        let at = match from.axis_among(from.rank() + 1, axis) {
            Ok(at) if times > 0 => at,
            Ok(_) => return self.refuse("repeat", format!("{from} cannot be repeated 0 times")),
            Err(message) => return self.refuse("repeat", message),
        };
        let mut dims = from.dims().to_vec();
        dims.insert(at, times);
        let sum = Sum {
            first: at,
            last: at + 1,
        };
        let shape = dims.into();
        self.graph()
            .apply_one(sum::Backward { sum, shape }, &[self])
    }

    /// This tensor under a larger shape: dimensions of size one, and those that are missing in front, are repeated.
    /// NumPy's `broadcast_to`. The gradient is the sum over what was repeated. Refused where this shape does not
    /// broadcast to that one.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Tensor {
        let (shape, from) = (shape.into(), self.shape());
        let dims = shape.dims();
        if broadcast(from.dims(), dims).as_deref() != Some(dims) {
            return self.refuse("expand", format!("{from} does not broadcast to {shape}"));
        }
        let extra = dims.len() - from.rank();
        let repeated = |axis: usize| axis < extra || from.dims()[axis - extra] != dims[axis];
        // Without what is repeated, then dimension by dimension with it.
        let (axes, rest): (Vec<usize>, Vec<usize>) =
            (0..dims.len()).partition(|&axis| repeated(axis));
        if axes.is_empty() {
            return self.clone();
        }
        if shape.elements() == 0 {
            return self.graph().constant(shape, crate::Initial::Zeros);
        }
        let rest: Vec<usize> = rest.into_iter().map(|axis| dims[axis]).collect();
        let narrow = self.reshape(rest);
        axes.into_iter()
            .fold(narrow, |wide, axis| wide.repeat(axis as isize, dims[axis]))
    }

    /// The elements along `axis` at these indices, u32, whose shape takes the place of that dimension: NumPy's `take`.
    /// An index beyond the last element stands for the last. What is taken twice gets both gradients.
    #[track_caller]
    pub fn take(&self, axis: isize, indices: &Tensor) -> Tensor {
        let each = false;
        self.graph()
            .apply_one(Take { axis, each }, &[self, indices])
    }

    /// Along `axis` the elements at indices of their own: y`[…, j, …]` = x`[…, indices[…, j, …], …]`, NumPy's
    /// `take_along_axis`. The indices, u32, are shaped as this tensor but for the size of that dimension, and so is the
    /// result.
    #[track_caller]
    pub fn take_along(&self, axis: isize, indices: &Tensor) -> Tensor {
        let each = true;
        self.graph()
            .apply_one(Take { axis, each }, &[self, indices])
    }

    /// A tensor of `shape` with these elements added up at their indices along `axis`, zeros elsewhere: what
    /// [`take_along`](Self::take_along) does, backwards. The indices are shaped as this tensor.
    #[track_caller]
    pub fn scatter_along(&self, axis: isize, indices: &Tensor, shape: impl Into<Shape>) -> Tensor {
        let take = Take { axis, each: true };
        let shape = shape.into();
        self.graph()
            .apply_one(take::Backward { take, shape }, &[self, indices])
    }

    /// Class labels, u32, as rows of a new last dimension of size `classes`: a one at the label, zeros elsewhere; NaN
    /// where a label names no class. See [`OneHot`] for smoothed, weighted and ignored classes.
    #[track_caller]
    pub fn one_hot(&self, classes: usize) -> Tensor {
        let plain = OneHot {
            classes,
            smoothing: 0.0,
            ignored: None,
        };
        self.graph().apply_one(plain, &[self])
    }
}
