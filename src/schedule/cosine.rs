//! Rates along cosines: down once, down again and again, down and up, up and down.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::number::{Known, UNIT};
use crate::range::{above_zero, at_least_one, at_least_zero, fraction, within};

use super::formula::{DeviceNumbers, ScheduleFormula, count, decimal, log2, rise};

/// η = top·((1 − alpha)·½(1 + cos(π·s/decay_steps)) + alpha), and top·alpha from `decay_steps` on.
///
/// Without `warmup_target` top = initial. With it η first climbs in a straight line from `initial` to
/// top = warmup_target in `warmup_steps` steps, from where s counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CosineDecay {
    /// η at the first step.
    pub initial: f32,
    /// The steps of the decay, those of the warm-up not included; at least 1.
    pub decay_steps: u32,
    /// The last η as a fraction of the highest, in `[0, 1]`. Keras' default: 0.
    pub alpha: f32,
    /// The η that the warm-up climbs to. Keras' default: none.
    pub warmup_target: Option<f32>,
    /// The steps of the warm-up; without a target there is none. Keras' default: 0.
    pub warmup_steps: u32,
}

impl ScheduleFormula for CosineDecay {
    fn validate(&self) -> Result<()> {
        at_least_zero("initial", self.initial)?;
        at_least_one("decay_steps", self.decay_steps)?;
        at_least_zero("warmup_target", self.warmup_target.unwrap_or(0.0))?;
        fraction("alpha", self.alpha)
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let (top, warmup_steps) = match self.warmup_target {
            Some(target) => (N::given(target), self.warmup_steps),
            None => (N::given(self.initial), 0),
        };
        if step < warmup_steps {
            let climbed = count::<N>(step) / count(warmup_steps);
            let initial = N::given(self.initial);
            return (top - initial) * climbed + initial;
        }
        let left = self.decay_steps - (step - warmup_steps).min(self.decay_steps);
        let fall = rise(count::<N>(left) / count(self.decay_steps));
        let alpha = N::given(self.alpha);
        top * ((N::constant(1.0) - alpha) * fall + alpha)
    }

    fn device(&self) -> DeviceNumbers {
        let plain = DeviceNumbers {
            top: self.initial,
            decay_steps: self.decay_steps,
            end: self.alpha,
            ..DeviceNumbers::new(4)
        };
        let Some(target) = self.warmup_target else {
            return plain;
        };
        DeviceNumbers {
            top: target,
            warmup_steps: self.warmup_steps,
            start: self.initial,
            climb: target - self.initial,
            ..plain
        }
    }
}

/// Cosine decays one after the other (Loshchilov and Hutter, 2016; Keras' `CosineDecayRestarts`): the i-th, from 0, takes
/// first_decay_steps·t_mulⁱ steps and begins at initial·m_mulⁱ.
///
/// PyTorch's `CosineAnnealingWarmRestarts` is the same with `T_0`, `T_mult` and alpha = `eta_min`/initial, and with a t_mul
/// of 1 by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CosineDecayRestarts {
    /// η at the first step.
    pub initial: f32,
    /// The steps of the first decay; at least 1.
    pub first_decay_steps: u32,
    /// The factor of the steps: 1, or at least 1.01. Keras' default: 2.
    pub t_mul: f32,
    /// The factor of the height; above 0. Keras' default: 1.
    pub m_mul: f32,
    /// The last η of a decay as a fraction of the first, in `[0, 1]`. Keras' default: 0.
    pub alpha: f32,
}

impl CosineDecayRestarts {
    /// Which of the decays a step is in, how far, and how long that decay is.
    fn round<N: Known>(&self, step: u32) -> (u32, N, N) {
        if self.t_mul == 1.0 {
            let first = self.first_decay_steps.max(1);
            return (step / first, count(step % first), count(first));
        }
        let (mut round, mut done, mut length) =
            (0, count::<N>(step), count::<N>(self.first_decay_steps));
        while done.decides() >= length.decides() {
            done = done - length;
            length = length * N::given(self.t_mul);
            round += 1;
        }
        (round, done, length)
    }
}

