//! Functions of a prediction and its target that are summed over a row: φ(y, t) and ∂φ/∂y.
//!
//! Formulas, clipping constants and slopes at kinks are those of Keras 3.15 on TensorFlow (`keras.losses`), written so
//! that small values keep their digits and large ones do not overflow.

use crate::number::{Real, UNIT};

use super::Function;
use super::binary_cross_entropy::{BinaryCrossEntropy, Form, kept, minus_log};
use super::pointwise::rounding as pointwise_rounding;

/// Keras' epsilon: what keeps divisors and logarithms away from zero.
const EPSILON: f32 = 1e-7;

/// A function of a prediction y and its target t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// |y − t|; its slope at 0 is 0.
    Absolute,
    /// 100·|y − t|/max(|t|, 1e-7).
    AbsolutePercentage,
    /// (ln(1 + y) − ln(1 + t))², both y and t at least 1e-7.
    SquaredLogarithmic,
    /// ½(y − t)² up to a distance of δ, a straight line behind it: δ·|y − t| − ½δ².
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
}

use Penalty::{
    Absolute, AbsolutePercentage, BinaryFocal, CategoricalFocal, Hinge, Huber, KullbackLeibler,
    LogCosh, LogLikelihood, Poisson, SquaredHinge, SquaredLogarithmic,
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
        }
    }

    /// Whether y is a logit, which only the binary focal loss asks.
    pub(super) fn logits(self) -> bool {
        matches!(
            self,
            BinaryFocal {
                form: Form::Logits,
                ..
            }
        )
    }

    /// Whether φ depends on y − t alone, so that ∂φ/∂t = −∂φ/∂y.
    pub(super) fn is_of_difference(self) -> bool {
        matches!(self, Absolute | Huber(_) | LogCosh)
    }

    /// φ(y, t).
    #[inline(always)]
    pub fn value<T: Real>(self, y: T, t: T) -> T {
        let of = |number: f32| T::of(f64::from(number));
        let (zero, one, half) = (T::zero(), T::one(), T::of(0.5));
        if y.is_nan() || t.is_nan() {
            return y + t;
        }
        let distance = (y - t).abs();
        match self {
            Absolute => distance,
            AbsolutePercentage => T::of(100.0) * (distance / t.abs().max(of(EPSILON))),
            SquaredLogarithmic => {
                let d = logarithms_apart(y, t);
                d * d
            }
            Huber(delta) if distance <= of(delta) => half * distance * distance,
            Huber(delta) => of(delta) * (distance - half * of(delta)),
            LogCosh if distance < one => {
                // cosh d = 1 + 2·sinh²(d/2), and 2·sinh²(d/2) = ½(eᵈ − 1)²·e⁻ᵈ.
                let above = distance.exp_m1();
                (half * above * above * (-distance).power_of_e()).ln_1p()
            }
            LogCosh => {
                let power = (-(distance + distance)).power_of_e();
                distance + (power.log_of_one_plus() - T::of(std::f64::consts::LN_2))
            }
            Hinge => (one - side(t) * y).max(zero),
            SquaredHinge => {
                let margin = (one - side(t) * y).max(zero);
                margin * margin
            }
            Poisson => y - t * (y + of(EPSILON)).ln(),
            KullbackLeibler => {
                let (y, t) = (between(y), between(t));
                t * (t / y).ln()
            }
            BinaryFocal {
                form,
                gamma,
                weights,
            } => {
                let chance = Chance::of(form, y, t);
                let term = BinaryCrossEntropy { form }.term(y, t);
                mixed(weights, t) * chance.wrong.powf(of(gamma)) * term
            }
            LogLikelihood if t == zero => zero,
            LogLikelihood => -(t * y),
            CategoricalFocal { alpha, gamma } => {
                let p = kept(y);
                t * of(alpha) * (one - p).powf(of(gamma)) * minus_log(p)
            }
        }
    }

    /// ∂φ/∂y.
    #[inline(always)]
    pub fn slope<T: Real>(self, y: T, t: T) -> T {
        let of = |number: f32| T::of(f64::from(number));
        let (zero, one) = (T::zero(), T::one());
        let two = one + one;
        if y.is_nan() || t.is_nan() {
            return y + t;
        }
        let difference = y - t;
        let sign = if difference == zero {
            zero
        } else {
            difference.signum()
        };
        match self {
            Absolute => sign,
            AbsolutePercentage => sign * T::of(100.0) / t.abs().max(of(EPSILON)),
            SquaredLogarithmic if y < of(EPSILON) => zero,
            SquaredLogarithmic => two * logarithms_apart(y, t) / (one + y),
            Huber(delta) => difference.max(-of(delta)).min(of(delta)),
            LogCosh => difference.tangent(),
            Hinge if one - side(t) * y >= zero => -side(t),
            Hinge => zero,
            SquaredHinge => -(two * side(t)) * (one - side(t) * y).max(zero),
            Poisson => one - t / (y + of(EPSILON)),
            KullbackLeibler if between(y) != y => zero,
            KullbackLeibler => -(between(t) / y),
            BinaryFocal {
                form,
                gamma,
                weights,
            } => {
                let chance = Chance::of(form, y, t);
                let (gamma, cross) = (of(gamma), BinaryCrossEntropy { form });
                let towards = (one - two * t) * chance.slope * cross.term(y, t);
                let focus = if gamma == zero {
                    zero
                } else {
                    gamma * chance.wrong.powf(gamma - one) * towards
                };
                mixed(weights, t) * (focus + chance.wrong.powf(gamma) * cross.slope(y, t))
            }
            LogLikelihood => -t,
            CategoricalFocal { .. } if kept(y) != y => zero,
            CategoricalFocal { alpha, gamma } => {
                let (gamma, wrong) = (of(gamma), one - y);
                let focus = if gamma == zero {
                    zero
                } else {
                    gamma * wrong.powf(gamma - one) * minus_log(y)
                };
                -(t * of(alpha)) * (focus + wrong.powf(gamma) / y)
            }
        }
    }

    /// The error of a device's φ.
    pub(super) fn error(self, y: f64, t: f64) -> f64 {
        let value = self.value(y, t).abs();
        let distance = (y - t).abs();
        match self {
            // The difference.
            Absolute => UNIT * value,
            // And a division (five) and a product.
            AbsolutePercentage => 8.0 * UNIT * value,
            // The difference and 1 + x as a division's sides (seven), sixteen for log1p; all twice, being squared.
            SquaredLogarithmic => 50.0 * UNIT * value,
            Huber(delta) => {
                let delta = f64::from(delta).abs();
                4.0 * UNIT * (value + if distance > delta { delta * delta } else { 0.0 })
            }
            // Below 1: e^d by WGSL's allowance is within 5 units of the last place, of which e^d − 1 keeps 13, twice,
            // being squared; the other power; log1p. From there three sums, none above d + 1.
            LogCosh if distance < 1.0 => 100.0 * UNIT * value,
            LogCosh => 6.0 * UNIT * (distance + 1.0),
            Hinge => margin_error(y, t),
            SquaredHinge => {
                let error = margin_error(y, t);
                error * (2.0 * value.sqrt() + error) + UNIT * value
            }
            // The sum's rounding is the logarithm's absolute error, and eight units of the logarithm's own.
            Poisson => {
                let logarithm = (y + f64::from(EPSILON)).ln().abs();
                t.abs() * (8.0 * UNIT + 20.0 * UNIT * logarithm) + UNIT * value
            }
            KullbackLeibler => {
                let (y, t) = (between(y), between(t));
                t * UNIT * (6.0 + 20.0 * (t / y).ln().abs())
            }
            BinaryFocal {
                form,
                gamma,
                weights,
            } => {
                let (chance, cross) = (Chance::of(form, y, t), BinaryCrossEntropy { form });
                let factor = mixed(weights, t).abs() * chance.wrong.powf(f64::from(gamma));
                factor * cross.term_error(y, t)
                    + value * (power_error(chance.wrong, gamma) + chance.error(gamma, y))
            }
            LogLikelihood => UNIT * value,
            CategoricalFocal { gamma, .. } => {
                let p = kept(y);
                value * (40.0 * UNIT + power_error(1.0 - p, gamma))
            }
        }
    }

    /// The error of a device's ∂φ/∂y.
    pub(super) fn slope_error(self, y: f64, t: f64) -> f64 {
        let slope = self.slope(y, t).abs();
        match self {
            Absolute => 0.0,
            AbsolutePercentage => 7.0 * UNIT * slope,
            SquaredLogarithmic => 34.0 * UNIT * slope,
            Huber(_) => UNIT * slope,
            LogCosh => pointwise_rounding(Function::Tanh, y - t, slope) + UNIT * slope,
            // On the other side of the kink the slope is 0 instead of t.
            Hinge if (1.0 - side(t) * y).abs() <= margin_error(y, t) && t.abs() != 1.0 => t.abs(),
            Hinge => 0.0,
            SquaredHinge => 2.0 * t.abs().max(1.0) * margin_error(y, t) + 2.0 * UNIT * slope,
            Poisson => {
                let share = (t / (y + f64::from(EPSILON))).abs();
                UNIT * (8.0 * share + slope)
            }
            KullbackLeibler => 6.0 * UNIT * slope,
            BinaryFocal {
                form,
                gamma,
                weights,
            } => {
                let (chance, cross) = (Chance::of(form, y, t), BinaryCrossEntropy { form });
                let weight = mixed(weights, t).abs();
                let exponent = f64::from(gamma);
                let own = chance.wrong.powf(exponent) * cross.slope(y, t).abs();
                let errors = power_error(chance.wrong, gamma) + chance.error(gamma, y);
                let mut error =
                    own * errors + chance.wrong.powf(exponent) * cross.slope_error(y, t);
                if gamma != 0.0 {
                    let outer = exponent * chance.wrong.powf(exponent - 1.0) * chance.slope.abs();
                    let term = cross.term(y, t).abs();
                    let powers =
                        power_error(chance.wrong, gamma - 1.0) + chance.error(gamma - 1.0, y);
                    let slopes = chance.error(2.0, y) + 4.0 * UNIT;
                    error += outer * (1.0 - 2.0 * t).abs() * term * (powers + slopes);
                    error += outer * (1.0 - 2.0 * t).abs() * cross.term_error(y, t);
                }
                weight * error + 4.0 * UNIT * slope
            }
            LogLikelihood => 0.0,
            CategoricalFocal { alpha, gamma } => {
                let (wrong, exponent) = (1.0 - y, f64::from(gamma));
                if kept(y) != y {
                    return 0.0;
                }
                let focus = exponent * wrong.powf(exponent - 1.0) * minus_log(y);
                let own = wrong.powf(exponent) / y;
                let focus = if gamma == 0.0 {
                    0.0
                } else {
                    focus * (40.0 * UNIT + power_error(wrong, gamma - 1.0))
                };
                let own = own * (10.0 * UNIT + power_error(wrong, gamma));
                (t * f64::from(alpha)).abs() * (focus + own) + 4.0 * UNIT * slope
            }
        }
    }
}

