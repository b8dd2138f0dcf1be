//! Kiln's own functions of one number, and the table of their names.
//!
//! A function costs an entry in one of these files, a line in the table below, and its value and slope in
//! `shaders/functions.wgsl`. Derivatives at kinks are those of Keras 3's activations but for SELU's and CELU's at 0: there
//! they are those from below, as ELU's in Keras and all three in PyTorch.

mod arithmetic;
mod bends;
mod curves;
mod entry;

pub(crate) use arithmetic::*;
pub(crate) use bends::*;
pub(crate) use curves::*;

use crate::number::Number;

use super::Tried;

#[inline(always)]
fn zero<N: Number>() -> N {
    N::constant(0.0)
}

#[inline(always)]
fn one<N: Number>() -> N {
    N::constant(1.0)
}

/// Differences say nothing about the slope of a function that jumps.
fn jumping() -> Tried {
    Tried {
        jumps: |_| true,
        ..Tried::default()
    }
}

/// The table: a method of [`Tensor`](crate::Tensor) a line, with the function and its settings. The first part has what
/// are activations too, by their names in [`Activation`](crate::nn::Activation) and Keras' defaults.
macro_rules! functions {
    ($then:ident) => {
        $then! {{
            /// 1/(1 + e^−x).
            Sigmoid: sigmoid() = Sigmoid[];
            /// Hyperbolic tangent.
            Tanh: tanh() = Tanh[];
            /// max(x, 0); NaN stays NaN. Its derivative at 0 is 0.
            Relu: relu() = Relu[];
            /// min(max(x, 0), 6). Its derivative at 0 is 0, at 6 it is 1.
            Relu6: relu6() = Rectify[0.0, 0.0, 6.0];
            /// x for x ≥ 0 and `slope`·x below. Its derivative at 0 is the slope. The default of Keras' function is
            /// 0.2, of its layer 0.3, of PyTorch 0.01.
            LeakyRelu: leaky_relu(slope: f32 = 0.2) = LeakyRelu[slope];
            /// x for x > 0 and `alpha`·(e^x − 1) below; the default of `alpha` is 1. Its derivative at 0 is `alpha`.
            Elu: elu(alpha: f32 = 1.0) = Elu[alpha];
            /// 1.0507·x for x > 0, 1.7581·(e^x − 1) below (Klambauer and others 2017). Its derivative at
            /// 0 is that from below, as in PyTorch; Keras takes the one from above.
            Selu: selu() = Elu[1.673_263_2, 1.050_701];
            /// x for x > 0 and `alpha`·(e^(x/`alpha`) − 1) below; the default of `alpha` is 1. Its derivative at 0 is
            /// 1, as in PyTorch; Keras 3 adds both sides up to 2.
            Celu: celu(alpha: f32 = 1.0) = Elu[alpha, 1.0, alpha];
            /// x·Φ(x) with the normal distribution Φ; accurate on the far left too.
            Gelu: gelu() = Gelu[];
            /// ½x·(1 + tanh(√(2/π)·(x + 0.044715·x³))): GELU's older approximation, Keras' and PyTorch's `gelu` with
            /// `approximate`.
            GeluTanh: gelu_tanh() = GeluTanh[];
            /// x·σ(x); also called swish.
            Silu: silu() = Silu[];
            /// ln(1 + e^x), without overflow.
            Softplus: softplus() = Softplus[];
            /// x/(1 + |x|).
            Softsign: softsign() = Softsign[];
            /// x·tanh(ln(1 + e^x)).
            Mish: mish() = Mish[];
            /// x/6 + ½ between 0 and 1, as in Keras 3 and PyTorch.
            HardSigmoid: hard_sigmoid() = HardSigmoid[];
            /// x·hard_sigmoid(x); also called hard swish.
            HardSilu: hard_silu() = HardSilu[];
            /// x, no less than −1 and no more than 1. Its derivative at both ends is 1, as in Keras; in PyTorch 0.
            HardTanh: hard_tanh() = Clamp[];
            /// ln σ(x), without overflow.
            LogSigmoid: log_sigmoid() = LogSigmoid[];
            /// e^x.
            Exponential named "exponential": exp() = Exp[];
            /// x − tanh x.
            TanhShrink: tanh_shrink() = TanhShrink[];
            /// x moved by `lambda` towards 0, which it does not pass; Keras' default for `lambda` is 0.5.
            SoftShrink: soft_shrink(lambda: f32 = 0.5) = Shrink[lambda, lambda];
            /// 0 for |x| ≤ `lambda`, else x; Keras' default for `lambda` is 0.5.
            HardShrink: hard_shrink(lambda: f32 = 0.5) = Shrink[lambda, 0.0];
            /// (x + √(x² + `b`))/2; Keras' default for `b` is 4.
            Squareplus: squareplus(b: f32 = 4.0) = Squareplus[b];
            /// 0 for x ≤ −1, ¼(x + 1)² up to 1, x from there.
            SparsePlus: sparse_plus() = SparsePlus[];
            /// ½(x + 1) between 0 and 1.
            SparseSigmoid: sparse_sigmoid() = HardSigmoid[0.5, 0.5];
        } {
            /// min(x, `max`) for x > `threshold` and `slope`·(x − `threshold`) below: Keras' ReLU with all its
            /// settings. `max` is infinity for none. Its derivative at the threshold is 0, at `max` it is 1.
            rectify(slope: f32, threshold: f32, max: f32) = Rectify[slope, threshold, max];
            /// x·σ(`beta`·x).
            swish(beta: f32) = Silu[beta];
            /// x, no less than `low` and no more than `high`; infinities for none. Its derivative at both ends is 1.
            clamp(low: f32, high: f32) = Clamp[low, high];
            /// x for x > `threshold`, else `value`. Its derivative at the threshold is 0.
            threshold(threshold: f32, value: f32) = Threshold[threshold, value];
            /// e^x − 1, accurate near 0.
            expm1() = Expm1[];
            /// Natural logarithm.
            log() = Log[];
            /// ln(1 + x), accurate near 0.
            log1p() = Log1p[];
            /// √x.
            sqrt() = Sqrt[];
            /// 1/√x.
            rsqrt() = Rsqrt[];
            /// 1/x.
            reciprocal() = Reciprocal[];
            /// x².
            square() = Square[];
            /// `factor`·x.
            scale(factor: f32) = Scale[factor];
            /// x + `constant`.
            offset(constant: f32) = Offset[constant];
            /// |x|. Its derivative at 0 is 0.
            abs() = Abs[];
            /// −1, 0 or 1. Its derivative is 0.
            sign() = Sign[];
            /// −x; also the operator `-`.
            neg() = Neg[];
            /// erf x.
            erf() = Erf[];
            /// Sine of angles in radians; accurate to some 10⁻⁶ + |x|·10⁻⁷.
            sin() = Sin[];
            /// Cosine of angles in radians; accurate as the sine.
            cos() = Cos[];
            /// The largest whole number that is not above x. Its derivative is 0.
            floor() = Floor[];
            /// The least whole number that is not below x. Its derivative is 0.
            ceil() = Ceil[];
            /// The nearest whole number, of two the even one. Its derivative is 0.
            round() = Round[];
        }}
    };
}
pub(crate) use functions;
