//! Learning-rate schedules: the rate as a function of the step.
//!
//! Names, formulas and defaults are those of Keras 3 (`keras.optimizers.schedules`).

use serde::{Deserialize, Serialize};

use crate::cpu::Real;
use crate::{Error, Result};

/// The learning rate η as a function of s, the number of updates done before this one (Keras' `iterations`).
///
/// A plain number converts into [`Schedule::Constant`]; the functions of this type take what has no default and set the
/// rest as Keras does.
///
/// ```
/// use kiln::optim::Schedule;
///
/// let schedule = Schedule::exponential_decay(0.1, 7, 0.9);
/// assert!((schedule.value::<f32>(7) - 0.09).abs() < 1e-8);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// The same η at every step.
    Constant(f32),
    /// η = initial·decay_rate^(s/decay_steps).
    ExponentialDecay {
        /// η at the first step.
        initial: f32,
        /// The steps in which η falls by `decay_rate`; at least 1.
        decay_steps: u32,
        /// The factor; above 0.
        decay_rate: f32,
        /// Whether s/decay_steps is rounded down, so that η falls in jumps. Keras' default: false.
        staircase: bool,
    },
    /// η = initial/(1 + decay_rate·s/decay_steps).
    InverseTimeDecay {
        /// η at the first step.
        initial: f32,
        /// The steps in which the divisor grows by `decay_rate`; at least 1.
        decay_steps: u32,
        /// The growth; at least 0.
        decay_rate: f32,
        /// Whether s/decay_steps is rounded down, so that η falls in jumps. Keras' default: false.
        staircase: bool,
    },
    /// η = (initial − end)·(1 − s/decay_steps)^power + end, and `end` from `decay_steps` on (Keras' `cycle=False`).
    PolynomialDecay {
        /// η at the first step.
        initial: f32,
        /// The steps until η = end; at least 1.
        decay_steps: u32,
        /// The last η. Keras' default: 0.0001.
        end: f32,
        /// The exponent; above 0. Keras' default: 1, a straight line.
        power: f32,
    },
    /// η = top·((1 − alpha)·½(1 + cos(π·s/decay_steps)) + alpha), and top·alpha from `decay_steps` on.
    ///
    /// Without `warmup_target` top = initial. With it η first climbs in a straight line from `initial` to
    /// top = warmup_target in `warmup_steps` steps, from where s counts.
    CosineDecay {
        /// η at the first step.
        initial: f32,
        /// The steps of the decay, those of the warm-up not included; at least 1.
        decay_steps: u32,
        /// The last η as a fraction of the highest, in `[0, 1]`. Keras' default: 0.
        alpha: f32,
        /// The η that the warm-up climbs to. Keras' default: none.
        warmup_target: Option<f32>,
        /// The steps of the warm-up; without a target there is none. Keras' default: 0.
        warmup_steps: u32,
    },
}

impl From<f32> for Schedule {
    fn from(rate: f32) -> Self {
        Schedule::Constant(rate)
    }
}

