//! Numbers that carry their slope: a formula that is run on them is differentiated.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::operations::Number;

/// 1/√(2π): the normal density at 0.
const NORMAL: f64 = 0.398_942_280_401_432_7;

/// A number and its derivative by whatever the formula is differentiated by.
///
/// At a kink the derivative is that of the side which the formula chooses; that of |x| at 0 is 0.
#[derive(Debug, Clone, Copy)]
pub struct Dual<N> {
    /// The number.
    pub value: N,
    /// Its derivative.
    pub slope: N,
}

impl<N: Number> Dual<N> {
    /// What a formula is differentiated by.
    pub fn variable(value: N) -> Self {
        Dual {
            value,
            slope: N::constant(1.0),
        }
    }

    fn new(value: N, slope: N) -> Self {
        Dual { value, slope }
    }

    /// What has no part in the derivative.
    pub fn flat(value: N) -> Self {
        Dual::new(value, N::constant(0.0))
    }
}

impl<N: Number> Add for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Dual::new(self.value + other.value, self.slope + other.slope)
    }
}

impl<N: Number> Sub for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Dual::new(self.value - other.value, self.slope - other.slope)
    }
}

impl<N: Number> Mul for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let slope = self.slope * other.value + self.value * other.slope;
        Dual::new(self.value * other.value, slope)
    }
}

impl<N: Number> Div for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        Dual::new(value, (self.slope - value * other.slope) / other.value)
    }
}

impl<N: Number> Neg for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Dual::new(-self.value, -self.slope)
    }
}

impl<N: Number> Number for Dual<N> {
    type Truth = N::Truth;

    fn constant(value: f64) -> Self {
        Dual::flat(N::constant(value))
    }

    fn given(value: f32) -> Self {
        Dual::flat(N::given(value))
    }

    fn is_less(self, other: Self) -> N::Truth {
        self.value.is_less(other.value)
    }

    fn choose(holds: N::Truth, yes: Self, no: Self) -> Self {
        Dual::new(
            N::choose(holds, yes.value, no.value),
            N::choose(holds, yes.slope, no.slope),
        )
    }

    fn keep_nan(self, result: Self) -> Self {
        Dual::new(
            self.value.keep_nan(result.value),
            self.value.keep_nan(result.slope),
        )
    }

    fn root(self) -> Self {
        let root = self.value.root();
        Dual::new(root, N::constant(0.5) * self.slope / root)
    }

    fn magnitude(self) -> Self {
        Dual::new(self.value.magnitude(), self.value.sign() * self.slope)
    }

    fn sign(self) -> Self {
        Dual::flat(self.value.sign())
    }

    fn to_the(self, exponent: f64) -> Self {
        let value = self.value.to_the(exponent);
        if exponent == 0.0 {
            // Not 0·∞ at 0.
            return Dual::flat(value);
        }
        let steepness = N::constant(exponent) * self.value.to_the(exponent - 1.0);
        Dual::new(value, steepness * self.slope)
    }

    fn power_of_e(self) -> Self {
        let power = self.value.power_of_e();
        Dual::new(power, power * self.slope)
    }

    fn power_of_e_minus_one(self) -> Self {
        let power = self.value.power_of_e();
        Dual::new(self.value.power_of_e_minus_one(), power * self.slope)
    }

    fn logarithm(self) -> Self {
        Dual::new(self.value.logarithm(), self.slope / self.value)
    }

    fn logarithm_of_one_plus(self) -> Self {
        let slope = self.slope / (N::constant(1.0) + self.value);
        Dual::new(self.value.logarithm_of_one_plus(), slope)
    }

    fn log_of_one_plus(self) -> Self {
        let slope = self.slope / (N::constant(1.0) + self.value);
        Dual::new(self.value.log_of_one_plus(), slope)
    }

    fn tangent(self) -> Self {
        let t = self.value.tangent();
        Dual::new(t, (N::constant(1.0) - t * t) * self.slope)
    }

    fn error_function(self) -> Self {
        let density = N::constant(std::f64::consts::FRAC_2_SQRT_PI)
            * (-(self.value * self.value)).power_of_e();
        Dual::new(self.value.error_function(), density * self.slope)
    }

    fn complement_of_erf(self) -> Self {
        let density = N::constant(std::f64::consts::FRAC_2_SQRT_PI)
            * (-(self.value * self.value)).power_of_e();
        Dual::new(self.value.complement_of_erf(), -density * self.slope)
    }

    fn sine(self) -> Self {
        Dual::new(self.value.sine(), self.value.cosine() * self.slope)
    }

    fn cosine(self) -> Self {
        Dual::new(self.value.cosine(), -self.value.sine() * self.slope)
    }

    fn whole_below(self) -> Self {
        Dual::flat(self.value.whole_below())
    }

    fn whole_above(self) -> Self {
        Dual::flat(self.value.whole_above())
    }

    fn nearest_whole(self) -> Self {
        Dual::flat(self.value.nearest_whole())
    }

    fn logistic(self) -> Self {
        let share = self.value.logistic();
        let slope = share * (N::constant(1.0) - share);
        Dual::new(share, slope * self.slope)
    }

    fn softplus(self) -> Self {
        Dual::new(self.value.softplus(), self.value.logistic() * self.slope)
    }

    fn normal(self) -> Self {
        let exponent = N::constant(-0.5) * self.value * self.value;
        let density = N::constant(NORMAL) * exponent.power_of_e();
        Dual::new(self.value.normal(), density * self.slope)
    }
}
