//! Vectors brought to length 1.

use serde::{Deserialize, Serialize};

use crate::nn::concatenate::dimension;
use crate::nn::layer::single;
use crate::nn::{Call, Config, Layer};
use crate::{Result, Shape, Tensor};

use super::last;

/// x/|x| along one dimension of each sample: vectors of length 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnitNormalization {
    /// The dimension, counted with the batch as 0, or from the back where negative. Default: −1, the last.
    #[serde(default = "last")]
    pub axis: i32,
}

impl Default for UnitNormalization {
    fn default() -> Self {
        Self::new()
    }
}

impl UnitNormalization {
    /// Along the last dimension.
    pub fn new() -> Self {
        UnitNormalization { axis: -1 }
    }

    /// Sets the dimension, counted with the batch as 0.
    pub fn axis(mut self, axis: i32) -> Self {
        self.axis = axis;
        self
    }
}

impl Layer for UnitNormalization {
    fn class(&self) -> &'static str {
        "UnitNormalization"
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let shape = single(inputs)?;
        dimension(self.axis, shape.rank())?;
        Ok(shape.clone())
    }

    fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
        inputs[0].unit_norm(self.axis as isize)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }
}