/// ln(1 + y) − ln(1 + t) with both at least 1e-7, through ln(1 + (y − t)/(1 + t)): nothing cancels.
#[inline(always)]
fn logarithms_apart<T: Real>(y: T, t: T) -> T {
    let least = T::of(f64::from(EPSILON));
    let (y, t) = (y.max(least), t.max(least));
    if y >= t {
        ((y - t) / (T::one() + t)).ln_1p()
    } else {
        -((t - y) / (T::one() + y)).ln_1p()
    }
}

/// A target of a hinge: 0 is the negative class.
#[inline(always)]
fn side<T: Real>(t: T) -> T {
    if t == T::zero() { -T::one() } else { t }
}

/// Kept between 1e-7 and 1.
#[inline(always)]
fn between<T: Real>(p: T) -> T {
    p.max(T::of(f64::from(EPSILON))).min(T::one())
}

/// The factor of a target: the first weight at 1, the second at 0, a mixture between.
#[inline(always)]
fn mixed<T: Real>([ones, zeros]: [f32; 2], t: T) -> T {
    t * T::of(f64::from(ones)) + (T::one() - t) * T::of(f64::from(zeros))
}

/// Of 1 − t·y: a product and a difference.
fn margin_error(y: f64, t: f64) -> f64 {
    UNIT * (2.0 * (t * y).abs() + 1.0)
}