impl Schedule {
    /// η = initial·decay_rate^(s/decay_steps), without jumps.
    pub fn exponential_decay(initial: f32, decay_steps: u32, decay_rate: f32) -> Self {
        Schedule::ExponentialDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase: false,
        }
    }

    /// η = initial/(1 + decay_rate·s/decay_steps), without jumps.
    pub fn inverse_time_decay(initial: f32, decay_steps: u32, decay_rate: f32) -> Self {
        Schedule::InverseTimeDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase: false,
        }
    }

    /// A straight line from `initial` to 0.0001.
    pub fn polynomial_decay(initial: f32, decay_steps: u32) -> Self {
        Schedule::PolynomialDecay {
            initial,
            decay_steps,
            end: 0.0001,
            power: 1.0,
        }
    }

    /// Half a cosine from `initial` to 0, without a warm-up.
    pub fn cosine_decay(initial: f32, decay_steps: u32) -> Self {
        Schedule::CosineDecay {
            initial,
            decay_steps,
            alpha: 0.0,
            warmup_target: None,
            warmup_steps: 0,
        }
    }

    /// η for the update after `step` others.
    pub fn value<T: Real>(&self, step: u32) -> T {
        let float = |value: f32| T::of(f64::from(value));
        let count = |value: u32| T::of(f64::from(value));
        let progress = |decay_steps: u32, staircase: bool| {
            if staircase {
                count(step / decay_steps.max(1))
            } else {
                count(step) / count(decay_steps)
            }
        };
        match *self {
            Schedule::Constant(rate) => float(rate),
            Schedule::ExponentialDecay {
                initial,
                decay_steps,
                decay_rate,
                staircase,
            } => float(initial) * float(decay_rate).powf(progress(decay_steps, staircase)),
            Schedule::InverseTimeDecay {
                initial,
                decay_steps,
                decay_rate,
                staircase,
            } => {
                let growth = float(decay_rate) * progress(decay_steps, staircase);
                float(initial) / (T::one() + growth)
            }
            Schedule::PolynomialDecay {
                initial,
                decay_steps,
                end,
                power,
            } => {
                let left = count(decay_steps.saturating_sub(step)) / count(decay_steps);
                (float(initial) - float(end)) * left.powf(float(power)) + float(end)
            }
            Schedule::CosineDecay {
                initial,
                decay_steps,
                alpha,
                warmup_target,
                warmup_steps,
            } => {
                let (top, warmup_steps) = match warmup_target {
                    Some(target) => (target, warmup_steps),
                    None => (initial, 0),
                };
                if step < warmup_steps {
                    let climbed = count(step) / count(warmup_steps);
                    return (float(top) - float(initial)) * climbed + float(initial);
                }
                // ½(1 + cos(π·s/d)) = sin²(½π·(d − s)/d), which is accurate to its last step.
                let left = decay_steps - (step - warmup_steps).min(decay_steps);
                let angle = T::of(std::f64::consts::FRAC_PI_2) * count(left) / count(decay_steps);
                let fall = angle.sin() * angle.sin();
                float(top) * ((T::one() - float(alpha)) * fall + float(alpha))
            }
        }
    }

    /// Checks that every number is finite and in its range; the error names the field.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Schedule::Constant(rate) => at_least_zero("learning_rate", rate),
            Schedule::ExponentialDecay {
                initial,
                decay_steps,
                decay_rate,
                ..
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                above_zero("decay_rate", decay_rate)
            }
            Schedule::InverseTimeDecay {
                initial,
                decay_steps,
                decay_rate,
                ..
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                at_least_zero("decay_rate", decay_rate)
            }
            Schedule::PolynomialDecay {
                initial,
                decay_steps,
                end,
                power,
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                at_least_zero("end", end)?;
                above_zero("power", power)
            }
            Schedule::CosineDecay {
                initial,
                decay_steps,
                alpha,
                warmup_target,
                ..
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                at_least_zero("warmup_target", warmup_target.unwrap_or(0.0))?;
                in_range((0.0..=1.0).contains(&alpha), "alpha", "in [0, 1]", alpha)
            }
        }
    }
}

// A NaN is in no range, so it is refused by the same comparisons.

fn at_least_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = (0.0..f32::INFINITY).contains(&value);
    in_range(fits, name, "at least 0 and finite", value)
}

fn above_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = value > 0.0 && value < f32::INFINITY;
    in_range(fits, name, "above 0 and finite", value)
}

fn at_least_one(name: &'static str, value: u32) -> Result<()> {
    in_range(value >= 1, name, "at least 1", value)
}

