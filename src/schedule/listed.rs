//! Rates that are listed: one for all steps, one for each stretch of steps, one for each step; and the warm-up before others.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::number::Known;
use crate::range::{at_least_one, at_least_zero, within};

use super::Schedule;
use super::formula::{DeviceNumbers, ScheduleFormula, count};

/// The same η at every step.
impl ScheduleFormula for f32 {
    fn validate(&self) -> Result<()> {
        at_least_zero("learning_rate", *self)
    }

    fn value<N: Known>(&self, _step: u32) -> N {
        N::given(*self)
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            initial: *self,
            ..DeviceNumbers::new(0)
        }
    }
}

/// The first value while s ≤ the first boundary, the second up to the second one, and so on: Keras'
/// `PiecewiseConstantDecay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PiecewiseConstant {
    /// Steps in ascending order, at most 1000, below 2²⁴.
    pub boundaries: Vec<u32>,
    /// One value more than there are boundaries.
    pub values: Vec<f32>,
}

impl ScheduleFormula for PiecewiseConstant {
    fn validate(&self) -> Result<()> {
        let boundaries = &self.boundaries;
        let ascending = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
        let last = boundaries.last().copied().unwrap_or(0);
        let fits = ascending && last < 1 << 24 && boundaries.len() <= 1000;
        let range = "at most 1000 ascending steps below 2^24";
        within(fits, "boundaries", range, format!("{boundaries:?}"))?;
        let fits = self.values.len() == boundaries.len() + 1;
        let range = format!("{} values", boundaries.len() + 1);
        within(fits, "values", &range, self.values.len())?;
        let mut values = self.values.iter();
        values.try_for_each(|&value| at_least_zero("values", value))
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let passed = self.boundaries.iter().filter(|&&boundary| step > boundary);
        N::given(self.values.get(passed.count()).copied().unwrap_or(0.0))
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            decay_steps: u32::try_from(self.boundaries.len()).unwrap_or(u32::MAX),
            ..DeviceNumbers::new(8)
        }
    }

    fn table(&self) -> Option<Vec<f32>> {
        let boundaries = self.boundaries.iter().map(|&boundary| boundary as f32);
        Some(boundaries.chain(self.values.iter().copied()).collect())
    }
}

/// η of every step, and the last one after them.
impl ScheduleFormula for Vec<f32> {
    fn validate(&self) -> Result<()> {
        within(!self.is_empty(), "table", "at least one value", "none")?;
        self.iter()
            .try_for_each(|&value| at_least_zero("table", value))
    }

    fn value<N: Known>(&self, step: u32) -> N {
        let value = self.get(step as usize).or(self.last());
        N::given(value.copied().unwrap_or(0.0))
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            decay_steps: u32::try_from(self.len()).unwrap_or(u32::MAX),
            ..DeviceNumbers::new(9)
        }
    }

    fn table(&self) -> Option<Vec<f32>> {
        Some(self.clone())
    }
}

/// A straight line from `initial` to the first η of another schedule, which begins after `steps` steps.
///
/// PyTorch's `LinearLR` before it in a `SequentialLR`, with `initial` = start_factor·η.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Warmup {
    /// η at the first step.
    pub initial: f32,
    /// The steps until the other schedule begins; at least 1.
    pub steps: u32,
    /// What follows; no warm-up.
    pub then: Box<Schedule>,
}

impl Warmup {
    /// How far η climbs.
    fn climb(&self) -> f32 {
        self.then.value::<f32>(0) - self.initial
    }
}

impl ScheduleFormula for Warmup {
    fn validate(&self) -> Result<()> {
        at_least_zero("initial", self.initial)?;
        at_least_one("steps", self.steps)?;
        within(!self.then.warms_up(), "then", "no warm-up itself", "one")?;
        self.then.validate()
    }

    fn value<N: Known>(&self, step: u32) -> N {
        if step >= self.steps {
            return self.then.value(step - self.steps);
        }
        let climbed = count::<N>(step) / count(self.steps);
        N::given(self.climb()) * climbed + N::given(self.initial)
    }

    fn device(&self) -> DeviceNumbers {
        DeviceNumbers {
            warmup_steps: self.steps,
            start: self.initial,
            climb: self.climb(),
            ..self.then.device()
        }
    }

    fn table(&self) -> Option<Vec<f32>> {
        self.then.table()
    }

    fn error(&self, step: u32) -> f64 {
        if step >= self.steps {
            return self.then.error(step - self.steps);
        }
        self.value::<crate::number::Tracked>(step).error
    }
}
