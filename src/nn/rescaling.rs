//! The layer that scales and shifts by constants.

use serde::{Deserialize, Serialize};

use crate::range::finite;
use crate::{Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Call, Layer};

/// y = scale·x + offset: `Rescaling::new(1.0 / 255.0)` brings pixels into 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rescaling {
    /// The factor.
    pub scale: f32,
    /// What is added. Default: 0.
    pub offset: f32,
}

impl Rescaling {
    /// By this factor.
    pub fn new(scale: f32) -> Self {
        Rescaling { scale, offset: 0.0 }
    }
}

impl Layer for Rescaling {
    saved_as!("Rescaling");

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single(inputs).cloned()
    }

    fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
        let scaled = inputs[0].scale(self.scale);
        match self.offset {
            0.0 => scaled,
            offset => scaled.offset(offset),
        }
    }

    fn validate(&self) -> Result<()> {
        finite("scale", self.scale)?;
        finite("offset", self.offset)
    }
}
