//! What formulas of updates compute with: the floats of the sessions, or numbers that carry their rounding error.
//!
//! A formula is written once. The CPU session runs it on floats; its bound is the same formula run on [`Tracked`] numbers,
//! each of whose operations adds what a device may be off by, and passes on what its operands are off by.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Real;
use super::UNIT;

/// What a formula may do with numbers.
pub(crate) trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// A constant.
    fn constant(value: f64) -> Self;

    /// The number itself, to decide by.
    fn decides(self) -> f64;

    /// √x.
    fn root(self) -> Self;

    /// |x|.
    fn magnitude(self) -> Self;

    /// The larger of two, or a NaN.
    fn larger(self, other: Self) -> Self;

    /// The smaller of two, or a NaN.
    fn smaller(self, other: Self) -> Self;

    /// −1, 0 or 1; a NaN stays one.
    fn sign(self) -> Self;

    /// x^exponent for x ≥ 0.
    fn to_the(self, exponent: f64) -> Self;

    /// Between −limit and limit; a NaN stays one.
    #[inline(always)]
    fn limited(self, limit: f64) -> Self {
        let limit = Self::constant(limit);
        self.smaller(limit).larger(-limit)
    }
}

impl<T: Real> Number for T {
    #[inline(always)]
    fn constant(value: f64) -> Self {
        T::of(value)
    }

    #[inline(always)]
    fn decides(self) -> f64 {
        self.double()
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn magnitude(self) -> Self {
        self.abs()
    }

    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other || self.is_nan() {
            self
        } else {
            other
        }
    }

    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        if self < other || self.is_nan() {
            self
        } else {
            other
        }
    }

    #[inline(always)]
    fn sign(self) -> Self {
        if self > T::zero() {
            T::one()
        } else if self < T::zero() {
            -T::one()
        } else {
            // Zero, or NaN.
            self
        }
    }

    #[inline(always)]
    fn to_the(self, exponent: f64) -> Self {
        if exponent == 0.5 {
            return self.sqrt();
        }
        self.powf(T::of(exponent))
    }
}

/// A number of the reference with the largest distance that a device's may have from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tracked {
    pub value: f64,
    pub error: f64,
}

/// What is flushed to zero where a device does not keep the smallest numbers.
const FLUSHED: f64 = 1.2e-38;

impl Tracked {
    /// A number that the device has too.
    pub fn exact(value: f64) -> Self {
        Tracked { value, error: 0.0 }
    }

    /// A result whose operands bring `error`, with `units` of rounding.
    fn rounded(value: f64, error: f64, units: f64) -> Self {
        Tracked {
            value,
            error: error * (1.0 + 8.0 * UNIT) + 1.01 * units * UNIT * value.abs() + FLUSHED,
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
            error: self.error,
        }
    }
}

impl Number for Tracked {
    fn constant(value: f64) -> Self {
        let error = (value - f64::from(value as f32)).abs();
        Tracked { value, error }
    }

    fn decides(self) -> f64 {
        self.value
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
        Tracked {
            value: Number::larger(self.value, other.value),
            error: self.error.max(other.error),
        }
    }

    fn smaller(self, other: Self) -> Self {
        Tracked {
            value: Number::smaller(self.value, other.value),
            error: self.error.max(other.error),
        }
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
        if self.value <= 0.0 {
            return Tracked {
                value,
                error: self.error.powf(exponent.abs()),
            };
        }
        let log = self.value.log2();
        let log_error = 8.0 * UNIT + 6.0 * UNIT * log.abs() + 1.45 * self.error / self.value;
        let y = (exponent * log).abs();
        let error = value * (0.7 * exponent.abs() * log_error + UNIT * (y + 6.0 + 4.0 * y));
        Self::rounded(value, error, 1.0)
    }
}
