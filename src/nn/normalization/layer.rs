//! Layer normalisation.

use serde::{Deserialize, Serialize};

use crate::nn::layer::saved_as;
use crate::nn::{Call, Layer, Parameter};
use crate::{Result, Shape, Tensor};

use super::{affine, in_range, kept, of_dims, one, trailing};

/// γ·(x − μ)/√(v + ε) + β with mean and variance over the last dimensions of each sample (Ba et al., 2016).
///
/// Keras' default of ε is 1e-3, PyTorch's 1e-5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LayerNormalization {
    /// ε, above 0. Default: 1e-3.
    pub epsilon: f32,
    /// Whether β is there. Default: true.
    pub center: bool,
    /// Whether γ is there. Default: true.
    pub scale: bool,
    /// How many of the last dimensions are normalised together; γ and β have their shape. Default: 1.
    #[serde(default = "one")]
    pub dims: usize,
}

/// Keras' defaults.
impl Default for LayerNormalization {
    fn default() -> Self {
        LayerNormalization {
            epsilon: 1e-3,
            center: true,
            scale: true,
            dims: 1,
        }
    }
}

impl Layer for LayerNormalization {
    saved_as!("LayerNormalization");

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        affine(&trailing(inputs, self.dims), self.scale, self.center).collect()
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        of_dims(inputs, self.dims)
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let [gamma, beta] = kept(call, self.scale, self.center);
        inputs[0].layer_norm(self.dims, gamma.as_ref(), beta.as_ref(), self.epsilon)
    }

    fn validate(&self) -> Result<()> {
        in_range(self.epsilon, self.dims)
    }
}
