//! Smooth functions that networks have between their layers.

use crate::number::Number;
use crate::op::pointwise::unary::{Allowed, Setting, Settings, Tried, UnaryFunction};

use super::zero_and_one;

/// √(2/π), and the factor of x³, of GELU's approximation.
const ROOT: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044_715;

/// 1/√(2π): the normal density at 0.
const NORMAL: f64 = 0.398_942_280_401_432_7;

/// Functions whose formulas would overflow where they have a limit are tried far out too.
fn far_out() -> Tried {
    Tried {
        huge: true,
        ..Tried::default()
    }
}

/// 1/(1 + e^−x).
pub struct Sigmoid;

impl UnaryFunction for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const BACKWARD: &'static str = "sigmoid.backward";
    const ENDS_LAYERS: bool = true;

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x.logistic()
    }

    #[inline(always)]
    fn slope<N: Number>(y: N, _: Settings) -> N {
        y * (N::constant(1.0) - y)
    }

    fn saves_output(_: Settings) -> bool {
        true
    }

    fn tried() -> Tried {
        Tried {
            saved: Some((-1.0, 1.0)),
            ..Tried::default()
        }
    }
}

/// (e^x − e^−x)/(e^x + e^−x).
pub struct Tanh;

impl UnaryFunction for Tanh {
    const NAME: &'static str = "tanh";
    const BACKWARD: &'static str = "tanh.backward";
    const ENDS_LAYERS: bool = true;

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x.tangent()
    }

    #[inline(always)]
    fn slope<N: Number>(y: N, _: Settings) -> N {
        N::constant(1.0) - y * y
    }

    fn saves_output(_: Settings) -> bool {
        true
    }

    fn tried() -> Tried {
        Tried {
            saved: Some((-1.0, 1.0)),
            ..Tried::default()
        }
    }
}

/// scale·x for x > 0, scale·alpha·(e^(x/width) − 1) below: ELU, SELU and CELU. Its derivative at 0 is that from below.
pub struct Elu;

/// x on the left of 0, else 0: so that e^x does not overflow where it is not chosen.
#[inline(always)]
fn left<N: Number>(x: N) -> N {
    let (zero, _) = zero_and_one::<N>();
    N::choose(zero.is_less(x), zero, x)
}

impl UnaryFunction for Elu {
    const NAME: &'static str = "elu";
    const SETTINGS: &'static [Setting] = &[
        Setting::new("alpha", 1.0, Allowed::Finite),
        Setting::new("scale", 1.0, Allowed::Finite),
        Setting::new("width", 1.0, Allowed::AboveZero),
    ];

    #[inline(always)]
    fn value<N: Number>(x: N, [alpha, scale, width]: Settings) -> N {
        let below = N::given(alpha) * (left(x) / N::given(width)).power_of_e_minus_one();
        N::given(scale) * N::choose(N::constant(0.0).is_less(x), x, below)
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [alpha, scale, width]: Settings) -> N {
        let (zero, one) = zero_and_one::<N>();
        let width = N::given(width);
        let below = N::given(alpha) / width * (left(x) / width).power_of_e();
        N::given(scale) * N::choose(zero.is_less(x), one, below)
    }

    fn tried() -> Tried {
        Tried {
            settings: &[
                [0.7, 1.0, 1.0],
                [1.673_263_2, 1.050_701, 1.0],
                [2.0, 1.0, 2.0],
            ],
            ..Tried::default()
        }
    }
}

/// x·Φ(x) with the normal distribution Φ(x) = ½·erfc(−x/√2) (Hendrycks, Gimpel 2016).
pub struct Gelu;

impl UnaryFunction for Gelu {
    const NAME: &'static str = "gelu";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x * x.normal()
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        let density = N::constant(NORMAL) * (N::constant(-0.5) * x * x).power_of_e();
        x.normal() + x * density
    }

    fn tried() -> Tried {
        far_out()
    }
}

/// x·σ(2u) with u = √(2/π)·(x + 0.044715·x³): GELU's approximation, ½x·(1 + tanh u).
pub struct GeluTanh;

/// 2u of GELU's approximation, and its derivative.
#[inline(always)]
fn twice_u<N: Number>(x: N) -> (N, N) {
    let square = N::constant(CUBIC) * (x * x);
    let root = N::constant(2.0 * ROOT);
    let steepness = N::constant(1.0) + N::constant(3.0) * square;
    (root * (x + square * x), root * steepness)
}

impl UnaryFunction for GeluTanh {
    const NAME: &'static str = "gelu_tanh";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x * twice_u(x).0.logistic()
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        // Beyond 12 σ is 0 or 1 and the second term below the least number; x³ would overflow in it.
        let near = x.limited(12.0);
        let (u, du) = twice_u(near);
        u.logistic() + near * du * u.logistic() * (-u).logistic()
    }

    fn tried() -> Tried {
        far_out()
    }
}

/// x·σ(beta·x): SiLU for beta 1, else swish (Ramachandran, Zoph, Le 2017).
pub struct Silu;

impl UnaryFunction for Silu {
    const NAME: &'static str = "silu";
    const SETTINGS: &'static [Setting] = &[Setting::new("beta", 1.0, Allowed::Finite)];

