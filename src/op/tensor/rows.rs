//! Rows as shares, and gates.

use crate::Tensor;
use crate::op::glu::Glu;
use crate::op::log_softmax::LogSoftmax;
use crate::op::shape::row_map::{RowFormula, RowMap};
use crate::op::softmax::Softmax;
use crate::op::sparsemax::Sparsemax;

/// # Softmax and gates
///
/// A row goes along an axis: a dimension's number, counted from 0, or from the back where it is negative, so that −1 is
/// the last. Results have the shape of the tensor, but for [`glu`](Self::glu).
impl Tensor {
    /// e^xⱼ/Σₖ e^xₖ: rows of probabilities that sum to one. Stable for logits of any size.
    #[track_caller]
    pub fn softmax(&self, axis: isize) -> Tensor {
        self.row_map(Softmax, axis)
    }

    /// ln softmax. Right where softmax itself is 0, for logits of any size.
    #[track_caller]
    pub fn log_softmax(&self, axis: isize) -> Tensor {
        self.row_map(LogSoftmax, axis)
    }

    /// The nearest row of probabilities to each row: max(x − τ, 0), which sums to one. Unlike softmax's, most of them
    /// may be 0.
    #[track_caller]
    pub fn sparsemax(&self, axis: isize) -> Tensor {
        self.row_map(Sparsemax, axis)
    }

    /// The gated linear unit a·σ(b), with a and b the halves along `axis`, whose size is halved. Refused where it is
    /// odd.
    #[track_caller]
    pub fn glu(&self, axis: isize) -> Tensor {
        self.graph().apply_one(Glu { axis }, &[self])
    }

    #[track_caller]
    fn row_map(&self, function: impl RowFormula, axis: isize) -> Tensor {
        self.graph().apply_one(RowMap { function, axis }, &[self])
    }
}
