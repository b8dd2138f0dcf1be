//! Smooth functions that networks have between their layers.

use crate::number::{Number, limited};
use crate::op::pointwise::unary::{Allowed, Setting, Settings, Tried, UnaryFunction};

use super::entry::unary;
use super::{one, zero};

/// √(2/π), and the factor of x³, of GELU's approximation.
const ROOT: f64 = 0.797_884_560_802_865_4;
const CUBIC: f64 = 0.044_715;

/// 1/√(2π): the normal density at 0.
const NORMAL: f64 = 0.398_942_280_401_432_7;

/// x on the left of 0, else 0: so that e^x does not overflow where it is not chosen.
#[inline(always)]
fn left<N: Number>(x: N) -> N {
    N::choose(zero::<N>().is_less(x), zero(), x)
}

/// 2u of GELU's approximation, and its derivative.
#[inline(always)]
fn twice_u<N: Number>(x: N) -> (N, N) {
    let square = N::constant(CUBIC) * (x * x);
    let root = N::constant(2.0 * ROOT);
    (
        root * (x + square * x),
        root * (one::<N>() + N::constant(3.0) * square),
    )
}

/// t = tanh(ln(1 + e^x)) and 1 − t, neither by a difference: with e = e^−|x| both are ratios of polynomials in e.
/// And σ(x).
#[inline(always)]
fn mish_parts<N: Number>(x: N) -> (N, N, N) {
    let (below, two) = (x.is_less(zero()), N::constant(2.0));
    let e = N::choose(below, x, -x).power_of_e();
    let above = N::choose(below, e * (e + two), one::<N>() + two * e);
    let rest = N::choose(below, two, two * e * e);
    let share = N::choose(below, e, one()) / (one::<N>() + e);
    (above / (above + rest), rest / (above + rest), share)
}

/// √(x² + b), |x| where the square is beyond all b; and (x + root)/2 as max(x, 0) + b/(2·(|x| + root)), without a
/// difference.
#[inline(always)]
fn squareplus_parts<N: Number>(x: N, b: N) -> (N, N) {
    let below = x.is_less(zero());
    let magnitude = N::choose(below, -x, x);
    let far = N::constant(1e18).is_less(magnitude);
    let near = N::choose(far, zero(), x);
    let root = N::choose(far, magnitude, (near * near + b).root());
    let sum = N::choose(below, zero(), x) + N::constant(0.5) * b / (magnitude + root);
    (root, N::choose(zero::<N>().is_less(root), sum, root))
}

unary! {
    Sigmoid "sigmoid" tried Tried { saved: Some((-1.0, 1.0)), ..Tried::default() };
    |x| x.logistic();
    |y| y * (one::<N>() - y);
    {
        const ENDS_LAYERS: bool = true;

        fn saves_output(_: Settings) -> bool {
            true
        }
    }

    Tanh "tanh" tried Tried { saved: Some((-1.0, 1.0)), ..Tried::default() };
    |x| x.tangent();
    |y| one::<N>() - y * y;
    {
        const ENDS_LAYERS: bool = true;

        fn saves_output(_: Settings) -> bool {
            true
        }
    }

    /// scale·x for x > 0, scale·alpha·(e^(x/width) − 1) below: ELU, SELU and CELU. Its derivative at 0 is that from below.
    Elu "elu" [alpha: Finite = 1.0, scale: Finite = 1.0, width: AboveZero = 1.0]
        tried Tried::of(&[[0.7, 1.0, 1.0], [1.673_263_2, 1.050_701, 1.0], [2.0, 1.0, 2.0]]);
    |x| {
        let below = alpha * (left(x) / width).power_of_e_minus_one();
        scale * N::choose(zero::<N>().is_less(x), x, below)
    };
    |x| {
        let below = alpha / width * (left(x) / width).power_of_e();
        scale * N::choose(zero::<N>().is_less(x), one(), below)
    };

    /// x·Φ(x) with the normal distribution Φ(x) = ½·erfc(−x/√2) (Hendrycks, Gimpel 2016).
    Gelu "gelu" tried Tried::far_out();
    |x| x * x.normal();
    |x| x.normal() + x * (N::constant(NORMAL) * (N::constant(-0.5) * x * x).power_of_e());

    GeluTanh "gelu_tanh" tried Tried::far_out();
    |x| x * twice_u(x).0.logistic();
    |x| {
        // Beyond 12 σ is 0 or 1 and the second term below the least number; x³ would overflow in it.
        let near = limited(x, N::constant(12.0));
        let (u, du) = twice_u(near);
        u.logistic() + near * du * u.logistic() * (-u).logistic()
    };

    /// x·σ(beta·x): SiLU for beta 1, else swish (Ramachandran, Zoph, Le 2017).
    Silu "silu" [beta: Finite = 1.0]
        tried Tried { settings: &[[1.0, 0.0, 0.0], [0.7, 0.0, 0.0]], ..Tried::far_out() };
    |x| x * (beta * x).logistic();
    |x| {
        let scaled = beta * x;
        let share = scaled.logistic();
        share + scaled * share * (-scaled).logistic()
    };

    Softplus "softplus" [beta: AboveZero = 1.0, threshold: Any = f32::INFINITY]
        tried Tried { settings: &[[1.0, f32::INFINITY, 0.0], [0.5, 2.0, 0.0]], ..Tried::far_out() };
    |x| {
        let scaled = beta * x;
        N::choose(threshold.is_less(scaled), x, scaled.softplus() / beta)
    };
    |x| {
        let scaled = beta * x;
        N::choose(threshold.is_less(scaled), one(), scaled.logistic())
    };

    Softsign "softsign" tried Tried::far_out();
    |x| x / (one::<N>() + x.magnitude());
    |x| {
        let share = one::<N>() / (one::<N>() + x.magnitude());
        share * share
    };

    /// x·tanh(ln(1 + e^x)) (Misra 2019).
    Mish "mish" tried Tried::far_out();
    |x| x * mish_parts(x).0;
    |x| {
        let (t, rest, share) = mish_parts(x);
        t + x * rest * (one::<N>() + t) * share
    };

    LogSigmoid "log_sigmoid" tried Tried::far_out();
    |x| -(-x).softplus();
    |x| (-x).logistic();

    TanhShrink "tanh_shrink" tried Tried::far_out();
    |x| x - x.tangent();
    |x| x.tangent() * x.tangent();

    /// (x + √(x² + b))/2 (Barron 2021).
    Squareplus "squareplus" [b: AtLeastZero = 4.0] tried Tried::far_out();
    |x| x.keep_nan(squareplus_parts(x, b).1);
    |x| {
        let (root, sum) = squareplus_parts(x, b);
        // At 0, where b is 0 too, the mean of both sides.
        x.keep_nan(N::choose(zero::<N>().is_less(root), sum / root, N::constant(0.5)))
    };
}