impl ScheduleFormula for CosineDecayRestarts {
    fn validate(&self) -> Result<()> {
        at_least_zero("initial", self.initial)?;
        at_least_one("first_decay_steps", self.first_decay_steps)?;
        let fits = self.t_mul == 1.0 || (1.01..f32::INFINITY).contains(&self.t_mul);
        within(fits, "t_mul", "1, or at least 1.01 and finite", self.t_mul)?;
        above_zero("m_mul", self.m_mul)?;
        fraction("alpha", self.alpha)
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let (round, done, length) = self.round::<N>(step);
        let round = i32::try_from(round).unwrap_or(i32::MAX);
        let fall = N::given(self.m_mul).whole_power(round) * rise((length - done) / length);
        let alpha = N::given(self.alpha);
        N::given(self.initial) * ((N::constant(1.0) - alpha) * fall + alpha)
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            top: self.initial,
            decay_steps: self.first_decay_steps,
            end: self.alpha,
            power: self.t_mul,
            rate: log2(self.m_mul),
            ..DeviceNumbers::new(5)
        }
    }

    /// A device may be in the next decay already, which no tracked number says.
    fn error(&self, step: u32) -> f64 {
        let (number, done, length) = self.round::<f64>(step);
        // The sum of the lengths before is off by a unit of each.
        let off = if self.t_mul.fract() == 0.0 {
            0.0
        } else {
            2.0 * f64::from(number) * f64::from(step)
        };
        let initial = f64::from(self.initial);
        if done < off * UNIT || length - done < off * UNIT {
            return initial;
        }
        let height = initial * f64::from(self.m_mul).powi(number as i32);
        let exponent = f64::from(number) * f64::from(self.m_mul).log2().abs();
        let angle = 3.15 * off / length * height;
        UNIT * ((40.0 + 12.0 * exponent) * self.value::<f64>(step) + angle)
    }
}

/// η = minimum + (initial − minimum)·½(1 + cos(π·s/steps)), down and up again for ever: PyTorch's `CosineAnnealingLR`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CosineAnnealing {
    /// η at the first step.
    pub initial: f32,
    /// The steps of half a cosine; at least 1.
    pub steps: u32,
    /// The least η. PyTorch's default: 0.
    pub minimum: f32,
}

impl ScheduleFormula for CosineAnnealing {
    fn validate(&self) -> Result<()> {
        at_least_zero("initial", self.initial)?;
        let fits = (1..=1 << 30).contains(&self.steps);
        within(fits, "steps", "between 1 and 2^30", self.steps)?;
        at_least_zero("minimum", self.minimum)
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let place = step % self.steps.saturating_mul(2).max(1);
        let fall = rise(count::<N>(self.steps.abs_diff(place)) / count(self.steps));
        let (initial, minimum) = (N::given(self.initial), N::given(self.minimum));
        (initial - minimum) * fall + minimum
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            initial: self.initial,
            decay_steps: self.steps,
            end: self.minimum,
            ..DeviceNumbers::new(6)
        }
    }
}

/// Up from top/div_factor to top within the first `share` of the steps, then down to top/div_factor/final_div_factor at the
/// last, on cosines or straight lines: PyTorch's `OneCycleLR` (Smith, 2017).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OneCycle {
    /// The highest η.
    pub top: f32,
    /// The steps of the cycle; `share`·steps must be above 1.
    pub steps: u32,
    /// The share of the steps that rise, in (0, 1). PyTorch's default: 0.3.
    pub share: f32,
    /// What the first η is smaller by; at least 1. PyTorch's default: 25.
    pub div_factor: f32,
    /// What the last η is smaller by again; at least 1. PyTorch's default: 10 000.
    pub final_div_factor: f32,
    /// Whether in straight lines. PyTorch's default: false.
    pub linear: bool,
}

impl OneCycle {
    /// η at first and at last.
    fn ends(&self) -> [f32; 2] {
        let first = f64::from(self.top) / f64::from(self.div_factor);
        let last = first / f64::from(self.final_div_factor);
        [first as f32, last as f32]
    }

    /// The steps of the top and of the last η, as the device has them.
    fn places(&self) -> [f32; 2] {
        let peak = decimal(self.share) * f64::from(self.steps) - 1.0;
        [peak as f32, (f64::from(self.steps) - 1.0) as f32]
    }
}

impl ScheduleFormula for OneCycle {
    fn validate(&self) -> Result<()> {
        at_least_zero("top", self.top)?;
        let share = self.share;
        within(share > 0.0 && share < 1.0, "share", "in (0, 1)", share)?;
        let [peak, end] = self.places();
        let fits = peak > 0.0 && end > peak;
        let range = "more than 1 on either side of the top";
        within(fits, "steps", range, self.steps)?;
        for (name, factor) in [
            ("div_factor", self.div_factor),
            ("final_div_factor", self.final_div_factor),
        ] {
            let fits = (1.0..f32::INFINITY).contains(&factor);
            within(fits, name, "at least 1 and finite", factor)?;
        }
        Ok(())
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let ([first, last], [peak, end]) = (self.ends().map(N::given), self.places().map(N::given));
        let (s, one, top) = (count::<N>(step), N::constant(1.0), N::given(self.top));
        let (from, to, share) = if s.decides() <= peak.decides() {
            (first, top, s / peak)
        } else {
            (top, last, ((s - peak) / (end - peak)).smaller(one))
        };
        let left = one - share;
        to + (from - to) * if self.linear { left } else { rise(left) }
    }

    fn device(&self) -> DeviceNumbers {
        let ([first, last], [peak, end]) = (self.ends(), self.places());
        DeviceNumbers {
            initial: first,
            top: self.top,
            end: last,
            power: peak,
            rate: end,
            staircase: self.linear,
            ..DeviceNumbers::new(7)
        }
    }
}
