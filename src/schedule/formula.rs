//! What a schedule is: ranges of its numbers, the rate of a step written once over [`Known`] numbers, and its form in
//! `shaders/schedule.wgsl`.

use std::f64::consts::FRAC_PI_2;

use crate::Result;
use crate::number::{Known, Tracked};

/// A schedule's formula.
pub(super) trait ScheduleFormula {
    /// Checks that every number is finite and in its range; the error names the field.
    fn validate(&self) -> Result<()>;

    /// η for the update after `step` others. Run on [`Tracked`] numbers it also says how far a device's η may be off.
    fn value<N: Known>(&self, step: u32) -> N;

    /// The numbers that `schedule.wgsl` computes it from.
    fn device(&self) -> DeviceNumbers;

    /// Numbers that must lie on the device beside these: boundaries and values.
    fn table(&self) -> Option<Vec<f32>> {
        None
    }

    /// How far a device's η may be off.
    fn error(&self, step: u32) -> f64 {
        self.value::<Tracked>(step).error
    }
}

/// The params of `schedule.wgsl`, which says what they mean for each schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct DeviceNumbers {
    /// The number of the schedule in the shader.
    pub kind: u32,
    pub initial: f32,
    pub rate: f32,
    pub end: f32,
    pub power: f32,
    pub top: f32,
    pub decay_steps: u32,
    pub warmup_steps: u32,
    pub staircase: bool,
    pub start: f32,
    pub climb: f32,
}

impl DeviceNumbers {
    /// Numbers that do nothing, for the schedule of this number.
    pub(super) fn new(kind: u32) -> Self {
        DeviceNumbers {
            kind,
            initial: 0.0,
            rate: 0.0,
            end: 0.0,
            power: 1.0,
            top: 0.0,
            decay_steps: 1,
            warmup_steps: 0,
            staircase: false,
            start: 0.0,
            climb: 0.0,
        }
    }
}

/// A count as a number of a formula.
pub(super) fn count<N: Known>(value: u32) -> N {
    N::constant(f64::from(value))
}

/// s/decay_steps, rounded down if the schedule falls in jumps.
pub(super) fn progress<N: Known>(step: u32, decay_steps: u32, staircase: bool) -> N {
    if staircase {
        count(step / decay_steps.max(1))
    } else {
        count::<N>(step) / count(decay_steps)
    }
}

/// ½(1 − cos(π·x)) for x in [0, 1], as sin²(½π·x), which is accurate to its first step.
pub(super) fn rise<N: Known>(x: N) -> N {
    let sine = (N::constant(FRAC_PI_2) * x).sine_of_quarter();
    sine * sine
}

/// log2 of a setting, on the host in f64: a device's logarithm of a rate near 1 would be off by per cents.
pub(super) fn log2(value: f32) -> f32 {
    f64::from(value).log2() as f32
}

/// The decimal number that a float stands for: 0.3 is not the f32 next to it.
pub(crate) fn decimal(value: f32) -> f64 {
    let exact = f64::from(value);
    let decimal = (exact * 1e7).round() / 1e7;
    if decimal as f32 == value {
        decimal
    } else {
        exact
    }
}
