//! The dense layer: y = f(xW + b).

use serde::{Deserialize, Serialize};

use crate::{Result, Tensor};

use super::{Activation, Initializer};

/// y = f(xW + b): x `[rows, inputs]`, W `[inputs, units]`, b `[units]`, y `[rows, units]`.
///
/// ```
/// use kiln::prelude::*;
///
/// let layer = Dense::new(10).activation(Relu).kernel_initializer(Initializer::HeUniform);
/// assert_eq!(layer.units, 10);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dense {
    /// Columns of W.
    pub units: usize,
    /// f. Default: linear.
    pub activation: Activation,
    /// Whether b is there. Default: true.
    pub use_bias: bool,
    /// The first values of W. Default: Glorot uniform.
    pub kernel_initializer: Initializer,
    /// The first values of b. Default: zeros.
    pub bias_initializer: Initializer,
}

impl Dense {
    /// A linear layer with Keras' defaults.
    pub fn new(units: usize) -> Self {
        Dense {
            units,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
        }
    }

    /// Sets f.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Leaves out b.
    pub fn without_bias(mut self) -> Self {
        self.use_bias = false;
        self
    }

    /// Sets how W begins.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// Sets how b begins.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// Columns of y: the units, or half of them where f is a gated linear unit.
    pub fn outputs(&self) -> usize {
        self.activation.columns(self.units)
    }

    /// xW + b, without f.
    #[track_caller]
    pub(crate) fn pre_activation(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        bias: Option<&Tensor>,
    ) -> Tensor {
        let product = x.matmul(kernel);
        bias.map_or(product.clone(), |bias| product.add(bias))
    }

    pub(crate) fn validate(&self) -> Result<()> {
        if self.units == 0 {
            return Err(crate::Error::argument(
                "units",
                "a dense layer needs at least one unit, got 0",
            ));
        }
        self.activation.validate(self.units)?;
        self.kernel_initializer.validate()?;
        self.bias_initializer.validate()
    }
}
