//! The functions between layers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, Tensor};

use super::plain;

/// A layer's activation, y = f(xW + b), with Keras' names and defaults. Formulas and gradients: see the [`Tensor`] methods
/// of the same names.
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
    /// Keras' ReLU with all its settings: min(x, max_value) for x > threshold, negative_slope·(x − threshold) below.
    Rectify {
        /// The largest value; none by Keras' default.
        max_value: Option<f32>,
        /// The slope below the threshold; 0 by Keras' default.
        negative_slope: f32,
        /// Where x begins to pass; 0 by Keras' default.
        threshold: f32,
    },
    /// min(max(x, 0), 6).
    Relu6,
    /// x for x ≥ 0, slope·x below. [`Activation::leaky_relu`] has the default slope of Keras' function, 0.2; that of its
    /// layer is 0.3, PyTorch's 0.01.
    LeakyRelu(f32),
    /// x for x > 0, α·(e^x − 1) below; α is 1 by default.
    Elu(f32),
    /// 1.0507·x for x > 0, 1.7581·(e^x − 1) below.
    Selu,
    /// x for x > 0, α·(e^(x/α) − 1) below; α is 1 by default.
    Celu(f32),
    /// x·Φ(x) with the normal distribution Φ.
    Gelu,
    /// GELU's approximation by tanh: Keras' and PyTorch's `gelu` with `approximate`.
    GeluTanh,
    /// x·σ(x); also called swish.
    Silu,
    /// ln(1 + e^x).
    Softplus,
    /// x/(1 + |x|).
    Softsign,
    /// x·tanh(ln(1 + e^x)).
    Mish,
    /// x/6 + ½ between 0 and 1.
    HardSigmoid,
    /// x·hard_sigmoid(x); also called hard swish.
    HardSilu,
    /// x between −1 and 1.
    HardTanh,
    /// ln σ(x).
    LogSigmoid,
    /// e^x.
    Exponential,
    /// e^xᵢ/Σⱼ e^xⱼ over the last dimension.
    Softmax,
    /// ln softmax over the last dimension.
    LogSoftmax,
    /// max(x − τ, 0) over the last dimension, with τ such that it sums to one.
    Sparsemax,
    /// x − tanh x.
    TanhShrink,
    /// x moved by λ towards 0, which it does not pass; λ is 0.5 by default.
    SoftShrink(f32),
    /// 0 for |x| ≤ λ, else x; λ is 0.5 by default.
    HardShrink(f32),
    /// x above the threshold, else a value. Keras has no defaults for them.
    Threshold {
        /// Where x begins to pass.
        threshold: f32,
        /// What stands for the rest.
        value: f32,
    },
    /// (x + √(x² + b))/2; b is 4 by default.
    Squareplus(f32),
    /// 0 for x ≤ −1, ¼(x + 1)² up to 1, x from there.
    SparsePlus,
    /// ½(x + 1) between 0 and 1.
    SparseSigmoid,
    /// a·σ(b) with a and b the halves of the last dimension: a layer has half as many outputs as units.
    Glu,
}

use Activation::*;

impl Activation {
    /// Leaky ReLU with the slope of Keras' function `leaky_relu`, 0.2.
    pub fn leaky_relu() -> Self {
        LeakyRelu(0.2)
    }

    /// Every activation that has a name of its own, with its defaults.
    pub fn all() -> Vec<Self> {
        vec![
            Linear,
            Sigmoid,
            Tanh,
            Relu,
            Relu6,
            Activation::leaky_relu(),
            Elu(1.0),
            Selu,
            Celu(1.0),
            Gelu,
            GeluTanh,
            Silu,
            Softplus,
            Softsign,
            Mish,
            HardSigmoid,
            HardSilu,
            HardTanh,
            LogSigmoid,
            Exponential,
            Softmax,
            LogSoftmax,
            Sparsemax,
            TanhShrink,
            SoftShrink(0.5),
            HardShrink(0.5),
            Squareplus(4.0),
            SparsePlus,
            SparseSigmoid,
            Glu,
        ]
    }

