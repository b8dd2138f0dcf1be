//! The learning rate set by the host between epochs.

use crate::{Error, Result};

use super::monitor::{at_least_one, not_below_zero};
use super::{Callback, Kept, Moment, Monitor};

/// Lowers the learning rate when a figure no longer gets better: Keras' `ReduceLROnPlateau`.
///
/// The rate is lowered by a factor on the optimizer's [`Schedule`](crate::schedule::Schedule), which is as in Keras where the
/// schedule is constant.
#[derive(Debug, Clone)]
pub struct ReduceOnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: u64,
    cooldown: u64,
    min_learning_rate: f64,
    waited: u64,
    cooling: u64,
}

impl ReduceOnPlateau {
    /// Watches a figure, such as `val_loss`, with Keras' defaults: to a tenth after 10 epochs without an improvement by
    /// more than 1e-4, no cool-down, no least rate.
    pub fn new(monitor: impl Into<Monitor>) -> Self {
        let mut monitor = monitor.into();
        monitor.min_delta = 1e-4;
        ReduceOnPlateau {
            monitor,
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_learning_rate: 0.0,
            waited: 0,
            cooling: 0,
        }
    }

    /// What the rate is multiplied by, above 0 and below 1; default 0.1.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Epochs without an improvement before the rate falls; default 10.
    pub fn patience(mut self, epochs: u64) -> Self {
        self.patience = epochs;
        self
    }

    /// The least change that counts as an improvement; default 1e-4.
    pub fn min_delta(mut self, difference: f64) -> Self {
        self.monitor.min_delta = difference;
        self
    }

    /// Epochs after a fall in which nothing is counted; default 0.
    pub fn cooldown(mut self, epochs: u64) -> Self {
        self.cooldown = epochs;
        self
    }

    /// The rate below which it does not fall; default 0.
    pub fn min_learning_rate(mut self, rate: f64) -> Self {
        self.min_learning_rate = rate;
        self
    }
}

impl Callback for ReduceOnPlateau {
    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        if !(self.factor > 0.0 && self.factor < 1.0) {
            let message = format!("must be above 0 and below 1, got {}", self.factor);
            return Err(Error::argument("factor", message));
        }
        at_least_one("patience", self.patience)?;
        not_below_zero("min_learning_rate", self.min_learning_rate)?;
        self.monitor.begin(moment.validates, moment.model)?;
        (self.waited, self.cooling) = (0, 0);
        self.monitor.best = None;
        Ok(())
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        if self.cooling > 0 {
            self.cooling -= 1;
            self.waited = 0;
        }
        if self.monitor.improves(moment)? {
            self.waited = 0;
        } else if self.cooling == 0 {
            self.waited = self.waited.saturating_add(1);
            if self.waited >= self.patience {
                let rate = f64::from(moment.model.learning_rate()?);
                // Rates are f32.
                if rate > f64::from(self.min_learning_rate as f32) {
                    let lower = (rate * self.factor).max(self.min_learning_rate);
                    moment.model.set_learning_rate(lower as f32)?;
                    self.cooling = self.cooldown;
                    self.waited = 0;
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> Result<Kept> {
        Kept::of(&(self.waited, self.cooling, self.monitor.bits()))
    }

    fn restore(&mut self, kept: &Kept) -> Result<()> {
        let best: Option<u64>;
        (self.waited, self.cooling, best) = kept.values()?;
        self.monitor.best = best.map(f64::from_bits);
        Ok(())
    }
}

/// Sets the learning rate before every epoch by a function of the epoch's number, counted from 0, and the rate so far, as
/// Keras' callback of that name.
///
/// A [`Schedule`](crate::schedule::Schedule) is evaluated on the device for every step and costs nothing; this is for what
/// no schedule expresses.
pub struct LearningRateScheduler<F> {
    schedule: F,
}

impl<F: FnMut(u64, f32) -> f32 + Send> LearningRateScheduler<F> {
    /// `schedule(epoch, rate)` is the rate of that epoch.
    pub fn new(schedule: F) -> Self {
        LearningRateScheduler { schedule }
    }

    fn set(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let rate = moment.model.learning_rate()?;
        let next = (self.schedule)(moment.epoch(), rate);
        if next == rate {
            return Ok(());
        }
        moment.model.set_learning_rate(next)
    }
}

impl<F: FnMut(u64, f32) -> f32 + Send> Callback for LearningRateScheduler<F> {
    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        if moment.resumed {
            // The rate is part of the run's state.
            return Ok(());
        }
        self.set(moment)
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.set(moment)
    }
}
