//! RMS normalisation.

use serde::{Deserialize, Serialize};

use crate::nn::layer::saved_as;
use crate::nn::{Call, Initializer, Layer, Parameter};
use crate::{Result, Shape, Tensor};

use super::{in_range, of_dims, one, trailing};

/// γ·x/√(mean of x² + ε) over the last dimensions of each sample (Zhang and Sennrich, 2019).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RMSNormalization {
    /// ε, above 0. Default: 1e-6.
    pub epsilon: f32,
    /// How many of the last dimensions are normalised together; γ has their shape. Default: 1.
    #[serde(default = "one")]
    pub dims: usize,
}

/// Keras' defaults.
impl Default for RMSNormalization {
    fn default() -> Self {
        RMSNormalization {
            epsilon: 1e-6,
            dims: 1,
        }
    }
}

impl Layer for RMSNormalization {
    saved_as!("RMSNormalization");

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let one = Initializer::Constant(1.0);
        vec![Parameter::new("scale", trailing(inputs, self.dims), one)]
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        of_dims(inputs, self.dims)
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        inputs[0].rms_norm(self.dims, Some(&call.weight("scale")), self.epsilon)
    }

    fn validate(&self) -> Result<()> {
        in_range(self.epsilon, self.dims)
    }
}
