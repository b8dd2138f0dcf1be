//! Numbers that carry their rounding error: a formula that is run on them says how far a device may be off.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::UNIT;
use super::operations::{self, Number};

/// What is flushed to zero where a device does not keep the smallest numbers.
const FLUSHED: f64 = 1.2e-38;

/// A number of the reference with the largest distance that a device's may have from it.
///
/// Each operation adds what WGSL, or a function of `shaders/`, may be off by, and passes on what its operands are off by.
#[derive(Debug, Clone, Copy)]
pub struct Tracked {
    /// The reference's number.
    pub value: f64,
    /// How far a device's may be from it.
    pub error: f64,
}

/// The outcome of a comparison of tracked numbers.
#[derive(Debug, Clone, Copy)]
pub struct TrackedTruth {
    /// What it is for the reference.
    holds: bool,
    /// Whether a device may find the contrary.
    open: bool,
}

impl Tracked {
    /// A number that the device has too.
    pub fn exact(value: f64) -> Self {
        Tracked { value, error: 0.0 }
    }

    /// A result whose operands bring `error`, with `units` of rounding, two of which are a unit in the last place.
    pub(super) fn rounded(value: f64, error: f64, units: f64) -> Self {
        // Not 0·∞ where a power has faded.
        let rounding = if value == 0.0 {
            0.0
        } else {
            1.01 * units * UNIT * value.abs()
        };
        Tracked {
            value,
            error: error * (1.0 + 8.0 * UNIT) + rounding + FLUSHED,
        }
    }

    /// f(x) = `value` with `units` of rounding, where |f′| is at most `steepest` within the error of x.
    fn of_slope(self, value: f64, steepest: f64, units: f64) -> Self {
        let passed = if self.error == 0.0 {
            0.0
        } else {
            steepest * self.error
        };
        Self::rounded(value, passed, units)
    }

    /// The least magnitude that a device's number may have.
    fn least(self) -> f64 {
        (self.value.abs() - self.error).max(0.0)
    }

    /// The larger or the smaller of two: the error is that of the one which it is, where that is sure.
    fn one_of(self, other: Self, value: f64) -> Self {
        let sure = (self.value - other.value).abs() > self.error + other.error;
        let error = if !sure {
            self.error.max(other.error)
        } else if value == self.value {
            self.error
        } else {
            other.error
        };
        Tracked { value, error }
    }

    /// A sine: the series' error, and beyond some thousand turns that of the angle, neither of which shrinks with the sine.
    fn turned(self, sine: impl Fn(f64) -> f64) -> Self {
        let own = 2.0 * UNIT * (4.0 + self.value.abs());
        Self::rounded(sine(self.value), own + self.error, 2.0)
    }

    /// Rounded to a whole number by `rounded`, which may be the next one where the error reaches over an end.
    fn whole(self, rounded: impl Fn(f64) -> f64) -> Self {
        let value = rounded(self.value);
        let ends =
            [self.value - self.error, self.value + self.error].map(|end| rounded(end) - value);
        Tracked {
            value,
            error: ends[0].abs().max(ends[1].abs()),
        }
    }
}

impl Add for Tracked {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::rounded(self.value + other.value, self.error + other.error, 1.0)
    }
}

impl Sub for Tracked {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::rounded(self.value - other.value, self.error + other.error, 1.0)
    }
}

impl Mul for Tracked {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let error = self.value.abs() * other.error
            + other.value.abs() * self.error
            + self.error * other.error;
        Self::rounded(self.value * other.value, error, 1.0)
    }
}

impl Div for Tracked {
    type Output = Self;

    /// WGSL allows a division 2.5 units in the last place.
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        let least = other.value.abs() - other.error;
        let error = if least > 0.0 {
            (self.error + value.abs() * other.error) / least
        } else if self.error == 0.0 && other.error == 0.0 {
            0.0
        } else {
            f64::INFINITY
        };
        Self::rounded(value, error, 5.0)
    }
}

impl Neg for Tracked {
    type Output = Self;

    fn neg(self) -> Self {
        Tracked {
            value: -self.value,
            ..self
        }
    }
}

impl Number for Tracked {
    type Truth = TrackedTruth;

    fn constant(value: f64) -> Self {
        let error = (value - f64::from(value as f32)).abs();
        Tracked { value, error }
    }

    fn given(value: f32) -> Self {
        Tracked::exact(f64::from(value))
    }

    fn is_less(self, other: Self) -> TrackedTruth {
        let error = self.error + other.error;
        TrackedTruth {
            holds: self.value < other.value,
            // An allowance for flushing alone leaves nothing open.
            open: error > 64.0 * FLUSHED && (self.value - other.value).abs() <= error,
        }
    }

    /// Either where the comparison is open.
    fn choose(truth: TrackedTruth, yes: Self, no: Self) -> Self {
        let (chosen, other) = if truth.holds { (yes, no) } else { (no, yes) };
        let error = if truth.open {
            let apart = (chosen.value - other.value).abs();
            chosen.error.max(apart + other.error)
        } else {
            chosen.error
        };
        Tracked { error, ..chosen }
    }

    fn keep_nan(self, result: Self) -> Self {
        if self.value.is_nan() { self } else { result }
    }

    /// |√a − √b| is at most |a − b|/√a and at most √|a − b|. WGSL's root is a division by an inverse root: 10 units.
    fn root(self) -> Self {
        let root = self.value.sqrt();
        let error = self.error.sqrt();
        let error = if root > 0.0 {
            error.min(self.error / root)
        } else {
            error
        };
        Self::rounded(root, error, 10.0)
    }

