//! The functions between layers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::op::pointwise::functions::{self, functions};
use crate::op::{Function, UnaryFunction};
use crate::{Error, Result, Tensor};

use crate::lookup::{self, Named, plain};

macro_rules! activations {
    ({
        $($(#[$doc:meta])* $variant:ident $(named $name:literal)?:
            $method:ident($($setting:ident: $type:ty = $default:literal)?) = $function:ident[$($value:expr),*];)*
    } { $($_others:tt)* }) => {
        /// A layer's activation, y = f(xW + b), with Keras' names and defaults. Formulas and gradients: see the [`Tensor`]
        /// methods of the same names.
        #[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Activation {
            /// y = x.
            #[default]
            Linear,
            $($(#[$doc])* $variant $(($type))?,)*
            /// Keras' ReLU with all its settings: min(x, max_value) for x > threshold, negative_slope·(x − threshold) below.
            Rectify {
                /// The largest value; none by Keras' default.
                max_value: Option<f32>,
                /// The slope below the threshold; 0 by Keras' default.
                negative_slope: f32,
                /// Where x begins to pass; 0 by Keras' default.
                threshold: f32,
            },
            /// x above the threshold, else a value. Keras has no defaults for them.
            Threshold {
                /// Where x begins to pass.
                threshold: f32,
                /// What stands for the rest.
                value: f32,
            },
            /// e^xᵢ/Σⱼ e^xⱼ over the last dimension.
            Softmax,
            /// ln softmax over the last dimension.
            LogSoftmax,
            /// max(x − τ, 0) over the last dimension, with τ such that it sums to one.
            Sparsemax,
            /// a·σ(b) with a and b the halves of the last dimension: a layer has half as many outputs as units.
            Glu,
        }

        /// What has a name of its own, with its defaults.
        const TABLE: &[Named<Activation>] = &[
            (Activation::Linear, &["linear"]),
            $((Activation::$variant $(($default))?, &[[$($name,)? stringify!($method)][0]]),)*
            (Activation::Softmax, &["softmax"]),
            (Activation::LogSoftmax, &["log_softmax"]),
            (Activation::Sparsemax, &["sparsemax"]),
            (Activation::Glu, &["glu"]),
        ];

        impl Activation {
            /// The function of one number, where it is one.
            fn function(self) -> Option<Function> {
                Some(match self {
                    $(Self::$variant $(($setting))? => Function::of::<functions::$function>(&[$($value),*]),)*
                    Self::Rectify { max_value, negative_slope, threshold } => match (max_value, threshold) {
                        (None, 0.0) if negative_slope == 0.0 => functions::Relu::function(),
                        (None, 0.0) => Function::of::<functions::LeakyRelu>(&[negative_slope]),
                        (max, _) => {
                            let max = max.unwrap_or(f32::INFINITY);
                            Function::of::<functions::Rectify>(&[negative_slope, threshold, max])
                        }
                    },
                    Self::Threshold { threshold, value } => {
                        Function::of::<functions::Threshold>(&[threshold, value])
                    }
                    Self::Linear | Self::Softmax | Self::LogSoftmax | Self::Sparsemax | Self::Glu => return None,
                })
            }

            /// Keras' name of it; GELU by tanh, which Keras has no name for, is `gelu_tanh`.
            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => [$($name,)? stringify!($method)][0],)*
                    Self::Linear => "linear",
                    Self::Rectify { .. } => "relu",
                    Self::Threshold { .. } => "threshold",
                    Self::Softmax => "softmax",
                    Self::LogSoftmax => "log_softmax",
                    Self::Sparsemax => "sparsemax",
                    Self::Glu => "glu",
                }
            }

            /// The name and value of its one setting.
            fn setting(self) -> Option<(&'static str, f32)> {
                let settings: &[(&'static str, f32)] = match self {
                    $(Self::$variant $(($setting))? => &[$((stringify!($setting), $setting))?],)*
                    _ => &[],
                };
                settings.first().copied()
            }
        }
    };
}

functions!(activations);

impl Activation {
    /// f(x).
    #[track_caller]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match (self, self.function()) {
            (_, Some(function)) => x.map(function),
            (Activation::Softmax, _) => x.softmax(-1),
            (Activation::LogSoftmax, _) => x.log_softmax(-1),
            (Activation::Sparsemax, _) => x.sparsemax(-1),
            (Activation::Glu, _) => x.glu(-1),
            (_, None) => x.clone(),
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
    /// assert_eq!(Activation::from_name("elu")?, Activation::Elu(1.0));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_name(name: &str) -> Result<Self> {
        let own = match plain(name).as_str() {
            "swish" => "silu",
            "hardswish" => "hard_silu",
            _ => name,
        };
        lookup::find("activation", own, TABLE)
    }

    /// Columns of the output for `columns` columns of the input.
    pub(crate) fn columns(self, columns: usize) -> usize {
        if self == Activation::Glu {
            columns / 2
        } else {
            columns
        }
    }

    /// Checks the settings, and the columns that the activation is applied to.
    pub(crate) fn validate(self, columns: usize) -> Result<()> {
        if self == Activation::Glu && columns % 2 == 1 {
            return Err(Error::argument(
                "units",
                format!("of a layer that ends in glu must be even, got {columns}"),
            ));
        }
        let Some((setting, message)) = self.function().and_then(Function::refusal) else {
            return Ok(());
        };
        let field = match (self, self.setting()) {
            (_, Some((own, _))) => own,
            (Activation::Rectify { .. }, _) if setting == "slope" => "negative_slope",
            (Activation::Rectify { .. }, _) if setting == "max" => "max_value",
            _ => setting,
        };
        Err(Error::argument(
            field,
            format!("of {} {message}", self.name()),
        ))
    }
}

impl fmt::Display for Activation {
    /// The name, with the settings where it has some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Activation::Rectify {
                max_value,
                negative_slope,
                threshold,
            } => {
                f.write_str("(")?;
                if let Some(max) = max_value {
                    write!(f, "max_value={max}, ")?;
                }
                write!(f, "negative_slope={negative_slope}, threshold={threshold})")
            }
            Activation::Threshold { threshold, value } => write!(f, "({threshold}, {value})"),
            other => match other.setting() {
                Some((_, value)) => write!(f, "({value})"),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Activation::*;
    use super::*;

    #[test]
    fn every_activation_is_found_by_its_name_and_in_its_own_text() {
        for &(activation, _) in TABLE {
            assert_eq!(
                Activation::from_name(activation.name()).unwrap(),
                activation
            );
            let text = serde_json::to_string(&activation).unwrap();
            let read: Activation = serde_json::from_str(&text).unwrap();
            assert_eq!(read, activation, "{text}");
        }
        assert_eq!(Activation::from_name("swish").unwrap(), Silu);
        assert_eq!(Activation::from_name("hard_swish").unwrap(), HardSilu);
        assert!(Activation::from_name("threshold").is_err());
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
        assert_eq!(LeakyRelu(0.2).to_string(), "leaky_relu(0.2)");
        assert_eq!(Gelu.to_string(), "gelu");
    }
}
