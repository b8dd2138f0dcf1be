//! The functions between layers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Tensor};

/// A layer's activation, y = f(xW + b). Formulas and gradients: see the [`Tensor`] methods of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// y = x.
    #[default]
    Linear,
    /// 1/(1 + e^−x).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// max(x, 0).
    Relu,
    /// x for x ≥ 0, slope·x below. [`Activation::leaky_relu`] has Keras' default slope.
    LeakyRelu(f32),
    /// e^xᵢ/Σⱼ e^xⱼ over the last dimension.
    Softmax,
}

impl Activation {
    /// Leaky ReLU with the slope of Keras' function `leaky_relu`, 0.2.
    pub fn leaky_relu() -> Self {
        Activation::LeakyRelu(0.2)
    }

    /// f(x).
    #[track_caller]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Linear => x.clone(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::Relu => x.relu(),
            Activation::LeakyRelu(slope) => x.leaky_relu(slope),
            Activation::Softmax => x.softmax(),
        }
    }

    /// Keras' name of it.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Relu => "relu",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Softmax => "softmax",
        }
    }

    /// The activation of that name; `slope` is used by leaky ReLU only.
    pub fn named(name: &str, slope: Option<f32>) -> Result<Self> {
        let known = ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "softmax"];
        Ok(match name {
            "linear" => Activation::Linear,
            "sigmoid" => Activation::Sigmoid,
            "tanh" => Activation::Tanh,
            "relu" => Activation::Relu,
            "leaky_relu" => slope.map_or_else(Activation::leaky_relu, Activation::LeakyRelu),
            "softmax" => Activation::Softmax,
            other => {
                let known = known.map(String::from).to_vec();
                return Err(Error::NotFound {
                    what: "activation",
                    name: other.into(),
                    known,
                });
            }
        })
    }

    pub(crate) fn validate(self) -> Result<()> {
        match self {
            Activation::LeakyRelu(slope) if !slope.is_finite() => Err(Error::argument(
                "slope",
                format!("of leaky_relu must be finite, got {slope}"),
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::LeakyRelu(slope) => write!(f, "leaky_relu({slope})"),
            other => f.write_str(other.name()),
        }
    }
}
