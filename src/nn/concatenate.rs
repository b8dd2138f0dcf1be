//! The layer that puts tensors side by side.

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::axes::dimension;
use super::layer::saved_as;
use super::{Call, Layer};

/// Inputs side by side along one dimension; alike in all other sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concatenate {
    /// The dimension, counted with the batch as 0, or from the back where negative, as in Keras. Default: −1, the last.
    pub axis: isize,
}

impl Default for Concatenate {
    fn default() -> Self {
        Concatenate { axis: -1 }
    }
}

impl Layer for Concatenate {
    saved_as!("Concatenate");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err("takes at least one input, got none".into());
        };
        let axis = dimension(self.axis, first.rank())? - 1;
        let mut dims = first.dims().to_vec();
        for shape in rest {
            let other = shape.dims();
            let alike = |i: usize| i == axis || other[i] == dims[i];
            if other.len() != dims.len() || !(0..dims.len()).all(alike) {
                return Err(format!(
                    "samples of {first} and {shape} differ beyond the axis {}",
                    self.axis
                ));
            }
            dims[axis] = dims[axis].saturating_add(other[axis]);
        }
        Ok(dims.into())
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let rank = inputs[0].shape().rank().saturating_sub(1);
        let rest: Vec<&Tensor> = inputs[1..].iter().collect();
        match dimension(self.axis, rank) {
            Ok(axis) => inputs[0].concat(&rest, axis as isize),
            Err(message) => call.refuse(message),
        }
    }
}
