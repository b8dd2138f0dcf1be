//! Stops when a figure no longer gets better.

use crate::{Error, Result, Snapshot};

use super::monitor::at_least_one;
use super::{Callback, Kept, Moment, Monitor};

/// Ends a run after `patience` epochs in which the monitored figure did not get better by more than `min_delta`.
///
/// Names and behaviour are those of Keras 3's `EarlyStopping`. There patience is 0 by default and then means the same as 1;
/// here it must be given, and 0 is refused.
#[derive(Debug, Clone)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: u64,
    baseline: Option<f64>,
    start_from_epoch: u64,
    restore_best: bool,
    waited: u64,
    best_epoch: Option<u64>,
    best: Option<Snapshot>,
}

impl EarlyStopping {
    /// Watches a figure, such as `val_loss`, with patience for this many epochs without an improvement; at least 1.
    pub fn new(monitor: impl Into<Monitor>, patience: u64) -> Self {
        EarlyStopping {
            monitor: monitor.into(),
            patience,
            baseline: None,
            start_from_epoch: 0,
            restore_best: false,
            waited: 0,
            best_epoch: None,
            best: None,
        }
    }

    /// The least change that counts as an improvement; default 0.
    pub fn min_delta(mut self, difference: f64) -> Self {
        self.monitor.min_delta = difference;
        self
    }

    /// A figure that must be beaten for the waiting to begin anew; default none. As in Keras 3, an epoch that is the best so
    /// far but does not beat it is one more that was waited, and the run does not end with it.
    pub fn baseline(mut self, figure: f64) -> Self {
        self.baseline = Some(figure);
        self
    }

    /// Epochs at the beginning that are not watched; default 0.
    pub fn start_from_epoch(mut self, epochs: u64) -> Self {
        self.start_from_epoch = epochs;
        self
    }

    /// Whether the weights and optimizer states of the best epoch come back when the run ends; default false.
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best = restore;
        self
    }

    /// The best epoch, counted from 1, and its figure.
    pub fn best(&self) -> Option<(u64, f64)> {
        self.best_epoch.zip(self.monitor.best)
    }
}

impl Callback for EarlyStopping {
    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        at_least_one("patience", self.patience)?;
        if self.baseline.is_some_and(f64::is_nan) {
            return Err(Error::argument("baseline", "must be a number, got NaN"));
        }
        self.monitor.begin(moment.validates, moment.model)?;
        (self.waited, self.best_epoch, self.best) = (0, None, None);
        self.monitor.best = None;
        Ok(())
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let epoch = moment.epoch();
        if epoch <= self.start_from_epoch {
            return Ok(());
        }
        self.waited = self.waited.saturating_add(1);
        if self.monitor.improves(moment)? {
            self.best_epoch = Some(epoch);
            if self.restore_best {
                self.best = Some(moment.model.snapshot()?);
            }
            let beaten = self.baseline.zip(self.monitor.best);
            if beaten.is_none_or(|(baseline, best)| self.monitor.beats(best, baseline)) {
                self.waited = 0;
            }
            return Ok(());
        }
        // The first epoch ends no run, though its figure be NaN.
        if self.waited >= self.patience && epoch > 1 {
            let best = self.best().map_or(String::new(), |(epoch, value)| {
                format!("; the best is {value:.6} of epoch {epoch}")
            });
            let (name, waited) = (&self.monitor.name, self.waited);
            moment.stop(format!(
                "{name} did not get better in {waited} epochs{best}"
            ));
        }
        Ok(())
    }

    fn state(&self) -> Result<Kept> {
        Ok(Kept {
            snapshot: self.best.clone(),
            ..Kept::of(&(self.waited, self.best_epoch, self.monitor.bits()))?
        })
    }

    fn restore(&mut self, kept: &Kept) -> Result<()> {
        let best: Option<u64>;
        (self.waited, self.best_epoch, best) = kept.values()?;
        self.monitor.best = best.map(f64::from_bits);
        self.best.clone_from(&kept.snapshot);
        Ok(())
    }

    fn end(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        match self.best.take() {
            Some(best) => moment.model.restore(&best),
            None => Ok(()),
        }
    }
}
