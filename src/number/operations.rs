//! The trait of what formulas are written over.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Half the distance between 1 and the next f32: the rounding error of one operation.
pub const UNIT: f64 = 1.0 / (1u64 << 24) as f64;

/// What a formula may do with numbers.
///
/// A formula is written once, generic over `Number`, and then runs
///
/// - on `f32` and `f64`: what the CPU session and the reference compute;
/// - on [`Tracked`](crate::op::Tracked) numbers, which carry their rounding error: how far a device may be off;
/// - on `Dual` numbers, which carry their slope: the derivative of the formula;
/// - on values of a graph, which record each step as a node: gradients of gradients.
///
/// So a formula does not branch on its numbers: it computes both sides and chooses, and what it does not choose may be
/// infinite or NaN. A formula's settings are plain numbers on which it may branch.
pub trait Number:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The outcome of a comparison: `bool` for floats.
    type Truth: Copy;

    /// A constant, rounded to the precision at hand.
    fn constant(value: f64) -> Self;

    /// A setting, which devices have with the same bits.
    fn given(value: f32) -> Self;

    /// Whether this number is below the other; not where either is a NaN.
    fn is_less(self, other: Self) -> Self::Truth;

    /// The first number where the comparison holds, else the second.
    fn choose(holds: Self::Truth, yes: Self, no: Self) -> Self;

    /// `result`, or this number where it is a NaN: for formulas that would lose it, because they choose.
    fn keep_nan(self, result: Self) -> Self;

    /// √x.
    fn root(self) -> Self;

    /// |x|.
    fn magnitude(self) -> Self;

    /// −1, 0 or 1; a NaN stays one.
    fn sign(self) -> Self;

    /// x^exponent; NaN for x < 0, unless the exponent is a whole number.
    fn to_the(self, exponent: f64) -> Self;

    /// e^x.
    fn power_of_e(self) -> Self;

    /// e^x − 1, accurate near 0.
    fn power_of_e_minus_one(self) -> Self;

    /// ln x.
    fn logarithm(self) -> Self;

    /// ln(1 + x) for any x, accurate near 0.
    fn logarithm_of_one_plus(self) -> Self;

    /// ln(1 + x) for 0 ≤ x ≤ 1, accurate near 0, in steps that vectorise.
    fn log_of_one_plus(self) -> Self;

    /// tanh x.
    fn tangent(self) -> Self;

    /// erf x = 2/√π·∫₀ˣ e^(−t²) dt.
    fn error_function(self) -> Self;

    /// erfc x = 1 − erf x for x ≥ 0, accurate where it is small.
    fn complement_of_erf(self) -> Self;

    /// The sine of x radians.
    fn sine(self) -> Self;

    /// The cosine of x radians.
    fn cosine(self) -> Self;

    /// The largest whole number that is not above x.
    fn whole_below(self) -> Self;

    /// The least whole number that is not below x.
    fn whole_above(self) -> Self;

    /// The nearest whole number, of two the even one.
    fn nearest_whole(self) -> Self;

    /// The larger of two, or a NaN.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        self.keep_nan(Self::choose(other.is_less(self), self, other))
    }

    /// The smaller of two, or a NaN.
    #[inline(always)]
    fn smaller(self, other: Self) -> Self {
        self.keep_nan(Self::choose(self.is_less(other), self, other))
    }

    /// σ(x) = 1/(1 + e^−x), without overflow on either side.
    #[inline(always)]
    fn logistic(self) -> Self {
        logistic(self)
    }

    /// ln(1 + e^x), without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        let bend = (-self.magnitude()).power_of_e().log_of_one_plus();
        let (zero, _) = zero_and_one::<Self>();
        Self::choose(self.is_less(zero), zero, self) + bend
    }

    /// The normal distribution Φ(x), accurate on the far left too.
    #[inline(always)]
    fn normal(self) -> Self {
        let (zero, one) = zero_and_one::<Self>();
        let scaled = self.magnitude() * Self::constant(std::f64::consts::FRAC_1_SQRT_2);
        let tail = Self::constant(0.5) * scaled.complement_of_erf();
        Self::choose(self.is_less(zero), tail, one - tail)
    }
}

/// x between −limit and limit; a NaN stays one.
#[inline(always)]
pub(crate) fn limited<N: Number>(x: N, limit: N) -> N {
    x.smaller(limit).larger(-limit)
}

#[inline(always)]
pub(super) fn zero_and_one<N: Number>() -> (N, N) {
    (N::constant(0.0), N::constant(1.0))
}

/// 1/(1 + e^−x) by e^−|x|.
#[inline(always)]
pub(super) fn logistic<N: Number>(x: N) -> N {
    let (zero, one) = zero_and_one::<N>();
    let power = (-x.magnitude()).power_of_e();
    N::choose(x.is_less(zero), power, one) / (one + power)
}
