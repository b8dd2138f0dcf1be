//! The leaky ReLU whose slopes are trained.

use serde::{Deserialize, Serialize};

use crate::{Result, Shape, Tensor};

use super::layer::single;
use super::{Call, Config, Initializer, Layer, Parameter};

/// x for x ≥ 0 and α·x below, with a trained α for every element of a sample (He et al., 2015), 0 at first as in Keras;
/// PyTorch has one for all, 0.25 at first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PRelu {
    /// The first values of α. Default: zeros.
    pub initializer: Initializer,
}

impl Default for PRelu {
    fn default() -> Self {
        Self::new()
    }
}

impl PRelu {
    /// With Keras' default.
    pub fn new() -> Self {
        PRelu {
            initializer: Initializer::Zeros,
        }
    }

    /// Sets how α begins.
    pub fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = initializer;
        self
    }
}

impl Layer for PRelu {
    fn class(&self) -> &'static str {
        "PReLU"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let shape = inputs.first().cloned().unwrap_or_else(|| [1].into());
        vec![Parameter::new("alpha", shape, self.initializer)]
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single(inputs).cloned()
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        inputs[0].prelu(&call.weight("alpha"))
    }

    fn validate(&self) -> Result<()> {
        self.initializer.validate()
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }
}
