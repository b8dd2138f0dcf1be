//! The leaky ReLU whose slopes are trained.

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Call, Initializer, Layer, Parameter};

/// x for x ≥ 0 and α·x below, with a trained α for every element of a sample (He et al., 2015), 0 at first as in Keras;
/// PyTorch has one for all, 0.25 at first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PRelu {
    /// The first values of α. Default: zeros.
    pub initializer: Initializer,
    /// Dimensions whose elements share a slope, counted with the batch as 0. Default: none.
    #[serde(default)]
    pub shared_axes: Vec<usize>,
}

/// Keras' defaults.
impl Default for PRelu {
    fn default() -> Self {
        PRelu {
            initializer: Initializer::Zeros,
            shared_axes: Vec::new(),
        }
    }
}

impl Layer for PRelu {
    saved_as!("PReLU");

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let mut dims = inputs
            .first()
            .map_or(vec![1], |shape| shape.dims().to_vec());
        for axis in &self.shared_axes {
            if let Some(dim) = axis.checked_sub(1).and_then(|axis| dims.get_mut(axis)) {
                *dim = 1;
            }
        }
        vec![Parameter::new("alpha", dims, self.initializer)]
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let shape = single(inputs)?;
        let wrong = |axis: &&usize| !(1..=shape.rank()).contains(*axis);
        match self.shared_axes.iter().find(wrong) {
            None => Ok(shape.clone()),
            Some(axis) => Err(format!(
                "the shared axis {axis} is none of samples of {shape}"
            )),
        }
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        inputs[0].prelu(&call.weight("alpha"))
    }
}
