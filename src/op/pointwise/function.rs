//! The functions of one number by name: their constants, their numbers in the shaders, and what their slopes need.

use crate::contract::Launch;

/// A function of one number, y = f(x). NaN gives NaN in all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// 1/(1 + e^−x).
    Sigmoid,
    /// (e^x − e^−x)/(e^x + e^−x).
    Tanh,
    /// max(x, 0); NaN stays NaN.
    Relu,
    /// x for x ≥ 0, slope·x below.
    LeakyRelu(f32),
    /// e^x.
    Exp,
    /// Natural logarithm.
    Log,
    /// √x.
    Sqrt,
    /// x².
    Square,
    /// |x|; its derivative at 0 is 0.
    Abs,
    /// −x.
    Neg,
    /// factor·x.
    Scale(f32),
    /// x + constant.
    Offset(f32),
    /// min(x, max) for x > threshold, slope·(x − threshold) below. Its derivative at the threshold is 0, at max 1.
    Rectify {
        /// The slope below the threshold.
        slope: f32,
        /// Where x begins to pass.
        threshold: f32,
        /// The largest value; infinity for none.
        max: f32,
    },
    /// scale·x for x > 0, scale·alpha·(e^(x/width) − 1) below: ELU, SELU and CELU. Its derivative at 0 is that from below.
    Elu {
        /// What −y tends to on the far left, but for the scale.
        alpha: f32,
        /// The slope on the right.
        scale: f32,
        /// How far from 0 the curve bends.
        width: f32,
    },
    /// x·Φ(x) with the normal distribution Φ(x) = ½·erfc(−x/√2) (Hendrycks, Gimpel 2016).
    Gelu,
    /// x·σ(2u) with u = √(2/π)·(x + 0.044715·x³): GELU's approximation, ½x·(1 + tanh u).
    GeluTanh,
    /// x·σ(beta·x): SiLU for beta 1, else swish (Ramachandran, Zoph, Le 2017).
    Silu(f32),
    /// ln(1 + e^(beta·x))/beta, and x where beta·x is beyond the threshold.
    Softplus {
        /// How sharp the bend is.
        beta: f32,
        /// Where the straight part begins; infinity for the curve alone.
        threshold: f32,
    },
    /// x/(1 + |x|).
    Softsign,
    /// x·tanh(ln(1 + e^x)) (Misra 2019).
    Mish,
    /// ln σ(x).
    LogSigmoid,
    /// slope·x + offset, no less than 0 and no more than 1. Its derivative at both ends is 0.
    HardSigmoid {
        /// The slope between the ends.
        slope: f32,
        /// The value at 0.
        offset: f32,
    },
    /// x times the hard sigmoid.
    HardSilu {
        /// The hard sigmoid's slope.
        slope: f32,
        /// The hard sigmoid's value at 0.
        offset: f32,
    },
    /// x, no less than low and no more than high. Its derivative at both ends is 1.
    Clamp {
        /// The least value.
        low: f32,
        /// The largest value.
        high: f32,
    },
    /// x − tanh x.
    TanhShrink,
    /// x − bias for x > lambda, x + bias for x < −lambda, 0 between.
    Shrink {
        /// Half the width of the flat part.
        lambda: f32,
        /// How far the rest moves towards 0.
        bias: f32,
    },
    /// x for x > threshold, else the value.
    Threshold {
        /// Where x begins to pass.
        threshold: f32,
        /// What stands for the rest.
        value: f32,
    },
    /// (x + √(x² + b))/2 (Barron 2021).
    Squareplus(f32),
    /// 0 for x ≤ −1, ¼(x + 1)² up to 1, x from there: what sparsemax is to softmax.
    SparsePlus,
    /// erf x = 2/√π·∫₀ˣ e^(−t²) dt.
    Erf,
    /// Sine of an angle in radians.
    Sin,
    /// Cosine of an angle in radians.
    Cos,
    /// 1/x.
    Reciprocal,
    /// 1/√x.
    Rsqrt,
    /// −1, 0 or 1.
    Sign,
    /// ln(1 + x), accurate near 0.
    Log1p,
    /// e^x − 1, accurate near 0.
    Expm1,
    /// The largest whole number that is not above x.
    Floor,
    /// The least whole number that is not below x.
    Ceil,
    /// The nearest whole number, of two the even one.
    Round,
    /// x^exponent; NaN for x < 0, unless the exponent is a whole number.
    Power(f32),
}

use Function::*;

