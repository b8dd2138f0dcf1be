//! The `Tensor` methods.

use crate::Tensor;

use super::Function::{self, *};
use super::Pointwise;

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident => $function:expr;)*) => {
        impl Tensor {
            $($(#[$doc])* #[track_caller]
            pub fn $name(&self) -> Tensor {
                self.graph().apply_one(Pointwise($function), &[self])
            })*
        }
    };
}

methods! {
    /// 1/(1 + e^−x), element by element.
    sigmoid => Sigmoid;
    /// Hyperbolic tangent, element by element.
    tanh => Tanh;
    /// max(x, 0), element by element; NaN stays NaN. Its derivative at 0 is 0.
    relu => Relu;
    /// min(max(x, 0), 6), element by element. Its derivative at 0 is 0, at 6 it is 1.
    relu6 => Rectify { slope: 0.0, threshold: 0.0, max: 6.0 };
    /// 1.0507·x for x > 0, 1.7581·(e^x − 1) below, element by element (Klambauer and others 2017). Its derivative at 0 is
    /// that from below, as in PyTorch; Keras takes the one from above.
    selu => Elu { alpha: 1.673_263_2, scale: 1.050_701, width: 1.0 };
    /// x·Φ(x) with the normal distribution Φ, element by element; accurate on the far left too.
    gelu => Gelu;
    /// ½x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), element by element: GELU's older approximation.
    gelu_tanh => GeluTanh;
    /// x·σ(x), element by element; also called swish.
    silu => Silu(1.0);
    /// ln(1 + e^x), element by element, without overflow.
    softplus => Softplus { beta: 1.0, threshold: f32::INFINITY };
    /// x/(1 + |x|), element by element.
    softsign => Softsign;
    /// x·tanh(ln(1 + e^x)), element by element.
    mish => Mish;
    /// ln σ(x), element by element, without overflow.
    log_sigmoid => LogSigmoid;
    /// x/6 + ½ between 0 and 1, element by element, as in Keras 3 and PyTorch.
    hard_sigmoid => HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 };
    /// x·hard_sigmoid(x), element by element; also called hard swish.
    hard_silu => HardSilu { slope: 1.0 / 6.0, offset: 0.5 };
    /// x, no less than −1 and no more than 1, element by element. Its derivative at both ends is 1, as in Keras; in PyTorch 0.
    hard_tanh => Clamp { low: -1.0, high: 1.0 };
    /// x − tanh x, element by element.
    tanh_shrink => TanhShrink;
    /// 0 for x ≤ −1, ¼(x + 1)² up to 1, x from there, element by element.
    sparse_plus => SparsePlus;
    /// ½(x + 1) between 0 and 1, element by element.
    sparse_sigmoid => HardSigmoid { slope: 0.5, offset: 0.5 };
    /// e^x, element by element.
    exp => Exp;
    /// e^x − 1, element by element, accurate near 0.
    expm1 => Expm1;
    /// Natural logarithm, element by element.
    log => Log;
    /// ln(1 + x), element by element, accurate near 0.
    log1p => Log1p;
    /// √x, element by element.
    sqrt => Sqrt;
    /// 1/√x, element by element.
    rsqrt => Rsqrt;
    /// 1/x, element by element.
    reciprocal => Reciprocal;
    /// x², element by element.
    square => Square;
    /// |x|, element by element. Its derivative at 0 is 0.
    abs => Abs;
    /// −1, 0 or 1, element by element. Its derivative is 0.
    sign => Sign;
    /// −x, element by element; also the operator `-`.
    neg => Neg;
    /// erf x, element by element.
    erf => Erf;
    /// Sine of angles in radians, element by element; accurate to some 10⁻⁶ + |x|·10⁻⁷.
    sin => Sin;
    /// Cosine of angles in radians, element by element; accurate as the sine.
    cos => Cos;
    /// The largest whole number that is not above x, element by element. Its derivative is 0.
    floor => Floor;
    /// The least whole number that is not below x, element by element. Its derivative is 0.
    ceil => Ceil;
    /// The nearest whole number, of two the even one, element by element. Its derivative is 0.
    round => Round;
}

impl Tensor {
    #[track_caller]
    fn pointwise(&self, function: Function) -> Tensor {
        self.graph().apply_one(Pointwise(function), &[self])
    }

    /// x for x ≥ 0 and `slope`·x below, element by element. Its derivative at 0 is the slope.
    #[track_caller]
    pub fn leaky_relu(&self, slope: f32) -> Tensor {
        self.pointwise(LeakyRelu(slope))
    }

