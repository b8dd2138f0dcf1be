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
        /// Whether it begins anew instead, over the least multiple of `decay_steps` that is not below s (Keras'
        /// `cycle`). Keras' default: false.
        #[serde(default)]
        cycle: bool,
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
    /// Cosine decays one after the other (Loshchilov and Hutter, 2016; Keras' `CosineDecayRestarts`): the i-th, from 0,
    /// takes first_decay_steps·t_mulⁱ steps and begins at initial·m_mulⁱ.
    ///
    /// PyTorch's `CosineAnnealingWarmRestarts` is the same with `T_0`, `T_mult` and alpha = `eta_min`/initial, and with a
    /// t_mul of 1 by default.
    CosineDecayRestarts {
        /// η at the first step.
        initial: f32,
        /// The steps of the first decay; at least 1.
        first_decay_steps: u32,
        /// The factor of the steps: 1, or at least 1.01. Keras' default: 2.
        t_mul: f32,
        /// The factor of the height; above 0. Keras' default: 1.
        m_mul: f32,
        /// The last η of a decay as a fraction of the first, in `[0, 1]`. Keras' default: 0.
        alpha: f32,
    },
    /// η = minimum + (initial − minimum)·½(1 + cos(π·s/steps)), down and up again for ever: PyTorch's
    /// `CosineAnnealingLR`.
    CosineAnnealing {
        /// η at the first step.
        initial: f32,
        /// The steps of half a cosine; at least 1.
        steps: u32,
        /// The least η. PyTorch's default: 0.
        minimum: f32,
    },
    /// Up from top/div_factor to top within the first `share` of the steps, then down to
    /// top/div_factor/final_div_factor at the last, on cosines or straight lines: PyTorch's `OneCycleLR` (Smith, 2017).
    OneCycle {
        /// The highest η.
        top: f32,
        /// The steps of the cycle; `share`·steps must be above 1.
        steps: u32,
        /// The share of the steps that rise, in (0, 1). PyTorch's default: 0.3.
        share: f32,
        /// What the first η is smaller by; at least 1. PyTorch's default: 25.
        div_factor: f32,
        /// What the last η is smaller by again; at least 1. PyTorch's default: 10 000.
        final_div_factor: f32,
        /// Whether in straight lines. PyTorch's default: false.
        linear: bool,
    },
    /// The first value while s ≤ the first boundary, the second up to the second one, and so on: Keras'
    /// `PiecewiseConstantDecay`.
    PiecewiseConstant {
        /// Steps in ascending order, at most 1000, below 2²⁴.
        boundaries: Vec<u32>,
        /// One value more than there are boundaries.
        values: Vec<f32>,
    },
    /// η of every step, and the last one after them. The table lies on the device.
    Table(Vec<f32>),
    /// A straight line from `initial` to the first η of another schedule, which begins after `steps` steps.
    ///
    /// PyTorch's `LinearLR` before it in a `SequentialLR`, with `initial` = start_factor·η.
    Warmup {
        /// η at the first step.
        initial: f32,
        /// The steps until the other schedule begins; at least 1.
        steps: u32,
        /// What follows; no warm-up.
        then: Box<Schedule>,
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
            cycle: false,
        }
    }

    /// initial·factorⁱ with the i-th `every` steps: PyTorch's `StepLR`.
    pub fn steps(initial: f32, every: u32, factor: f32) -> Self {
        Schedule::ExponentialDecay {
            initial,
            decay_steps: every,
            decay_rate: factor,
            staircase: true,
        }
    }

    /// initial·factorⁱ from the i-th of the milestones on: PyTorch's `MultiStepLR`. Milestones are at least 1.
    pub fn milestones(initial: f32, milestones: &[u32], factor: f32) -> Self {
        let powers = (0..=milestones.len()).map(|i| f64::from(factor).powi(i as i32));
        Schedule::PiecewiseConstant {
            boundaries: milestones
                .iter()
                .map(|milestone| milestone.wrapping_sub(1))
                .collect(),
            values: powers
                .map(|power| (f64::from(initial) * power) as f32)
                .collect(),
        }
    }

    /// Cosine decays of which each is twice as long as the one before, all from `initial` to 0.
    pub fn cosine_decay_restarts(initial: f32, first_decay_steps: u32) -> Self {
        Schedule::CosineDecayRestarts {
            initial,
            first_decay_steps,
            t_mul: 2.0,
            m_mul: 1.0,
            alpha: 0.0,
        }
    }

    /// Up from top/25 in 3 tenths of the steps and down to top/250 000, on cosines.
    pub fn one_cycle(top: f32, steps: u32) -> Self {
        Schedule::OneCycle {
            top,
            steps,
            share: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            linear: false,
        }
    }

    /// The schedule after a straight line of `steps` steps from `initial` to where it begins.
    pub fn warmup(self, initial: f32, steps: u32) -> Self {
        Schedule::Warmup {
            initial,
            steps,
            then: Box::new(self),
        }
    }

    /// The numbers that must lie on the device beside those of every schedule: boundaries and values.
    pub(crate) fn table(&self) -> Option<Vec<f32>> {
        match self {
            Schedule::Table(values) => Some(values.clone()),
            Schedule::PiecewiseConstant { boundaries, values } => {
                let boundaries = boundaries.iter().map(|&boundary| boundary as f32);
                Some(boundaries.chain(values.iter().copied()).collect())
            }
            Schedule::Warmup { then, .. } => then.table(),
            _ => None,
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
                cycle,
            } => {
                let whole = decay_steps.saturating_mul(match cycle {
                    true => step.div_ceil(decay_steps.max(1)).max(1),
                    false => 1,
                });
                let left = count(whole.saturating_sub(step)) / count(whole);
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
                let left = decay_steps - (step - warmup_steps).min(decay_steps);
                let fall = rise(count(left) / count(decay_steps));
                float(top) * ((T::one() - float(alpha)) * fall + float(alpha))
            }
            Schedule::CosineDecayRestarts {
                initial,
                first_decay_steps,
                t_mul,
                m_mul,
                alpha,
            } => {
                let (round, done, length) = round::<T>(step, first_decay_steps, t_mul);
                let height = float(m_mul).powi(i32::try_from(round).unwrap_or(i32::MAX));
                let fall = height * rise((length - done) / length);
                float(initial) * ((T::one() - float(alpha)) * fall + float(alpha))
            }
            Schedule::CosineAnnealing {
                initial,
                steps,
                minimum,
            } => {
                let left = steps.abs_diff(step % steps.saturating_mul(2).max(1));
                let fall = rise(count(left) / count(steps));
                (float(initial) - float(minimum)) * fall + float(minimum)
            }
            Schedule::OneCycle { linear, .. } => {
                let [first, top, last, peak, end] = self.cycle().map(float);
                let s = count(step);
                let (from, to, share) = if s <= peak {
                    (first, top, s / peak)
                } else {
                    (top, last, ((s - peak) / (end - peak)).min(T::one()))
                };
                let left = T::one() - share;
                to + (from - to) * if linear { left } else { rise(left) }
            }
            Schedule::PiecewiseConstant {
                ref boundaries,
                ref values,
            } => {
                let passed = boundaries.iter().filter(|&&boundary| step > boundary);
                float(values.get(passed.count()).copied().unwrap_or(0.0))
            }
            Schedule::Table(ref values) => {
                let value = values.get(step as usize).or(values.last());
                float(value.copied().unwrap_or(0.0))
            }
            Schedule::Warmup {
                initial,
                steps,
                ref then,
            } => {
                if step >= steps {
                    return then.value(step - steps);
                }
                let climb = float(then.value::<f32>(0) - initial);
                climb * (count(step) / count(steps)) + float(initial)
            }
        }
    }

    /// Of one cycle: η at first, at the top and at last, and the steps of the top and of the last, as the device has them.
    pub(crate) fn cycle(&self) -> [f32; 5] {
        let Schedule::OneCycle {
            top,
            steps,
            share,
            div_factor,
            final_div_factor,
            ..
        } = *self
        else {
            return [0.0, 0.0, 0.0, 1.0, 2.0];
        };
        let first = f64::from(top) / f64::from(div_factor);
        let last = first / f64::from(final_div_factor);
        let peak = decimal(share) * f64::from(steps) - 1.0;
        let end = f64::from(steps) - 1.0;
        [first as f32, top, last as f32, peak as f32, end as f32]
    }

    /// Whether it is a warm-up already.
    fn warms_up(&self) -> bool {
        match self {
            Schedule::Warmup { .. } => true,
            Schedule::CosineDecay { warmup_target, .. } => warmup_target.is_some(),
            _ => false,
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
                ..
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
            Schedule::CosineDecayRestarts {
                initial,
                first_decay_steps,
                t_mul,
                m_mul,
                alpha,
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("first_decay_steps", first_decay_steps)?;
                let fits = t_mul == 1.0 || (1.01..f32::INFINITY).contains(&t_mul);
                in_range(fits, "t_mul", "1, or at least 1.01 and finite", t_mul)?;
                above_zero("m_mul", m_mul)?;
                in_range((0.0..=1.0).contains(&alpha), "alpha", "in [0, 1]", alpha)
            }
            Schedule::CosineAnnealing {
                initial,
                steps,
                minimum,
            } => {
                at_least_zero("initial", initial)?;
                in_range(
                    (1..=1 << 30).contains(&steps),
                    "steps",
                    "between 1 and 2^30",
                    steps,
                )?;
                at_least_zero("minimum", minimum)
            }
            Schedule::OneCycle {
                top,
                steps,
                share,
                div_factor,
                final_div_factor,
                ..
            } => {
                at_least_zero("top", top)?;
                in_range(share > 0.0 && share < 1.0, "share", "in (0, 1)", share)?;
                let [.., peak, end] = self.cycle();
                let fits = peak > 0.0 && end > peak;
                in_range(
                    fits,
                    "steps",
                    "more than 1 on either side of the top",
                    steps,
                )?;
                at_least_one_of("div_factor", div_factor)?;
                at_least_one_of("final_div_factor", final_div_factor)
            }
            Schedule::PiecewiseConstant {
                ref boundaries,
                ref values,
            } => {
                let ascending = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
                let last = boundaries.last().copied().unwrap_or(0);
                let fits = ascending && last < 1 << 24 && boundaries.len() <= 1000;
                let range = "at most 1000 ascending steps below 2^24";
                in_range(fits, "boundaries", range, format!("{boundaries:?}"))?;
                let fits = values.len() == boundaries.len() + 1;
                let range = format!("{} values", boundaries.len() + 1);
                in_range(fits, "values", &range, values.len())?;
                values
                    .iter()
                    .try_for_each(|&value| at_least_zero("values", value))
            }
            Schedule::Table(ref values) => {
                in_range(!values.is_empty(), "table", "at least one value", "none")?;
                values
                    .iter()
                    .try_for_each(|&value| at_least_zero("table", value))
            }
            Schedule::Warmup {
                initial,
                steps,
                ref then,
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("steps", steps)?;
                in_range(!then.warms_up(), "then", "no warm-up itself", "one")?;
                then.validate()
            }
        }
    }
}

