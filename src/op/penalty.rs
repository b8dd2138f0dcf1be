//! Functions of a prediction and its target that are summed over a row: φ(y, t) and ∂φ/∂y.
//!
//! Formulas, clipping constants and slopes at kinks are those of Keras 3.15 on TensorFlow (`keras.losses`), written so
//! that small values keep their digits and large ones do not overflow. Each is written once, over [`Number`]: the CPU
//! session and the reference run it, a device's allowance is what it comes to on tracked numbers, and second gradients are
//! what it comes to on dual ones.

use crate::contract::Form;
use crate::number::Number;

use super::binary_cross_entropy::{inside, kept, minus_log};

/// Keras' epsilon: what keeps divisors and logarithms away from zero.
const EPSILON: f32 = 1e-7;

/// A function of a prediction y and its target t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Penalty {
    /// |y − t|; its slope at 0 is 0.
    Absolute,
    /// 100·|y − t|/max(|t|, 1e-7).
    AbsolutePercentage,
    /// (ln(1 + y) − ln(1 + t))², both y and t at least 1e-7.
    SquaredLogarithmic,
    /// ½(y − t)² up to a distance of δ, and from there on the straight line δ·|y − t| − ½δ².
    Huber(f32),
    /// ln cosh(y − t).
    LogCosh,
    /// max(1 − t·y, 0) with t = ±1, where 0 stands for −1; its slope at t·y = 1 is −t.
    Hinge,
    /// The square of [`Penalty::Hinge`].
    SquaredHinge,
    /// y − t·ln(y + 1e-7).
    Poisson,
    /// t·ln(t/y), both kept between 1e-7 and 1.
    KullbackLeibler,
    /// Binary cross-entropy times mᵞ, where m = t·(1 − p) + (1 − t)·p is the probability of the wrong answer.
    BinaryFocal {
        /// Whether y is a logit or a probability.
        form: Form,
        /// γ.
        gamma: f32,
        /// Factors for targets of 1 and of 0.
        weights: [f32; 2],
    },
    /// −t·y, where y is the logarithm of a probability; 0 where t is, though y be −∞.
    LogLikelihood,
    /// −α·t·(1 − y)ᵞ·ln y with y kept between 1e-7 and 1 − 1e-7.
    CategoricalFocal {
        /// α.
        alpha: f32,
        /// γ.
        gamma: f32,
    },
    /// (y − t)².
    Squared,
    /// −(t·ln p + (1 − t)·ln(1 − p)) for a probability or logit y.
    BinaryCrossEntropy(Form),
}

use Penalty::{
    Absolute, AbsolutePercentage, BinaryFocal, CategoricalFocal, Hinge, Huber, KullbackLeibler,
    LogCosh, LogLikelihood, Poisson, Squared, SquaredHinge, SquaredLogarithmic,
};

impl Penalty {
    /// The number of the function in the shader, and its constants.
    pub(super) fn code(self) -> (u32, [f32; 3]) {
        match self {
            Absolute => (0, [0.0; 3]),
            AbsolutePercentage => (1, [0.0; 3]),
            SquaredLogarithmic => (2, [0.0; 3]),
            Huber(delta) => (3, [delta, 0.0, 0.0]),
            LogCosh => (4, [0.0; 3]),
            Hinge => (5, [0.0; 3]),
            SquaredHinge => (6, [0.0; 3]),
            Poisson => (7, [0.0; 3]),
            KullbackLeibler => (8, [0.0; 3]),
            BinaryFocal {
                gamma,
                weights: [ones, zeros],
                ..
            } => (9, [gamma, ones, zeros]),
            CategoricalFocal { alpha, gamma } => (10, [gamma, alpha, 0.0]),
            LogLikelihood => (11, [0.0; 3]),
            Squared => (12, [0.0; 3]),
            Penalty::BinaryCrossEntropy(_) => (13, [0.0; 3]),
        }
    }

    /// Whether y is a logit, which only binary cross-entropies ask.
    pub(super) fn logits(self) -> bool {
        match self {
            BinaryFocal { form, .. } | Penalty::BinaryCrossEntropy(form) => form == Form::Logits,
            _ => false,
        }
    }

    /// Whether φ depends on y − t alone, so that ∂φ/∂t = −∂φ/∂y.
    pub(super) fn is_of_difference(self) -> bool {
        matches!(self, Absolute | Huber(_) | LogCosh | Squared)
    }

    /// φ(y, t).
    #[inline(always)]
    pub fn value<N: Number>(self, y: N, t: N) -> N {
        let (zero, one, half) = (N::constant(0.0), N::constant(1.0), N::constant(0.5));
        let difference = y - t;
        let distance = difference.magnitude();
        let value = match self {
            Absolute => distance,
            AbsolutePercentage => {
                N::constant(100.0) * (distance / t.magnitude().larger(N::given(EPSILON)))
            }
            SquaredLogarithmic => {
                let d = logarithms_apart(y, t);
                d * d
            }
            Huber(delta) => {
                let delta = N::given(delta);
                let far = delta * (distance - half * delta);
                N::choose(delta.is_less(distance), far, half * distance * distance)
            }
            LogCosh => {
                // cosh d = 1 + 2·sinh²(d/2), and 2·sinh²(d/2) = ½(eᵈ − 1)²·e⁻ᵈ.
                let close = distance.smaller(one);
                let above = close.power_of_e_minus_one();
                let near = half * above * above * (-close).power_of_e();
                let power = (-(distance + distance)).power_of_e();
                let far = power.log_of_one_plus() - N::constant(std::f64::consts::LN_2);
                let is_near = distance.is_less(one);
                N::choose(is_near, near.logarithm_of_one_plus(), distance + far)
            }
            Hinge => (one - side(t) * y).larger(zero),
            SquaredHinge => {
                let margin = (one - side(t) * y).larger(zero);
                margin * margin
            }
            Poisson => y - t * (y + N::given(EPSILON)).logarithm(),
            KullbackLeibler => {
                let (y, t) = (between(y), between(t));
                t * (t / y).logarithm()
            }
            BinaryFocal {
                form,
                gamma,
                weights,
            } => {
                let chance = Chance::of(form, y, t);
                let term = form.term(y, t);
                mixed(weights, t) * power(chance.wrong, gamma) * term
            }
            LogLikelihood => N::choose(zero.is_less(t.magnitude()), -(t * y), zero),
            CategoricalFocal { alpha, gamma } => {
                let p = kept(y);
                t * N::given(alpha) * power(one - p, gamma) * minus_log(p)
            }
            Squared => difference * difference,
            Penalty::BinaryCrossEntropy(form) => form.term(y, t),
        };
        y.keep_nan(t.keep_nan(value))
    }