    fn magnitude(self) -> Self {
        Tracked {
            value: self.value.abs(),
            error: self.error,
        }
    }

    fn larger(self, other: Self) -> Self {
        self.one_of(other, Number::larger(self.value, other.value))
    }

    fn smaller(self, other: Self) -> Self {
        self.one_of(other, Number::smaller(self.value, other.value))
    }

    /// Either sign where the error leaves it open.
    fn sign(self) -> Self {
        let open = self.value.abs() <= self.error && self.error > 1e-36;
        Tracked {
            value: Number::sign(self.value),
            error: if open { 2.0 } else { 0.0 },
        }
    }

    /// 2^y with y = exponent·log2 x: the logarithm has 3 ulp, or 2⁻²¹ near 1; exp2 3 + 2|y| ulp.
    fn to_the(self, exponent: f64) -> Self {
        if exponent == 0.5 {
            return self.root();
        }
        let value = self.value.powf(exponent);
        let x = self.value.abs();
        if x == 0.0 {
            return Tracked {
                value,
                error: self.error.powf(exponent.abs()),
            };
        }
        let log = x.log2();
        let log_error = 8.0 * UNIT + 6.0 * UNIT * log.abs() + 1.45 * self.error / x;
        let y = (exponent * log).abs();
        let error = value.abs() * (0.7 * exponent.abs() * log_error + UNIT * (y + 6.0 + 4.0 * y));
        Self::rounded(value, error, 1.0)
    }

    /// WGSL allows e^x 3 + 2|x| units in the last place.
    fn power_of_e(self) -> Self {
        let value = self.value.exp();
        let passed = if self.error < 1.0 {
            value * self.error.exp_m1()
        } else {
            (self.value + self.error).exp() - value
        };
        Self::rounded(value, passed, 6.0 + 4.0 * self.value.abs())
    }

    /// Below ½ a series of nine terms, from there the difference.
    fn power_of_e_minus_one(self) -> Self {
        if self.value.abs() < 0.5 {
            let steepest = (self.value + self.error).exp();
            return self.of_slope(self.value.exp_m1(), steepest, 10.0);
        }
        self.power_of_e() - Self::constant(1.0)
    }

    /// Near 1 a series through [`log_of_one_plus`](Number::log_of_one_plus), elsewhere WGSL's 3 units in the last place.
    fn logarithm(self) -> Self {
        self.of_slope(self.value.ln(), 1.0 / self.least(), 16.0)
    }

    /// A quotient, and a series of seven terms whose first is twice the quotient.
    fn logarithm_of_one_plus(self) -> Self {
        let steepest = 1.0 / (1.0 + self.value - self.error).max(0.0);
        self.of_slope(self.value.ln_1p(), steepest, 16.0)
    }

    fn log_of_one_plus(self) -> Self {
        self.logarithm_of_one_plus()
    }

    /// t/(t + 2) with t = e^2|x| − 1: t's relative error counts by 2/(t + 2); then a sum, a division and a product.
    fn tangent(self) -> Self {
        let value = self.value.tanh();
        let twice = 2.0 * self.value.abs().min(15.0);
        let t = Tracked::exact(twice).power_of_e_minus_one();
        let units = if t.value > 0.0 {
            t.error / t.value / UNIT * 2.0 / (t.value + 2.0)
        } else {
            10.0
        };
        let steepest = 1.0 - self.least().tanh().powi(2);
        self.of_slope(value, steepest, units + 8.0)
    }

    /// Below ¾ a series of eight terms, from there 1 − erfc x.
    fn error_function(self) -> Self {
        let value = self.value.error_function();
        let units = if self.value.abs() < 0.75 {
            16.0
        } else {
            let complement = Tracked::exact(self.value.abs()).complement_of_erf();
            complement.error / UNIT + 1.0
        };
        let steepest = std::f64::consts::FRAC_2_SQRT_PI * (-self.least().powi(2)).exp();
        self.of_slope(value, steepest, units)
    }

    /// Ten steps of a polynomial in a quotient, and e^−x² with x² rounded.
    fn complement_of_erf(self) -> Self {
        let value = self.value.complement_of_erf();
        let square = self.value * self.value;
        // |erfc′/erfc| is below 2x + 1.2.
        let relative = (2.0 * self.value.abs() + 1.2) * self.error;
        let passed = if value == 0.0 {
            0.0
        } else {
            value * relative.min(700.0).exp_m1()
        };
        Self::rounded(value, passed, 32.0 + 5.0 * square)
    }

    fn sine(self) -> Self {
        self.turned(f64::sin)
    }

    fn cosine(self) -> Self {
        self.turned(f64::cos)
    }

    fn whole_below(self) -> Self {
        self.whole(f64::floor)
    }

    fn whole_above(self) -> Self {
        self.whole(f64::ceil)
    }

    fn nearest_whole(self) -> Self {
        self.whole(f64::round_ties_even)
    }

    /// The rounding is that of the formula; what the argument is off by counts by the slope σ·(1 − σ) ≤ ¼.
    fn logistic(self) -> Self {
        let own = operations::logistic(Tracked::exact(self.value));
        let steepest = (-self.least()).exp().min(0.25);
        Tracked {
            value: own.value,
            error: own.error + steepest * self.error,
        }
    }
}

#[cfg(test)]
mod tests;