    /// f(x).
    #[track_caller]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Linear => x.clone(),
            Sigmoid => x.sigmoid(),
            Tanh => x.tanh(),
            Relu => x.relu(),
            Rectify {
                max_value,
                negative_slope,
                threshold,
            } => match (max_value, negative_slope, threshold) {
                (None, 0.0, 0.0) => x.relu(),
                (None, slope, 0.0) => x.leaky_relu(slope),
                (max, slope, threshold) => {
                    x.rectify(slope, threshold, max.unwrap_or(f32::INFINITY))
                }
            },
            Relu6 => x.relu6(),
            LeakyRelu(slope) => x.leaky_relu(slope),
            Elu(alpha) => x.elu(alpha),
            Selu => x.selu(),
            Celu(alpha) => x.celu(alpha),
            Gelu => x.gelu(),
            GeluTanh => x.gelu_tanh(),
            Silu => x.silu(),
            Softplus => x.softplus(),
            Softsign => x.softsign(),
            Mish => x.mish(),
            HardSigmoid => x.hard_sigmoid(),
            HardSilu => x.hard_silu(),
            HardTanh => x.hard_tanh(),
            LogSigmoid => x.log_sigmoid(),
            Exponential => x.exp(),
            Softmax => x.softmax(),
            LogSoftmax => x.log_softmax(),
            Sparsemax => x.sparsemax(),
            TanhShrink => x.tanh_shrink(),
            SoftShrink(lambda) => x.soft_shrink(lambda),
            HardShrink(lambda) => x.hard_shrink(lambda),
            Threshold { threshold, value } => x.threshold(threshold, value),
            Squareplus(b) => x.squareplus(b),
            SparsePlus => x.sparse_plus(),
            SparseSigmoid => x.sparse_sigmoid(),
            Glu => x.glu(),
        }
    }

    /// Keras' name of it; GELU by tanh, which Keras has no name for, is `gelu_tanh`.
    pub fn name(self) -> &'static str {
        match self {
            Linear => "linear",
            Sigmoid => "sigmoid",
            Tanh => "tanh",
            Relu | Rectify { .. } => "relu",
            Relu6 => "relu6",
            LeakyRelu(_) => "leaky_relu",
            Elu(_) => "elu",
            Selu => "selu",
            Celu(_) => "celu",
            Gelu => "gelu",
            GeluTanh => "gelu_tanh",
            Silu => "silu",
            Softplus => "softplus",
            Softsign => "softsign",
            Mish => "mish",
            HardSigmoid => "hard_sigmoid",
            HardSilu => "hard_silu",
            HardTanh => "hard_tanh",
            LogSigmoid => "log_sigmoid",
            Exponential => "exponential",
            Softmax => "softmax",
            LogSoftmax => "log_softmax",
            Sparsemax => "sparsemax",
            TanhShrink => "tanh_shrink",
            SoftShrink(_) => "soft_shrink",
            HardShrink(_) => "hard_shrink",
            Threshold { .. } => "threshold",
            Squareplus(_) => "squareplus",
            SparsePlus => "sparse_plus",
            SparseSigmoid => "sparse_sigmoid",
            Glu => "glu",
        }
    }

    /// The activation of that name with Keras' defaults, also in the form of a class (`LeakyReLU`, but with the slope of the
    /// function); `swish` and `hard_swish` are other names of `silu` and `hard_silu`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are. `threshold`, which has no defaults, is not among them.
    ///
    /// ```
    /// use kiln::nn::Activation;
    ///
    /// assert_eq!(Activation::named("elu")?, Activation::Elu(1.0));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn named(name: &str) -> Result<Self> {
        let wanted = match plain(name).as_str() {
            "swish" => "silu".into(),
            "hardswish" => "hardsilu".into(),
            own => own.to_string(),
        };
        let all = Self::all();
        let found = all
            .iter()
            .find(|activation| plain(activation.name()) == wanted);
        found.copied().ok_or_else(|| Error::NotFound {
            what: "activation",
            name: name.into(),
            known: all.iter().map(|known| known.name().to_string()).collect(),
        })
    }

    /// Columns of the output for so many columns of the input.
    pub(crate) fn columns(self, columns: usize) -> usize {
        match self {
            Glu => columns / 2,
            _ => columns,
        }
    }

    /// Checks the settings, and the columns that the activation is applied to.
    pub(crate) fn validate(self, columns: usize) -> Result<()> {
        let finite = |field: &'static str, value: f32| {
            if value.is_finite() {
                return Ok(());
            }
            let message = format!("of {} must be finite, got {value}", self.name());
            Err(Error::argument(field, message))
        };
        let above = |field: &'static str, value: f32, least: f32| {
            finite(field, value)?;
            if value >= least {
                return Ok(());
            }
            let message = format!("of {} must be at least {least}, got {value}", self.name());
            Err(Error::argument(field, message))
        };
        match self {
            LeakyRelu(slope) => finite("slope", slope),
            Rectify {
                max_value,
                negative_slope,
                threshold,
            } => {
                finite("negative_slope", negative_slope)?;
                finite("threshold", threshold)?;
                max_value.map_or(Ok(()), |max| above("max_value", max, threshold.max(0.0)))
            }
            Elu(alpha) => finite("alpha", alpha),
            Celu(alpha) if alpha <= 0.0 => Err(Error::argument(
                "alpha",
                format!("of celu must be above 0, got {alpha}"),
            )),
            Celu(alpha) => finite("alpha", alpha),
            SoftShrink(lambda) | HardShrink(lambda) => above("lambda", lambda, 0.0),
            Threshold { threshold, value } => {
                finite("threshold", threshold)?;
                finite("value", value)
            }
            Squareplus(b) => above("b", b, 0.0),
            Glu if columns % 2 == 1 => Err(Error::argument(
                "units",
                format!("of a layer that ends in glu must be even, got {columns}"),
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Activation {
    /// The name, with the settings where it has some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeakyRelu(setting) | Elu(setting) | Celu(setting) | SoftShrink(setting)
            | HardShrink(setting) | Squareplus(setting) => {
                write!(f, "{}({setting})", self.name())
            }
            Rectify {
                max_value,
                negative_slope,
                threshold,
            } => {
                f.write_str("relu(")?;
                if let Some(max) = max_value {
                    write!(f, "max_value={max}, ")?;
                }
                write!(f, "negative_slope={negative_slope}, threshold={threshold})")
            }
            Threshold { threshold, value } => write!(f, "threshold({threshold}, {value})"),
            other => f.write_str(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activation_is_found_by_its_name_and_in_its_own_text() {
        for activation in Activation::all() {
            assert_eq!(Activation::named(activation.name()).unwrap(), activation);
            let text = serde_json::to_string(&activation).unwrap();
            let read: Activation = serde_json::from_str(&text).unwrap();
            assert_eq!(read, activation, "{text}");
        }
        assert_eq!(Activation::named("swish").unwrap(), Silu);
        assert_eq!(Activation::named("hard_swish").unwrap(), HardSilu);
        assert!(Activation::named("threshold").is_err());
    }

    #[test]
    fn a_display_tells_the_settings() {
        let full = Rectify {
            max_value: Some(4.0),
            negative_slope: 0.1,
            threshold: 0.5,
        };
        let wanted = "relu(max_value=4, negative_slope=0.1, threshold=0.5)";
        assert_eq!(full.to_string(), wanted);
        assert_eq!(Activation::leaky_relu().to_string(), "leaky_relu(0.2)");
        assert_eq!(Gelu.to_string(), "gelu");
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let field = |activation: Activation| match activation.validate(3).unwrap_err() {
            Error::Argument { name, .. } => name,
            other => panic!("{other}"),
        };
        let rectify = |max_value, threshold| Rectify {
            max_value,
            negative_slope: 0.0,
            threshold,
        };
        assert_eq!(field(LeakyRelu(f32::NAN)), "slope");
        assert_eq!(field(rectify(Some(-1.0), 0.0)), "max_value");
        assert_eq!(field(rectify(Some(1.0), 2.0)), "max_value");
        assert_eq!(field(rectify(None, f32::INFINITY)), "threshold");
        assert_eq!(field(Elu(f32::INFINITY)), "alpha");
        assert_eq!(field(Celu(0.0)), "alpha");
        assert_eq!(field(SoftShrink(-0.1)), "lambda");
        assert_eq!(field(HardShrink(f32::NAN)), "lambda");
        assert_eq!(field(Squareplus(-1.0)), "b");
        assert_eq!(field(Glu), "units");
        let jump = Threshold {
            threshold: f32::NAN,
            value: 0.0,
        };
        assert_eq!(field(jump), "threshold");
    }
}
