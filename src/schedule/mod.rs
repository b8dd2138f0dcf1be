//! Learning-rate schedules: the rate as a function of the step.
//!
//! Names, formulas and defaults are those of Keras 3 (`keras.optimizers.schedules`).

use serde::{Deserialize, Serialize};

mod validate;
mod value;

pub(crate) use value::round;

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

    /// Whether it is a warm-up already.
    fn warms_up(&self) -> bool {
        match self {
            Schedule::Warmup { .. } => true,
            Schedule::CosineDecay { warmup_target, .. } => warmup_target.is_some(),
            _ => false,
        }
    }
}