    /// ∂φ/∂y.
    #[inline(always)]
    pub fn slope<N: Number>(self, y: N, t: N) -> N {
        let (zero, one, two) = (N::constant(0.0), N::constant(1.0), N::constant(2.0));
        let epsilon = N::given(EPSILON);
        let difference = y - t;
        let slope = match self {
            Absolute => difference.sign(),
            AbsolutePercentage => {
                difference.sign() * N::constant(100.0) / t.magnitude().larger(epsilon)
            }
            SquaredLogarithmic => {
                let slope = two * logarithms_apart(y, t) / (one + y);
                N::choose(y.is_less(epsilon), zero, slope)
            }
            Huber(delta) => difference.larger(-N::given(delta)).smaller(N::given(delta)),
            LogCosh => difference.tangent(),
            Hinge => N::choose((one - side(t) * y).is_less(zero), zero, -side(t)),
            SquaredHinge => -(two * side(t)) * (one - side(t) * y).larger(zero),
            Poisson => one - t / (y + epsilon),
            KullbackLeibler => {
                let below = N::choose(one.is_less(y), zero, -(between(t) / y));
                N::choose(y.is_less(epsilon), zero, below)
            }
            BinaryFocal {
                form,
                gamma,
                weights,
            } => {
                let (chance, cross) = (Chance::of(form, y, t), form);
                let own = power(chance.wrong, gamma) * cross.slope(y, t);
                let towards = (one - two * t) * chance.slope * cross.term(y, t);
                mixed(weights, t) * focused(chance.wrong, gamma, towards, own)
            }
            LogLikelihood => -t,
            CategoricalFocal { alpha, gamma } => {
                let wrong = one - y;
                let own = power(wrong, gamma) / y;
                let slope = -(t * N::given(alpha)) * focused(wrong, gamma, minus_log(y), own);
                inside(y, slope)
            }
            Squared => two * difference,
            Penalty::BinaryCrossEntropy(form) => form.slope(y, t),
        };
        y.keep_nan(t.keep_nan(slope))
    }
}

/// ln(1 + y) − ln(1 + t) with both at least 1e-7, through ln(1 + (y − t)/(1 + t)): nothing cancels.
#[inline(always)]
fn logarithms_apart<N: Number>(y: N, t: N) -> N {
    let (least, one) = (N::given(EPSILON), N::constant(1.0));
    let (y, t) = (y.larger(least), t.larger(least));
    let below = y.is_less(t);
    let (low, high) = (N::choose(below, y, t), N::choose(below, t, y));
    let apart = ((high - low) / (one + low)).logarithm_of_one_plus();
    N::choose(below, -apart, apart)
}

/// A target of a hinge: 0 is the negative class.
#[inline(always)]
fn side<N: Number>(t: N) -> N {
    let (zero, one) = (N::constant(0.0), N::constant(1.0));
    N::choose(zero.is_less(t.magnitude()), t, -one)
}

/// Kept between 1e-7 and 1.
#[inline(always)]
fn between<N: Number>(p: N) -> N {
    p.larger(N::given(EPSILON)).smaller(N::constant(1.0))
}

/// The factor of a target: the first weight at 1, the second at 0, a mixture between.
#[inline(always)]
fn mixed<N: Number>([ones, zeros]: [f32; 2], t: N) -> N {
    t * N::given(ones) + (N::constant(1.0) - t) * N::given(zeros)
}

/// xᵞ for x ≥ 0; powers of 0, 1 and 2 are products.
#[inline(always)]
fn power<N: Number>(x: N, gamma: f32) -> N {
    match gamma {
        0.0 => N::constant(1.0),
        1.0 => x,
        2.0 => x * x,
        _ => x.to_the(f64::from(gamma)),
    }
}

/// The slope of xᵞ·f: γ·xᵞ⁻¹·x′·f, of which `towards` is x′·f, and `own` = xᵞ·f′.
#[inline(always)]
fn focused<N: Number>(x: N, gamma: f32, towards: N, own: N) -> N {
    if gamma == 0.0 {
        return own;
    }
    N::given(gamma) * power(x, gamma - 1.0) * towards + own
}

/// The probability of a wrong answer, t·(1 − p) + (1 − t)·p, and dp/dy.
struct Chance<N> {
    wrong: N,
    slope: N,
}

impl<N: Number> Chance<N> {
    #[inline(always)]
    fn of(form: Form, y: N, t: N) -> Self {
        let one = N::constant(1.0);
        let (p, miss, slope) = match form {
            Form::Logits => {
                let (p, miss) = (y.logistic(), (-y).logistic());
                (p, miss, p * miss)
            }
            Form::Probabilities => (y, one - y, one),
        };
        Chance {
            wrong: t * miss + (one - t) * p,
            slope,
        }
    }
}
