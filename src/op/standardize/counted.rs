//! Which elements of a row count, as nodes of the graph: what gradients of statistics and of gradients sum over.

use crate::Tensor;
use crate::op::shape::along::Along;

use super::{Backward, Standardize};

/// Which elements of a row count, as nodes.
pub(super) struct CountedMoments {
    /// How many do.
    pub(super) count: Tensor,
    /// Ones where they do and zeros elsewhere, as `[outer, len, inner]`, where not all of them do.
    mask: Option<Tensor>,
}

impl CountedMoments {
    pub(super) fn of(
        op: Standardize,
        y: &Tensor,
        variance: &Tensor,
        cursor: Option<&Tensor>,
    ) -> Self {
        let along = Along::admitted(&y.kind(), op.axis);
        let mask = cursor.map(|cursor| {
            // The gradient leaves what does not count at 0, and ones as they are where y is 0 and v 1.
            let plain = Standardize {
                center: false,
                epsilon: 0.0,
                ..op
            };
            let ones = y.equal(y);
            let inputs = [&ones.offset(-1.0), &variance.equal(variance), &ones, cursor];
            along.wide(&y.graph().apply_one(Backward(plain), &inputs))
        });
        CountedMoments {
            count: match &mask {
                Some(mask) => along.sums(mask),
                None => y.graph().constant([1], &[along.len as f32]),
            },
            mask,
        }
    }

    /// The elements that count, and zeros.
    pub(super) fn only(&self, wide: Tensor) -> Tensor {
        match &self.mask {
            Some(mask) => mask.choose(&wide, &wide.graph().constant([], &[0.0])),
            None => wide,
        }
    }
}
