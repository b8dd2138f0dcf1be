//! Sums, means and extremes of tensors.

use crate::op::Extremum;
use crate::op::batch_mean::BatchMean;
use crate::op::shape::broadcast::broadcast;
use crate::op::sum::Sum;
use crate::{Shape, Tensor};

/// # Reductions
///
/// An axis is a dimension's number, counted from 0, or from the back where it is negative: −1 is the last. The
/// dimension is dropped from the result: `[2, 3]` over axis 0 becomes `[3]`.
impl Tensor {
    /// The sum over `axis`.
    #[track_caller]
    pub fn sum_over(&self, axis: isize) -> Tensor {
        match self.shape().axis(axis) {
            Ok(at) => self.sum_of(at, at + 1),
            Err(message) => self.refuse("sum", message),
        }
    }

    /// The sum of all elements, a scalar.
    #[track_caller]
    pub fn sum(&self) -> Tensor {
        self.sum_of(0, self.shape().rank())
    }

    /// The lengths √Σ x² of vectors along `axis`, which stays with size 1, times a power of two that is given too: 1, or where
    /// the squares are beyond f32 2⁻⁹⁶.
    #[track_caller]
    pub(crate) fn lengths(&self, axis: isize) -> (Tensor, Tensor) {
        const DOWN: f32 = 1.0 / (1u128 << 96) as f32;
        // Lengths whose squares f32 holds, times that.
        const MOST: f32 = 1.0 / (1u128 << 33) as f32;
        let shape = self.shape();
        let kept = shape
            .axis(axis)
            .map_or(shape.clone(), |at| shape.resized(at, 1));
        let length = |x: &Tensor| x.square().sum_over(axis).reshape(&kept).sqrt();
        let (own, small) = (length(self), length(&self.scale(DOWN)));
        // Not by whether the square is infinite, which WGSL lets a driver assume away.
        let beyond = small.offset(-MOST).relu();
        let all = |value: f32| {
            let len = usize::try_from(kept.elements()).unwrap_or(0);
            self.graph().constant(&kept, &vec![value; len])
        };
        let unit = beyond.choose(&all(DOWN), &all(1.0));
        (beyond.choose(&small, &own), unit)
    }

    /// The same directions along `axis` with squares that f32 holds: vectors whose squares are beyond it times 2⁻⁷⁸, which leaves
    /// them longer than 1e-6. For slopes the factor is a constant.
    #[track_caller]
    pub(crate) fn with_squares(&self, axis: isize) -> Tensor {
        let (_, unit) = self.lengths(axis);
        let one = self.graph().constant([1], &[1.0]);
        self.mul(&unit.scale((1u32 << 18) as f32).minimum(&one))
    }

    #[track_caller]
    fn sum_of(&self, first: usize, last: usize) -> Tensor {
        self.graph().apply_one(Sum { first, last }, &[self])
    }

    /// The mean of all elements, a scalar.
    #[track_caller]
    pub fn mean(&self) -> Tensor {
        self.sum().scale(1.0 / self.shape().elements() as f32)
    }

    /// The mean over the rows, dimension 0, of the batch at hand, a scalar: the clock's `cursor` says how many of the
    /// rows are its own. Refused for a scalar.
    #[track_caller]
    pub fn batch_mean(&self, cursor: &Tensor) -> Tensor {
        self.graph().apply_one(BatchMean, &[self, cursor])
    }

    /// The sum over what broadcasting repeated to come from `shape` to this tensor's shape; `shape` again. Refused
    /// where that does not broadcast to this one.
    #[track_caller]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Tensor {
        let (shape, from) = (shape.into(), self.shape());
        if broadcast(shape.dims(), from.dims()).as_deref() != Some(from.dims()) {
            return self.refuse("sum_to", format!("{shape} does not broadcast to {from}"));
        }
        let extra = from.rank() - shape.rank();
        let mut sum = if extra > 0 {
            self.sum_of(0, extra)
        } else {
            self.clone()
        };
        for (axis, &size) in shape.dims().iter().enumerate() {
            if size == 1 && from.dims()[extra + axis] != 1 {
                let kept = sum.shape().resized(axis, 1);
                sum = sum.sum_of(axis, axis + 1).reshape(kept);
            }
        }
        sum
    }

    /// The largest element along `axis`. NaN if there is one. Equals share the gradient, as in Keras.
    #[track_caller]
    pub fn largest(&self, axis: isize) -> Tensor {
        self.extreme(axis, false, true).0
    }

    /// The least element along `axis`. NaN if there is one. Equals share the gradient, as in Keras.
    #[track_caller]
    pub fn least(&self, axis: isize) -> Tensor {
        self.extreme(axis, true, true).0
    }

    /// The index, in u32, of the first of the largest elements along `axis`, or of the first NaN if there is one.
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Tensor {
        self.extreme(axis, false, false).1
    }

    /// The index, in u32, of the first of the least elements along `axis`, or of the first NaN if there is one.
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Tensor {
        self.extreme(axis, true, false).1
    }

    #[track_caller]
    fn extreme(&self, axis: isize, least: bool, shared: bool) -> (Tensor, Tensor) {
        self.extremum(Extremum {
            axis,
            least,
            last: false,
            shared,
        })
    }

    /// ln Σ e^x along `axis`, without overflow.
    #[track_caller]
    pub fn log_sum_exp(&self, axis: isize) -> Tensor {
        // Finite, so that x less it is a number where x is infinite.
        let shift = self.largest(axis).clamp(f32::MIN, f32::MAX);
        let shape = self.shape();
        let Ok(at) = shape.axis(axis) else {
            // Refused already.
            return shift;
        };
        let shifted = self.sub(&shift.reshape(shape.resized(at, 1)));
        shifted.exp().sum_over(axis).log().add(&shift)
    }
}
