//! Decays by a power, by a quotient, and along a polynomial.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::number::Known;
use crate::range::{above_zero, at_least_one, at_least_zero};

use super::formula::{DeviceNumbers, ScheduleFormula, count, log2, progress};

/// η = initial·decay_rate^(s/decay_steps).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExponentialDecay {
    /// η at the first step.
    pub initial: f32,
    /// The steps in which η falls by `decay_rate`; at least 1.
    pub decay_steps: u32,
    /// The factor; above 0.
    pub decay_rate: f32,
    /// Whether s/decay_steps is rounded down, so that η falls in jumps. Keras' default: false.
    pub staircase: bool,
}

impl ScheduleFormula for ExponentialDecay {
    fn validate(&self) -> Result<()> {
        at_least_zero("initial", self.initial)?;
        at_least_one("decay_steps", self.decay_steps)?;
        above_zero("decay_rate", self.decay_rate)
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let exponent = progress(step, self.decay_steps, self.staircase);
        N::given(self.initial) * N::given(self.decay_rate).power(exponent)
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            initial: self.initial,
            rate: log2(self.decay_rate),
            decay_steps: self.decay_steps,
            staircase: self.staircase,
            ..DeviceNumbers::new(1)
        }
    }
}

/// η = initial/(1 + decay_rate·s/decay_steps).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InverseTimeDecay {
    /// η at the first step.
    pub initial: f32,
    /// The steps in which the divisor grows by `decay_rate`; at least 1.
    pub decay_steps: u32,
    /// The growth; at least 0.
    pub decay_rate: f32,
    /// Whether s/decay_steps is rounded down, so that η falls in jumps. Keras' default: false.
    pub staircase: bool,
}

impl ScheduleFormula for InverseTimeDecay {
    fn validate(&self) -> Result<()> {
        at_least_zero("initial", self.initial)?;
        at_least_one("decay_steps", self.decay_steps)?;
        at_least_zero("decay_rate", self.decay_rate)
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let passed = progress::<N>(step, self.decay_steps, self.staircase);
        N::given(self.initial) / (N::constant(1.0) + N::given(self.decay_rate) * passed)
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            initial: self.initial,
            rate: self.decay_rate,
            decay_steps: self.decay_steps,
            staircase: self.staircase,
            ..DeviceNumbers::new(2)
        }
    }
}

/// η = (initial − end)·(1 − s/decay_steps)^power + end, and `end` from `decay_steps` on (Keras' `cycle=False`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolynomialDecay {
    /// η at the first step.
    pub initial: f32,
    /// The steps until η = end; at least 1.
    pub decay_steps: u32,
    /// The last η. Keras' default: 0.0001.
    pub end: f32,
    /// The exponent; above 0. Keras' default: 1, a straight line.
    pub power: f32,
    /// Whether it begins anew instead, over the least multiple of `decay_steps` that is not below s (Keras' `cycle`).
    /// Keras' default: false.
    #[serde(default)]
    pub cycle: bool,
}

impl ScheduleFormula for PolynomialDecay {
    fn validate(&self) -> Result<()> {
        at_least_zero("initial", self.initial)?;
        at_least_one("decay_steps", self.decay_steps)?;
        at_least_zero("end", self.end)?;
        above_zero("power", self.power)
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let times = if self.cycle {
            step.div_ceil(self.decay_steps.max(1)).max(1)
        } else {
            1
        };
        let whole = self.decay_steps.saturating_mul(times);
        let left = count::<N>(whole.saturating_sub(step)) / count(whole);
        // A straight line is no power on devices either.
        let fall = if self.power == 1.0 {
            left
        } else {
            left.power(N::given(self.power))
        };
        let (initial, end) = (N::given(self.initial), N::given(self.end));
        (initial - end) * fall + end
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            initial: self.initial,
            decay_steps: self.decay_steps,
            end: self.end,
            power: self.power,
            staircase: self.cycle,
            ..DeviceNumbers::new(3)
        }
    }
}
