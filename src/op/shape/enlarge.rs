//! Tensors made larger: by repeating, and by zeros. No op of their own: what they do is the gradient of a sum, and of a slice.

use std::panic::Location;

use crate::op::slice;
use crate::op::slice::Slice;
use crate::{Shape, Tensor};

impl Tensor {
    /// This tensor under a larger shape, dimensions of size one, and those that are missing in front, repeated: NumPy's
    /// `broadcast_to`. The gradient is the sum over what was repeated.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Tensor {
        let (shape, from) = (shape.into(), self.shape());
        let mut pairs = from.dims().iter().rev().zip(shape.dims().iter().rev());
        let fits = pairs.all(|(&from, &to)| from == to || from == 1);
        let Some(extra) = shape.rank().checked_sub(from.rank()).filter(|_| fits) else {
            let message = format!("{from} does not broadcast to {shape}");
            return self
                .graph()
                .refuse_at("expand", message, Location::caller());
        };
        let kept = |axis: usize| axis.checked_sub(extra).map(|axis| from.dims()[axis]);
        // Without what is repeated, then dimension by dimension with it.
        let repeated = |axis: &usize| kept(*axis).is_none_or(|size| size != shape.dims()[*axis]);
        let axes: Vec<usize> = (0..shape.rank()).filter(repeated).collect();
        if axes.is_empty() {
            return self.clone();
        }
        if shape.elements() == 0 {
            return self.graph().constant(shape, &[]);
        }
        let rest = (0..shape.rank()).filter(|axis| !axes.contains(axis));
        let rest: Vec<usize> = rest.map(|axis| shape.dims()[axis]).collect();
        let narrow = self.reshape(rest);
        axes.iter()
            .fold(narrow, |wide, &axis| wide.repeat(axis, shape.dims()[axis]))
    }

    /// `before` zeros in front of dimension `axis` and `behind` at its end. The gradient is that of what is between them.
    #[track_caller]
    pub fn pad(&self, axis: usize, before: usize, behind: usize) -> Tensor {
        let mut dims = self.shape().dims().to_vec();
        let Some(size) = dims.get_mut(axis) else {
            let message = format!("dimension {axis} of {}", self.shape());
            return self.graph().refuse_at("pad", message, Location::caller());
        };
        let len = *size;
        *size = size.saturating_add(before).saturating_add(behind);
        let slice = Slice {
            axis,
            start: before,
            len,
        };
        let shape = dims.into();
        self.graph()
            .apply_one(slice::Backward { slice, shape }, &[self])
    }
}
