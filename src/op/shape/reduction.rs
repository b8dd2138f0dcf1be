//! Reductions over one dimension that are a few nodes each.

use crate::Tensor;
use crate::op::Extremum;

impl Tensor {
    /// The largest element along dimension `axis`, counted from the back where it is negative; that dimension is dropped.
    /// NaN if there is one. Equals share the gradient, as in Keras.
    #[track_caller]
    pub fn largest(&self, axis: isize) -> Tensor {
        self.extremum(Extremum {
            axis,
            shared: true,
            ..Extremum::default()
        })
        .0
    }

    /// The least element along dimension `axis`, as [`largest`](Tensor::largest).
    #[track_caller]
    pub fn least(&self, axis: isize) -> Tensor {
        self.extremum(Extremum {
            axis,
            least: true,
            shared: true,
            ..Extremum::default()
        })
        .0
    }

    /// The index, in u32, of the first of the largest elements along dimension `axis`, counted from the back where it is
    /// negative; that dimension is dropped. That of the first NaN if there is one.
    #[track_caller]
    pub fn argmax(&self, axis: isize) -> Tensor {
        let op = Extremum {
            axis,
            ..Extremum::default()
        };
        self.extremum(op).1
    }

    /// The index of the first of the least elements, as [`argmax`](Tensor::argmax).
    #[track_caller]
    pub fn argmin(&self, axis: isize) -> Tensor {
        let op = Extremum {
            axis,
            least: true,
            ..Extremum::default()
        };
        self.extremum(op).1
    }

    /// ln Σ e^x along dimension `axis`, counted from the back where it is negative, without overflow; that dimension is
    /// dropped.
    #[track_caller]
    pub fn log_sum_exp(&self, axis: isize) -> Tensor {
        let dims = self.shape().dims().to_vec();
        // Finite, so that x less it is a number where x is infinite.
        let shift = self.largest(axis).clamp(f32::MIN, f32::MAX);
        if dims.is_empty() {
            // Refused already: a scalar has no dimension.
            return shift;
        }
        let at = axis.rem_euclid(dims.len() as isize) as usize;
        let mut kept = dims;
        kept[at] = 1;
        let shifted = self.sub(&shift.reshape(kept));
        shifted.exp().sum_over(at).log().add(&shift)
    }
}