    /// min(x, `max`) for x > `threshold` and `slope`·(x − `threshold`) below, element by element: Keras' ReLU with all its
    /// settings. `max` is infinity for none. Its derivative at the threshold is 0, at `max` it is 1.
    #[track_caller]
    pub fn rectify(&self, slope: f32, threshold: f32, max: f32) -> Tensor {
        self.pointwise(Rectify {
            slope,
            threshold,
            max,
        })
    }

    /// x for x > 0 and `alpha`·(e^x − 1) below, element by element. Its derivative at 0 is `alpha`.
    #[track_caller]
    pub fn elu(&self, alpha: f32) -> Tensor {
        self.pointwise(Elu {
            alpha,
            scale: 1.0,
            width: 1.0,
        })
    }

    /// x for x > 0 and `alpha`·(e^(x/`alpha`) − 1) below, element by element. Its derivative at 0 is 1, as in PyTorch;
    /// Keras 3 adds both sides up to 2.
    #[track_caller]
    pub fn celu(&self, alpha: f32) -> Tensor {
        self.pointwise(Elu {
            alpha,
            scale: 1.0,
            width: alpha,
        })
    }

    /// x·σ(`beta`·x), element by element.
    #[track_caller]
    pub fn swish(&self, beta: f32) -> Tensor {
        self.pointwise(Silu(beta))
    }

    /// ln(1 + e^(`beta`·x))/`beta`, and x where `beta`·x > `threshold`, element by element: PyTorch's softplus, whose
    /// threshold is 20.
    #[track_caller]
    pub fn softplus_with(&self, beta: f32, threshold: f32) -> Tensor {
        self.pointwise(Softplus { beta, threshold })
    }

    /// `slope`·x + `offset` between 0 and 1, element by element.
    #[track_caller]
    pub fn hard_sigmoid_with(&self, slope: f32, offset: f32) -> Tensor {
        self.pointwise(HardSigmoid { slope, offset })
    }

    /// x, no less than `low` and no more than `high`, element by element; infinities for none. Its derivative at both ends
    /// is 1.
    #[track_caller]
    pub fn clamp(&self, low: f32, high: f32) -> Tensor {
        self.pointwise(Clamp { low, high })
    }

    /// x moved by `lambda` towards 0, which it does not pass, element by element; Keras' default for `lambda` is 0.5.
    #[track_caller]
    pub fn soft_shrink(&self, lambda: f32) -> Tensor {
        self.shrink(lambda, lambda)
    }

    /// 0 for |x| ≤ `lambda`, else x, element by element; Keras' default for `lambda` is 0.5.
    #[track_caller]
    pub fn hard_shrink(&self, lambda: f32) -> Tensor {
        self.shrink(lambda, 0.0)
    }

    /// x − `bias` for x > `lambda`, x + `bias` for x < −`lambda`, 0 between, element by element.
    #[track_caller]
    pub fn shrink(&self, lambda: f32, bias: f32) -> Tensor {
        self.pointwise(Shrink { lambda, bias })
    }

    /// x for x > `threshold`, else `value`, element by element. Its derivative at the threshold is 0.
    #[track_caller]
    pub fn threshold(&self, threshold: f32, value: f32) -> Tensor {
        self.pointwise(Threshold { threshold, value })
    }

    /// (x + √(x² + `b`))/2, element by element; Keras' default for `b` is 4.
    #[track_caller]
    pub fn squareplus(&self, b: f32) -> Tensor {
        self.pointwise(Squareplus(b))
    }

    /// x for x > 0 and `slope`·x below, where `slope` is a tensor that broadcasts to x: the slopes are trained. Its
    /// derivative at 0 is 0, as in Keras.
    #[track_caller]
    pub fn prelu(&self, slope: &Tensor) -> Tensor {
        self.relu().sub(&slope.mul(&self.neg().relu()))
    }

    /// x^`exponent`, element by element; NaN for x < 0, unless the exponent is a whole number.
    #[track_caller]
    pub fn pow(&self, exponent: f32) -> Tensor {
        match exponent {
            // What is exact, or nearly so.
            1.0 => self.scale(1.0),
            2.0 => self.square(),
            0.5 => self.sqrt(),
            -1.0 => self.reciprocal(),
            -0.5 => self.rsqrt(),
            _ => self.pointwise(Power(exponent)),
        }
    }

    /// `factor`·x.
    #[track_caller]
    pub fn scale(&self, factor: f32) -> Tensor {
        self.pointwise(Scale(factor))
    }

    /// x + `constant`.
    #[track_caller]
    pub fn offset(&self, constant: f32) -> Tensor {
        self.pointwise(Offset(constant))
    }
}

impl std::ops::Neg for &Tensor {
    type Output = Tensor;

    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(self)
    }
}