    #[inline(always)]
    fn value<N: Number>(x: N, [beta, ..]: Settings) -> N {
        x * (N::given(beta) * x).logistic()
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [beta, ..]: Settings) -> N {
        // Beyond 150 σ is 0 or 1, and the second term 0.
        let scaled = (N::given(beta) * x).limited(150.0);
        let share = scaled.logistic();
        share + scaled * share * (-scaled).logistic()
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[1.0, 0.0, 0.0], [1.7, 0.0, 0.0]],
            ..far_out()
        }
    }
}

/// ln(1 + e^(beta·x))/beta, and x where beta·x is beyond the threshold.
pub struct Softplus;

impl UnaryFunction for Softplus {
    const NAME: &'static str = "softplus";
    const SETTINGS: &'static [Setting] = &[
        Setting::new("beta", 1.0, Allowed::AboveZero),
        Setting::new("threshold", f32::INFINITY, Allowed::Any),
    ];

    #[inline(always)]
    fn value<N: Number>(x: N, [beta, threshold, _]: Settings) -> N {
        let scaled = N::given(beta) * x;
        let curve = scaled.softplus() / N::given(beta);
        N::choose(N::given(threshold).is_less(scaled), x, curve)
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [beta, threshold, _]: Settings) -> N {
        let scaled = N::given(beta) * x;
        let beyond = N::given(threshold).is_less(scaled);
        N::choose(beyond, N::constant(1.0), scaled.logistic())
    }

    fn tried() -> Tried {
        Tried {
            settings: &[[1.0, f32::INFINITY, 0.0], [0.5, 2.0, 0.0]],
            jumps: |[_, threshold, _]| threshold.is_finite() && threshold > 20.0,
            ..far_out()
        }
    }
}

/// x/(1 + |x|).
pub struct Softsign;

impl UnaryFunction for Softsign {
    const NAME: &'static str = "softsign";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x / (N::constant(1.0) + x.magnitude())
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        let share = N::constant(1.0) / (N::constant(1.0) + x.magnitude());
        share * share
    }

    fn tried() -> Tried {
        far_out()
    }
}

/// x·tanh(ln(1 + e^x)) (Misra 2019).
pub struct Mish;

/// t = tanh(ln(1 + e^x)) and 1 − t, neither by a difference: with e = e^−|x| both are ratios of polynomials in e.
/// And σ(x).
#[inline(always)]
fn mish_parts<N: Number>(x: N) -> (N, N, N) {
    let (zero, one) = zero_and_one::<N>();
    let two = N::constant(2.0);
    let below = x.is_less(zero);
    let e = N::choose(below, x, -x).power_of_e();
    let above = N::choose(below, e * (e + two), one + two * e);
    let rest = N::choose(below, two, two * e * e);
    let share = N::choose(below, e, one) / (one + e);
    (above / (above + rest), rest / (above + rest), share)
}

impl UnaryFunction for Mish {
    const NAME: &'static str = "mish";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x * mish_parts(x).0
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        let (t, rest, share) = mish_parts(x);
        t + x * rest * (N::constant(1.0) + t) * share
    }

    fn tried() -> Tried {
        far_out()
    }
}

/// ln σ(x).
pub struct LogSigmoid;

impl UnaryFunction for LogSigmoid {
    const NAME: &'static str = "log_sigmoid";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        -(-x).softplus()
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        (-x).logistic()
    }

    fn tried() -> Tried {
        far_out()
    }
}

/// x − tanh x.
pub struct TanhShrink;

impl UnaryFunction for TanhShrink {
    const NAME: &'static str = "tanh_shrink";

    #[inline(always)]
    fn value<N: Number>(x: N, _: Settings) -> N {
        x - x.tangent()
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, _: Settings) -> N {
        let t = x.tangent();
        t * t
    }

    fn tried() -> Tried {
        far_out()
    }
}

/// (x + √(x² + b))/2 (Barron 2021).
pub struct Squareplus;

/// √(x² + b), |x| where the square is beyond all b; and (x + root)/2 as max(x, 0) + b/(2·(|x| + root)), without a
/// difference.
#[inline(always)]
fn squareplus_parts<N: Number>(x: N, b: f32) -> (N, N) {
    let (zero, _) = zero_and_one::<N>();
    let below = x.is_less(zero);
    let magnitude = N::choose(below, -x, x);
    let far = N::constant(1e18).is_less(magnitude);
    let near = N::choose(far, zero, x);
    let root = N::choose(far, magnitude, (near * near + N::given(b)).root());
    let bend = N::constant(0.5) * N::given(b) / (magnitude + root);
    let sum = N::choose(below, zero, x) + bend;
    (root, N::choose(zero.is_less(root), sum, root))
}

impl UnaryFunction for Squareplus {
    const NAME: &'static str = "squareplus";
    const SETTINGS: &'static [Setting] = &[Setting::new("b", 4.0, Allowed::AtLeastZero)];

    #[inline(always)]
    fn value<N: Number>(x: N, [b, ..]: Settings) -> N {
        x.keep_nan(squareplus_parts(x, b).1)
    }

    #[inline(always)]
    fn slope<N: Number>(x: N, [b, ..]: Settings) -> N {
        let (root, sum) = squareplus_parts(x, b);
        // At 0, where b is 0 too, the mean of both sides.
        let share = N::choose(N::constant(0.0).is_less(root), sum / root, N::constant(0.5));
        x.keep_nan(share)
    }

    fn tried() -> Tried {
        far_out()
    }
}