fn in_range(
    fits: bool,
    name: &'static str,
    range: &str,
    value: impl std::fmt::Display,
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::argument(
        name,
        format!("must be {range}, got {value}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Keras 3.15.1 (TensorFlow 2.21, CPU, f32) at these steps.
    #[test]
    fn schedules_follow_keras() {
        let steps = [0, 1, 7, 12, 25, 29, 55, 120];
        let staircase = Schedule::InverseTimeDecay {
            initial: 0.1,
            decay_steps: 5,
            decay_rate: 0.5,
            staircase: true,
        };
        let square = Schedule::PolynomialDecay {
            initial: 0.1,
            decay_steps: 30,
            end: 0.01,
            power: 2.0,
        };
        let cosine = |initial, alpha, warmup_target, warmup_steps| Schedule::CosineDecay {
            initial,
            decay_steps: 50,
            alpha,
            warmup_target,
            warmup_steps,
        };
        #[rustfmt::skip]
        let cases = [
            (Schedule::exponential_decay(0.1, 7, 0.9),
             [0.1, 0.0985061228, 0.09, 0.0834754109, 0.0686404928, 0.0646298602, 0.043699529, 0.0164280384]),
            (Schedule::inverse_time_decay(0.1, 5, 0.5),
             [0.1, 0.0909090936, 0.0588235296, 0.0454545468, 0.0285714287, 0.0256410259, 0.0153846153, 0.0076923076]),
            (staircase,
             [0.1, 0.1, 0.0666666701, 0.05, 0.0285714287, 0.0285714287, 0.0153846153, 0.0076923076]),
            (square,
             [0.1, 0.094099991, 0.0628999993, 0.0424000024, 0.0125000001, 0.0100999996, 0.01, 0.01]),
            (Schedule::polynomial_decay(0.1, 30),
             [0.1, 0.0966700017, 0.0766900032, 0.0600400045, 0.0167500022, 0.0034300028, 0.0001, 0.0001]),
            (Schedule::cosine_decay(0.1, 50),
             [0.1, 0.0999013409, 0.0952413603, 0.086448431, 0.049999997, 0.0375655069, 0.0, 0.0]),
            (cosine(0.1, 0.1, None, 0),
             [0.1, 0.0999112054, 0.0957172214, 0.0878035947, 0.0549999959, 0.0438089519, 0.01, 0.01]),
            (cosine(0.0, 0.0, Some(0.1), 10),
             [0.0, 0.01, 0.07, 0.0996057391, 0.0793892666, 0.0684062242, 0.002447176, 0.0]),
        ];
        for (schedule, keras) in cases {
            schedule.validate().unwrap();
            for (step, keras) in steps.into_iter().zip(keras) {
                let (wide, narrow) = (
                    schedule.value::<f64>(step),
                    f64::from(schedule.value::<f32>(step)),
                );
                // f32 arithmetic on numbers up to 0.1, on both sides.
                assert!(
                    (wide - keras).abs() < 5e-8,
                    "{schedule:?}, {step}: {wide}, Keras {keras}"
                );
                assert!((narrow - keras).abs() < 5e-8, "{schedule:?}, {step}");
            }
        }
        assert_eq!(Schedule::from(0.3).value::<f32>(9), 0.3);
    }

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        let exponential = |initial, decay_steps, decay_rate| {
            Schedule::exponential_decay(initial, decay_steps, decay_rate)
        };
        let polynomial = |end, power| Schedule::PolynomialDecay {
            initial: 0.1,
            decay_steps: 10,
            end,
            power,
        };
        let cosine = |alpha, warmup_target| Schedule::CosineDecay {
            initial: 0.1,
            decay_steps: 10,
            alpha,
            warmup_target,
            warmup_steps: 3,
        };
        let refused = [
            (Schedule::Constant(f32::NAN), "learning_rate"),
            (Schedule::Constant(-0.1), "learning_rate"),
            (Schedule::Constant(f32::INFINITY), "learning_rate"),
            (exponential(-1.0, 10, 0.9), "initial"),
            (exponential(0.1, 0, 0.9), "decay_steps"),
            (exponential(0.1, 10, 0.0), "decay_rate"),
            (exponential(0.1, 10, f32::NAN), "decay_rate"),
            (
                Schedule::inverse_time_decay(0.1, 10, f32::NEG_INFINITY),
                "decay_rate",
            ),
            (Schedule::polynomial_decay(0.1, 0), "decay_steps"),
            (polynomial(-1e-4, 1.0), "end"),
            (polynomial(0.0, 0.0), "power"),
            (Schedule::cosine_decay(f32::NAN, 10), "initial"),
            (cosine(1.5, None), "alpha"),
            (cosine(f32::NAN, None), "alpha"),
            (cosine(0.0, Some(f32::INFINITY)), "warmup_target"),
        ];
        for (schedule, field) in refused {
            match schedule.validate() {
                Err(Error::Argument { name, .. }) => assert_eq!(name, field, "{schedule:?}"),
                other => panic!("{schedule:?}: {other:?}"),
            }
        }
    }
}
