//! Numbers that carry their slope: a formula that is run on them is differentiated.

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::operations::Number;

/// A number and its derivative by whatever the formula is differentiated by.
///
/// At a kink the derivative is that of the side which the formula chooses; that of |x| at 0 is 0.
#[derive(Debug, Clone, Copy)]
pub struct Dual<N> {
    /// The number.
    pub value: N,
    /// The derivative.
    pub slope: N,
}

impl<N: Number> Dual<N> {
    /// What a formula is differentiated by.
    pub fn variable(value: N) -> Self {
        Dual::new(value, one())
    }

    /// What has no part in the derivative.
    pub fn flat(value: N) -> Self {
        Dual::new(value, N::constant(0.0))
    }

    fn new(value: N, slope: N) -> Self {
        Dual { value, slope }
    }
}

fn one<N: Number>() -> N {
    N::constant(1.0)
}

/// height·e^(−steepness·x²).
fn bell<N: Number>(height: f64, steepness: f64, x: N) -> N {
    N::constant(height) * (N::constant(-steepness) * x * x).power_of_e()
}

/// 2/√π, and 1/√(2π): the heights of the slopes of erf and of the normal distribution.
const ERF: f64 = std::f64::consts::FRAC_2_SQRT_PI;
const NORMAL: f64 = 0.398_942_280_401_432_7;

macro_rules! arithmetic {
    ($($trait:ident $method:ident |$a:ident, $b:ident| $value:expr, |$y:ident| $slope:expr;)*) => {$(
        impl<N: Number> $trait for Dual<N> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, $b: Self) -> Self {
                let ($a, $y) = (self, { let $a = self; $value });
                Dual::new($y, $slope)
            }
        }
    )*};
}

arithmetic! {
    Add add |a, b| a.value + b.value, |_y| a.slope + b.slope;
    Sub sub |a, b| a.value - b.value, |_y| a.slope - b.slope;
    Mul mul |a, b| a.value * b.value, |_y| a.slope * b.value + a.value * b.slope;
    Div div |a, b| a.value / b.value, |y| (a.slope - y * b.slope) / b.value;
}

impl<N: Number> Neg for Dual<N> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Dual::new(-self.value, -self.slope)
    }
}

/// y = f(x) and f′ from x and y, by which the slope of x is multiplied.
macro_rules! functions {
    ($($name:ident |$x:ident, $y:ident| $slope:expr;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            let $x = self.value;
            let $y = $x.$name();
            Dual::new($y, $slope * self.slope)
        }
    )*};
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
        let slope = N::choose(holds, yes.slope, no.slope);
        Dual::new(N::choose(holds, yes.value, no.value), slope)
    }

    fn keep_nan(self, result: Self) -> Self {
        let slope = self.value.keep_nan(result.slope);
        Dual::new(self.value.keep_nan(result.value), slope)
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

    functions! {
        root |_x, y| N::constant(0.5) / y;
        magnitude |x, _y| x.sign();
        sign |_x, _y| N::constant(0.0);
        whole_below |_x, _y| N::constant(0.0);
        whole_above |_x, _y| N::constant(0.0);
        nearest_whole |_x, _y| N::constant(0.0);
        power_of_e |_x, y| y;
        power_of_e_minus_one |x, _y| x.power_of_e();
        logarithm |x, _y| one::<N>() / x;
        logarithm_of_one_plus |x, _y| one::<N>() / (one::<N>() + x);
        log_of_one_plus |x, _y| one::<N>() / (one::<N>() + x);
        tangent |_x, y| (one::<N>() - y * y);
        error_function |x, _y| bell(ERF, 1.0, x);
        complement_of_erf |x, _y| -bell(ERF, 1.0, x);
        sine |x, _y| x.cosine();
        cosine |x, _y| -x.sine();
        logistic |_x, y| (y * (one::<N>() - y));
        softplus |x, _y| x.logistic();
        normal |x, _y| bell(NORMAL, 0.5, x);
    }
}