/// The relative error of a device's xᵞ = e^(γ·ln x), where WGSL allows the power 3 + 2|a| units and the logarithm's
/// error counts a times; powers of 0, 1 and 2 are products.
fn power_error(x: f64, gamma: f32) -> f64 {
    if [0.0, 1.0, 2.0].contains(&gamma) {
        return UNIT;
    }
    if x == 0.0 {
        return 0.0;
    }
    let exponent = (f64::from(gamma) * x.ln()).abs();
    UNIT * (8.0 + 26.0 * exponent)
}

/// The probability of a wrong answer, t·(1 − p) + (1 − t)·p, and dp/dy.
struct Chance<T> {
    wrong: T,
    slope: T,
    logits: bool,
}

impl<T: Real> Chance<T> {
    #[inline(always)]
    fn of(form: Form, y: T, t: T) -> Self {
        let one = T::one();
        let (p, miss, slope) = match form {
            Form::Logits => {
                let (p, miss) = (Function::Sigmoid.value(y), Function::Sigmoid.value(-y));
                (p, miss, p * miss)
            }
            Form::Probabilities => (y, one - y, one),
        };
        Chance {
            wrong: t * miss + (one - t) * p,
            slope,
            logits: form == Form::Logits,
        }
    }
}

impl Chance<f64> {
    /// The relative error of a device's wrongᵞ that comes from wrong: of logits a power and a division, of
    /// probabilities a difference; then a mixture.
    fn error(&self, gamma: f32, y: f64) -> f64 {
        let own = if self.logits {
            2.0 * (3.0 + 2.0 * y.abs()) + 10.0
        } else {
            1.0
        };
        f64::from(gamma).abs().max(1.0) * UNIT * (own + 4.0)
    }
}