impl Function {
    /// Everything that tells the function in a shader: its number, its constants, its name.
    fn description(self) -> (u32, [f32; 3], &'static str) {
        let one = |number, constant, name| (number, [constant, 0.0, 0.0], name);
        let two = |number, a, b, name| (number, [a, b, 0.0], name);
        match self {
            Sigmoid => one(0, 0.0, "sigmoid"),
            Tanh => one(1, 0.0, "tanh"),
            Relu => one(2, 0.0, "relu"),
            LeakyRelu(slope) => one(3, slope, "leaky_relu"),
            Exp => one(4, 0.0, "exp"),
            Log => one(5, 0.0, "log"),
            Sqrt => one(6, 0.0, "sqrt"),
            Square => one(7, 0.0, "square"),
            Abs => one(8, 0.0, "abs"),
            Neg => one(9, 0.0, "neg"),
            Scale(factor) => one(10, factor, "scale"),
            Offset(constant) => one(11, constant, "offset"),
            Rectify {
                slope,
                threshold,
                max,
            } => (12, [slope, threshold, max], "rectify"),
            Elu {
                alpha,
                scale,
                width,
            } => (13, [alpha, scale, width], "elu"),
            Gelu => one(14, 0.0, "gelu"),
            GeluTanh => one(15, 0.0, "gelu_tanh"),
            Silu(beta) => one(16, beta, "silu"),
            Softplus { beta, threshold } => two(17, beta, threshold, "softplus"),
            Softsign => one(18, 0.0, "softsign"),
            Mish => one(19, 0.0, "mish"),
            LogSigmoid => one(20, 0.0, "log_sigmoid"),
            HardSigmoid { slope, offset } => two(21, slope, offset, "hard_sigmoid"),
            HardSilu { slope, offset } => two(22, slope, offset, "hard_silu"),
            Clamp { low, high } => two(23, low, high, "clamp"),
            TanhShrink => one(24, 0.0, "tanh_shrink"),
            Shrink { lambda, bias } => two(25, lambda, bias, "shrink"),
            Threshold { threshold, value } => two(26, threshold, value, "threshold"),
            Squareplus(b) => one(27, b, "squareplus"),
            SparsePlus => one(28, 0.0, "sparse_plus"),
            Erf => one(29, 0.0, "erf"),
            Sin => one(30, 0.0, "sin"),
            Cos => one(31, 0.0, "cos"),
            Reciprocal => one(32, 0.0, "reciprocal"),
            Rsqrt => one(33, 0.0, "rsqrt"),
            Sign => one(34, 0.0, "sign"),
            Log1p => one(35, 0.0, "log1p"),
            Expm1 => one(36, 0.0, "expm1"),
            Floor => one(37, 0.0, "floor"),
            Ceil => one(38, 0.0, "ceil"),
            Round => one(39, 0.0, "round"),
            Power(exponent) => two(40, exponent, parity(exponent), "power"),
        }
    }

    /// The number of the function in the shaders.
    pub(in crate::op) fn code(self) -> u32 {
        self.description().0
    }

    /// Gives the `params` of a launch whose shader has `functions.wgsl` the function's constants.
    pub(in crate::op) fn describe(function: Option<Self>, launch: Launch) -> Launch {
        let [first, second, third] = function.map_or([0.0; 3], |f| f.description().1);
        let launch = launch.param("first", first).param("second", second);
        launch.param("third", third)
    }

    pub(super) fn name(self) -> &'static str {
        self.description().2
    }

    /// Whether f′ is computed from the output; else from the input.
    pub(super) fn saves_output(self) -> bool {
        match self {
            Sigmoid | Tanh | Relu | Exp | Sqrt => true,
            // The output has the input's sign, which is all that f′ depends on.
            LeakyRelu(slope) => slope >= 0.0,
            _ => false,
        }
    }

    /// Whether f′ is 0 wherever there is one.
    pub(super) fn is_flat(self) -> bool {
        matches!(self, Sign | Floor | Ceil | Round)
    }

    /// Whether a layer may end in it: a bounded slope, so that rounding before it stays rounding.
    pub(crate) fn ends_layers(self) -> bool {
        self.steepest().is_finite() && self.saves_output()
    }

    /// The largest |f′| of a function that a layer may end in; infinity of the others.
    pub(in crate::op) fn steepest(self) -> f64 {
        match self {
            Sigmoid => 0.25,
            Tanh | Relu => 1.0,
            LeakyRelu(slope) => f64::from(slope.abs()).max(1.0),
            _ => f64::INFINITY,
        }
    }

    /// What is wrong with the constants.
    pub(super) fn check(self) -> Result<(), String> {
        let finite = |name: &str, value: f32| match value.is_finite() {
            true => Ok(()),
            false => Err(format!("{name} must be finite, got {value}")),
        };
        let positive = |name: &str, value: f32| match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(format!("{name} must be above 0 and finite, got {value}")),
        };
        match self {
            LeakyRelu(slope) => finite("slope", slope),
            Rectify {
                slope,
                threshold,
                max,
            } => {
                finite("slope", slope)?;
                finite("threshold", threshold)?;
                if max >= threshold.max(0.0) {
                    return Ok(());
                }
                Err(format!(
                    "max must be at least 0 and the threshold {threshold}, got {max}"
                ))
            }
            Elu {
                alpha,
                scale,
                width,
            } => {
                finite("alpha", alpha)?;
                finite("scale", scale)?;
                positive("width", width)
            }
            Silu(beta) => finite("beta", beta),
            Softplus { beta, threshold } => {
                positive("beta", beta)?;
                match threshold.is_nan() {
                    true => Err("threshold must be a number, got NaN".into()),
                    false => Ok(()),
                }
            }
            HardSigmoid { slope, offset } | HardSilu { slope, offset } => {
                finite("slope", slope)?;
                finite("offset", offset)
            }
            Clamp { low, high } => match low <= high {
                true => Ok(()),
                false => Err(format!("low must be at most high, got {low} and {high}")),
            },
            Shrink { lambda, bias } => {
                finite("bias", bias)?;
                match lambda >= 0.0 && lambda.is_finite() {
                    true => Ok(()),
                    false => Err(format!(
                        "lambda must be at least 0 and finite, got {lambda}"
                    )),
                }
            }
            Threshold { threshold, value } => {
                finite("threshold", threshold)?;
                finite("value", value)
            }
            Squareplus(b) => match b >= 0.0 && b.is_finite() {
                true => Ok(()),
                false => Err(format!("b must be at least 0 and finite, got {b}")),
            },
            Power(exponent) => finite("exponent", exponent),
            _ => Ok(()),
        }
    }
}

/// What x^exponent is to a negative x: 0 no number, 1 that of −x with the sign of x, 2 that of −x.
fn parity(exponent: f32) -> f32 {
    match exponent.rem_euclid(2.0) {
        0.0 => 2.0,
        1.0 => 1.0,
        _ => 0.0,
    }
}
