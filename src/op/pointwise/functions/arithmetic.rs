//! Arithmetic, powers, logarithms, the error function and angles.

use crate::number::Number;
use crate::op::pointwise::unary::{Allowed, Setting, Settings, Tried, UnaryFunction};

use super::entry::unary;
use super::one;

/// Between two numbers only.
fn within(low: f32, high: f32) -> Tried {
    Tried {
        range: (low, high),
        farthest: 0.0,
        ..Tried::default()
    }
}

unary! {
    Exp "exp" tried within(0.1, 6.0);
    |x| x.power_of_e();
    |y| y;
    {
        fn saves_output(_: Settings) -> bool {
            true
        }
    }

    Log "log" tried within(0.1, 6.0);
    |x| x.logarithm();
    |x| one::<N>() / x;

    Sqrt "sqrt" tried within(0.1, 6.0);
    |x| x.root();
    |y| N::constant(0.5) / y;
    {
        fn saves_output(_: Settings) -> bool {
            true
        }
    }

    Rsqrt "rsqrt" tried within(0.1, 6.0);
    |x| one::<N>() / x.root();
    |x| N::constant(-0.5) / (x * x.root());

    Log1p "log1p" tried within(-0.9, 6.0);
    |x| x.logarithm_of_one_plus();
    |x| one::<N>() / (one::<N>() + x);

    Reciprocal "reciprocal" tried within(0.2, 3.0);
    |x| one::<N>() / x;
    |x| -(one::<N>() / x) * (one::<N>() / x);

    Expm1 "expm1" tried Tried { farthest: 20.0, ..Tried::default() };
    |x| x.power_of_e_minus_one();
    |x| x.power_of_e();

    Square "square";
    |x| x * x;
    |x| N::constant(2.0) * x;

    Neg "neg";
    |x| -x;
    |_x| N::constant(-1.0);

    /// erf x = 2/√π·∫₀ˣ e^(−t²) dt.
    Erf "erf";
    |x| x.error_function();
    |x| N::constant(std::f64::consts::FRAC_2_SQRT_PI) * (-x * x).power_of_e();

    Sin "sin";
    |x| x.sine();
    |x| x.cosine();

    Cos "cos";
    |x| x.cosine();
    |x| -x.sine();

    Scale "scale" [factor: Unchecked = 1.0] tried Tried::of(&[[-1.5, 0.0, 0.0]]);
    |x| factor * x;
    |_x| factor;

    Offset "offset" [constant: Unchecked = 0.0] tried Tried::of(&[[0.75, 0.0, 0.0]]);
    |x| x + constant;
    |_x| one();
}

/// x^exponent; NaN for x < 0, unless the exponent is a whole number.
pub struct Power;

impl UnaryFunction for Power {
    const NAME: &'static str = "power";
    const SETTINGS: &'static [Setting] = &[Setting::new("exponent", 1.0, Allowed::Finite)];

    #[inline(always)]
    fn value<N: Number>(x: N, [exponent, ..]: Settings) -> N {
        x.keep_nan(x.to_the(f64::from(exponent)))
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [exponent, ..]: Settings) -> N {
        let power = x.to_the(f64::from(exponent) - 1.0);
        x.keep_nan(N::given(exponent) * power)
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[3.0, 0.0, 0.0], [4.0, 0.0, 0.0]],
            farthest: 20.0,
            also: &[[0.3, 0.0, 0.0], [-1.5, 0.0, 0.0], [2.5, 0.0, 0.0]],
            ..Tried::default()
        }
    }
}
