//! Learning-rate schedules: the rate as a function of the step.
//!
//! Names, formulas and defaults are those of Keras 3 (`keras.optimizers.schedules`).

use serde::{Deserialize, Serialize};

mod cosine;
mod decay;
mod formula;
mod listed;

use crate::Result;
use crate::number::Known;

pub use cosine::{CosineAnnealing, CosineDecay, CosineDecayRestarts, OneCycle};
pub use decay::{ExponentialDecay, InverseTimeDecay, PolynomialDecay};
use formula::ScheduleFormula;
pub(crate) use formula::{DeviceNumbers, decimal};
pub use listed::{PiecewiseConstant, Warmup};

/// The table of schedules: a line each, whose formula is in a file of this folder.
macro_rules! schedules {
    ($($(#[$doc:meta])* $name:ident($settings:ty),)*) => {
        /// The learning rate η as a function of s, the number of updates done before this one (Keras' `iterations`).
        ///
        /// A plain number converts into [`Schedule::Constant`]; the functions of this type take what has no default and set
        /// the rest as Keras does.
        ///
        /// ```
        /// use kiln::optim::Schedule;
        ///
        /// let schedule = Schedule::exponential_decay(0.1, 7, 0.9);
        /// assert!((schedule.value::<f32>(7) - 0.09).abs() < 1e-8);
        /// ```
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Schedule {
            $($(#[$doc])* $name($settings),)*
        }

        $(impl From<$settings> for Schedule {
            fn from(settings: $settings) -> Self {
                Schedule::$name(settings)
            }
        })*

        impl Schedule {
            /// Checks that every number is finite and in its range.
            ///
            /// # Errors
            ///
            /// The first field that is not, by name.
            pub fn validate(&self) -> Result<()> {
                match self {
                    $(Schedule::$name(own) => own.validate(),)*
                }
            }

            /// η for the update after `step` others.
            pub fn value<N: Known>(&self, step: u32) -> N {
                match self {
                    $(Schedule::$name(own) => own.value(step),)*
                }
            }

            /// How far a device's η may be off.
            pub(crate) fn error(&self, step: u32) -> f64 {
                match self {
                    $(Schedule::$name(own) => own.error(step),)*
                }
            }

            /// The numbers that `schedule.wgsl` computes it from.
            pub(crate) fn device(&self) -> DeviceNumbers {
                match self {
                    $(Schedule::$name(own) => own.device(),)*
                }
            }

            /// The numbers that must lie on the device beside those of every schedule: boundaries and values.
            pub(crate) fn table(&self) -> Option<Vec<f32>> {
                match self {
                    $(Schedule::$name(own) => own.table(),)*
                }
            }
        }
    };
}

schedules! {
    /// The same η at every step.
    Constant(f32),
    /// Falls by a factor every few steps.
    ExponentialDecay(ExponentialDecay),
    /// Falls as one over the steps.
    InverseTimeDecay(InverseTimeDecay),
    /// Falls along a polynomial, or a straight line.
    PolynomialDecay(PolynomialDecay),
    /// Falls along half a cosine, after a warm-up or without one.
    CosineDecay(CosineDecay),
    /// Falls along half a cosine again and again.
    CosineDecayRestarts(CosineDecayRestarts),
    /// Falls and rises along a cosine for ever.
    CosineAnnealing(CosineAnnealing),
    /// Rises to a top and falls from there.
    OneCycle(OneCycle),
    /// One η for each stretch of steps.
    PiecewiseConstant(PiecewiseConstant),
    /// η of every step, and the last one after them. The table lies on the device.
    Table(Vec<f32>),
    /// A straight line before another schedule.
    Warmup(Warmup),
}

impl Schedule {
    /// η = initial·decay_rate^(s/decay_steps), without jumps.
    pub fn exponential_decay(initial: f32, decay_steps: u32, decay_rate: f32) -> Self {
        ExponentialDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase: false,
        }
        .into()
    }

    /// η = initial/(1 + decay_rate·s/decay_steps), without jumps.
    pub fn inverse_time_decay(initial: f32, decay_steps: u32, decay_rate: f32) -> Self {
        InverseTimeDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase: false,
        }
        .into()
    }

    /// A straight line from `initial` to 0.0001.
    pub fn polynomial_decay(initial: f32, decay_steps: u32) -> Self {
        PolynomialDecay {
            initial,
            decay_steps,
            end: 0.0001,
            power: 1.0,
            cycle: false,
        }
        .into()
    }

    /// initial·factorⁱ with the i-th `every` steps: PyTorch's `StepLR`.
    pub fn steps(initial: f32, every: u32, factor: f32) -> Self {
        ExponentialDecay {
            initial,
            decay_steps: every,
            decay_rate: factor,
            staircase: true,
        }
        .into()
    }

    /// initial·factorⁱ from the i-th of the milestones on: PyTorch's `MultiStepLR`. Milestones are at least 1.
    pub fn milestones(initial: f32, milestones: &[u32], factor: f32) -> Self {
        let powers = (0..=milestones.len()).map(|i| f64::from(factor).powi(i as i32));
        PiecewiseConstant {
            boundaries: milestones
                .iter()
                .map(|milestone| milestone.wrapping_sub(1))
                .collect(),
            values: powers
                .map(|power| (f64::from(initial) * power) as f32)
                .collect(),
        }
        .into()
    }

    /// Cosine decays of which each is twice as long as the one before, all from `initial` to 0.
    pub fn cosine_decay_restarts(initial: f32, first_decay_steps: u32) -> Self {
        CosineDecayRestarts {
            initial,
            first_decay_steps,
            t_mul: 2.0,
            m_mul: 1.0,
            alpha: 0.0,
        }
        .into()
    }

    /// Up from top/25 in 3 tenths of the steps and down to top/250 000, on cosines.
    pub fn one_cycle(top: f32, steps: u32) -> Self {
        OneCycle {
            top,
            steps,
            share: 0.3,
            div_factor: 25.0,
            final_div_factor: 1e4,
            linear: false,
        }
        .into()
    }

    /// The schedule after a straight line of `steps` steps from `initial` to where it begins.
    pub fn warmup(self, initial: f32, steps: u32) -> Self {
        Warmup {
            initial,
            steps,
            then: Box::new(self),
        }
        .into()
    }

    /// Half a cosine from `initial` to 0, without a warm-up.
    pub fn cosine_decay(initial: f32, decay_steps: u32) -> Self {
        CosineDecay {
            initial,
            decay_steps,
            alpha: 0.0,
            warmup_target: None,
            warmup_steps: 0,
        }
        .into()
    }

    /// Whether it is a warm-up already.
    fn warms_up(&self) -> bool {
        match self {
            Schedule::Warmup(_) => true,
            Schedule::CosineDecay(decay) => decay.warmup_target.is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
