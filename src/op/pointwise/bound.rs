//! How far a device's f(x) and f′(x) may be from the reference's.
//!
//! WGSL allows e^x 3 + 2|x| units in the last place, a division 2.5, a square root some 4; the argument's own rounding adds
//! |x| to e^x. What a formula makes of these is argued at each function.

use crate::number::UNIT;

use super::Function::{self, *};

/// The largest |device − reference| of f(x) = y.
pub(in crate::op) fn rounding(function: Function, x: f64, y: f64) -> f64 {
    function.units(x) * (2.0 * UNIT * y.abs() + 1e-37) + function.absolute(x)
}

/// The largest |device − reference| of f′ computed from s, the saved input or output.
pub(super) fn slope_rounding(function: Function, s: f64) -> f64 {
    let slope: f64 = function.derivative(s);
    let (units, absolute) = function.slope_error(s);
    2.0 * UNIT * (units * slope.abs() + absolute) + units * 1e-37
}

impl Function {
    /// Units in the last place of y.
    fn units(self, x: f64) -> f64 {
        let exp = |x: f64| 3.0 + 3.0 * x.abs();
        match self {
            Sigmoid => exp(x) + 4.0,
            Tanh => 2.0 * 3.0 + 3.0 * (2.0 * x).abs().min(8.0) + 8.0,
            Exp => exp(x),
            // A quotient, and a series of seven terms whose first is twice the quotient.
            Log | Log1p => 8.0,
            Sqrt => 4.0,
            // Near 0 a series; e^x − 1 for x < −½ loses at most a bit and a half, and e^x fades.
            Elu { width, .. } => 16.0 + 3.0 * (x / f64::from(width)).abs().min(20.0),
            Expm1 => 16.0 + 3.0 * x.abs(),
            // Ten steps of a polynomial, a quotient, and e^−z² with z² = x²/2 rounded three times.
            Gelu => 20.0 + 2.5 * x * x,
            Erf => 16.0,
            // The sigmoid of 2u, which is rounded four times.
            GeluTanh => 12.0 + 7.0 * (1.6 * x + 0.072 * x * x * x).abs(),
            Silu(beta) => exp(f64::from(beta) * x) + 6.0,
            Softplus { beta, .. } => exp(f64::from(beta) * x) + 14.0,
            LogSigmoid => exp(x) + 12.0,
            // e^−|x| goes into sums of numbers of one sign and a quotient.
            Mish => exp(x) + 10.0,
            Softsign => 4.0,
            Rectify { .. } | SparsePlus => 3.0,
            Squareplus(_) => 10.0,
            Reciprocal => 3.0,
            Rsqrt => 7.0,
            // e^(p·ln|x|) with the logarithm's error and the product's.
            Power(exponent) => 4.0 + 12.0 * log_of_power(exponent, x),
            HardSilu { .. } => 2.0,
            _ => 1.0,
        }
    }

    /// An error that does not shrink with y.
    fn absolute(self, x: f64) -> f64 {
        2.0 * UNIT
            * match self {
                // What is subtracted from x has an error of its own.
                TanhShrink => Tanh.units(x) * x.abs().min(1.0),
                HardSigmoid { slope, offset } => straight_error(slope, offset, x),
                HardSilu { slope, offset } => x.abs() * straight_error(slope, offset, x),
                Sin | Cos => angle_error(x),
                _ => 0.0,
            }
    }

    /// Units in the last place of f′, and an error in units of 2⁻²³ that does not shrink with it.
    fn slope_error(self, s: f64) -> (f64, f64) {
        match self {
            // s(1 − s) or 1 − s²: one rounding of a number up to 1, then the product.
            Sigmoid | Tanh => (5.0, 1.0),
            Log | Sqrt | Square | Reciprocal => (6.0, 0.0),
            // Sums of terms of order 1, each with the relative error of e^−z at z: 6·z²·e^−z is below 4.
            Gelu | GeluTanh | Silu(_) | Mish => (8.0, 24.0),
            Elu { width, .. } => {
                let x = (s / f64::from(width)).abs();
                (8.0 + 4.0 * x, 0.0)
            }
            Softplus { beta, .. } => (8.0 + 4.0 * (f64::from(beta) * s).abs(), 0.0),
            LogSigmoid => (8.0 + 4.0 * s.abs(), 0.0),
            Softsign => (8.0, 0.0),
            TanhShrink => (2.0 * Tanh.units(s) + 1.0, 0.0),
            HardSigmoid { slope, offset } => {
                (1.0, jump(f64::from(slope), straight_end(slope, offset, s)))
            }
            HardSilu { slope, offset } => {
                let far = straight_end(slope, offset, s);
                let sum = 2.0 * (1.0 + f64::from(offset).abs());
                (2.0, sum + jump(f64::from(slope) * s, far))
            }
            Squareplus(_) => (14.0, 0.0),
            SparsePlus => (2.0, 1.0),
            Erf => (5.0 + 4.0 * s * s, 0.0),
            Sin | Cos => (1.0, angle_error(s)),
            Rsqrt => (10.0, 0.0),
            Log1p => (4.0, 0.0),
            Expm1 => (3.0 + 3.0 * s.abs(), 0.0),
            Power(exponent) => (6.0 + 12.0 * log_of_power(exponent - 1.0, s), 0.0),
            _ => (2.0, 0.0),
        }
    }
}

fn log_of_power(exponent: f32, x: f64) -> f64 {
    let log = f64::from(exponent) * x.abs().max(1e-45).ln();
    log.abs().min(200.0)
}

/// The error of slope·x + offset between 0 and 1, in units of 2⁻²³: two roundings of numbers up to |offset| + 1.
fn straight_error(slope: f32, offset: f32, x: f64) -> f64 {
    let offset = f64::from(offset).abs();
    let product = (f64::from(slope) * x).abs().min(offset + 2.0);
    product + offset
}

/// How far slope·x + offset is from the next end, 0 or 1, in units of its error.
fn straight_end(slope: f32, offset: f32, x: f64) -> f64 {
    let straight = f64::from(slope) * x + f64::from(offset);
    let end = straight.abs().min((straight - 1.0).abs());
    end / (2.0 * UNIT * straight_error(slope, offset, x) + 1e-37)
}

/// Where rounding decides on which side of an end a number lies, f′ may be what it is on the other, in units of 2⁻²³.
fn jump(height: f64, far: f64) -> f64 {
    if far <= 1.0 {
        height.abs() / (2.0 * UNIT)
    } else {
        0.0
    }
}

/// The error of a sine in units of 2⁻²³: that of the series, and beyond some thousand turns that of the angle.
fn angle_error(x: f64) -> f64 {
    4.0 + x.abs()
}