/// ½(1 − cos(π·x)) for x in [0, 1], as sin²(½π·x), which is accurate to its first step.
fn rise<T: Real>(x: T) -> T {
    let sine = (T::of(std::f64::consts::FRAC_PI_2) * x).sin();
    sine * sine
}

/// Which of the decays a step is in, how far, and how long that decay is.
pub(crate) fn round<T: Real>(step: u32, first: u32, factor: f32) -> (u32, T, T) {
    let count = |value: u32| T::of(f64::from(value));
    if factor == 1.0 {
        let first = first.max(1);
        return (step / first, count(step % first), count(first));
    }
    let (mut round, mut done, mut length) = (0, count(step), count(first));
    while done >= length {
        done = done - length;
        length = length * T::of(f64::from(factor));
        round += 1;
    }
    (round, done, length)
}

/// The decimal number that a float stands for: 0.3 is not the f32 next to it.
fn decimal(value: f32) -> f64 {
    let exact = f64::from(value);
    let decimal = (exact * 1e7).round() / 1e7;
    if decimal as f32 == value {
        decimal
    } else {
        exact
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

fn at_least_one_of(name: &'static str, value: f32) -> Result<()> {
    let fits = (1.0..f32::INFINITY).contains(&value);
    in_range(fits, name, "at least 1 and finite", value)
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
            cycle: false,
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
            cycle: false,
        };
        let restarts = |t_mul, m_mul| Schedule::CosineDecayRestarts {
            initial: 0.1,
            first_decay_steps: 10,
            t_mul,
            m_mul,
            alpha: 0.0,
        };
        let annealing = |steps, minimum| Schedule::CosineAnnealing {
            initial: 0.1,
            steps,
            minimum,
        };
        let one_cycle = |share, div_factor, final_div_factor| Schedule::OneCycle {
            top: 0.1,
            steps: 100,
            share,
            div_factor,
            final_div_factor,
            linear: true,
        };
        let piecewise = |boundaries: &[u32], values: &[f32]| Schedule::PiecewiseConstant {
            boundaries: boundaries.into(),
            values: values.into(),
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
            (Schedule::cosine_decay_restarts(-0.1, 10), "initial"),
            (Schedule::cosine_decay_restarts(0.1, 0), "first_decay_steps"),
            (restarts(0.5, 1.0), "t_mul"),
            (restarts(f32::NAN, 1.0), "t_mul"),
            (restarts(2.0, 0.0), "m_mul"),
            (annealing(0, 0.0), "steps"),
            (annealing(10, -1.0), "minimum"),
            (Schedule::one_cycle(-0.1, 100), "top"),
            (Schedule::one_cycle(0.1, 3), "steps"),
            (one_cycle(1.0, 25.0, 1e4), "share"),
            (one_cycle(0.3, 0.5, 1e4), "div_factor"),
            (one_cycle(0.3, 25.0, f32::INFINITY), "final_div_factor"),
            (piecewise(&[3, 3], &[0.1, 0.2, 0.3]), "boundaries"),
            (piecewise(&[1 << 24], &[0.1, 0.2]), "boundaries"),
            (piecewise(&[3], &[0.1]), "values"),
            (piecewise(&[3], &[0.1, -0.2]), "values"),
            (Schedule::milestones(0.1, &[0], 0.5), "boundaries"),
            (Schedule::Table(Vec::new()), "table"),
            (Schedule::Table(vec![f32::NAN]), "table"),
            (Schedule::from(0.1).warmup(-0.1, 5), "initial"),
            (Schedule::from(0.1).warmup(0.0, 0), "steps"),
            (Schedule::from(0.1).warmup(0.0, 5).warmup(0.0, 5), "then"),
            (cosine(0.0, Some(0.1)).warmup(0.0, 5), "then"),
            (Schedule::from(-0.1).warmup(0.0, 5), "learning_rate"),
        ];
        for (schedule, field) in refused {
            match schedule.validate() {
                Err(Error::Argument { name, .. }) => assert_eq!(name, field, "{schedule:?}"),
                other => panic!("{schedule:?}: {other:?}"),
            }
        }
    }
}
