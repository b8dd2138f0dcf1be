//! Stops when a figure is good enough.

use crate::{Error, Result};

use super::{Callback, Moment, Monitor};

/// Ends a run after the first epoch whose figure is at the target or beyond it: `StopAt::new("val_accuracy", 0.95)`. A figure
/// that is the target to the precision of f32 is at it.
///
/// [`Fit::until_loss`](crate::train::Fit::until_loss) is the short form for the training loss.
#[derive(Debug, Clone)]
pub struct StopAt {
    monitor: Monitor,
    target: f64,
}

impl StopAt {
    /// Watches a figure, such as `val_accuracy`.
    pub fn new(monitor: impl Into<Monitor>, target: f64) -> Self {
        StopAt {
            monitor: monitor.into(),
            target,
        }
    }
}

impl Callback for StopAt {
    fn begin(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        if self.target.is_nan() {
            return Err(Error::argument("target", "must be a number, got NaN"));
        }
        self.monitor.begin(moment.validates, moment.model)
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        let (name, target) = (&self.monitor.name, self.target);
        let value = moment.figure(name)?;
        if self.monitor.reaches(value, target) {
            moment.stop(format!("{name} {value:.6} reached the target {target}"));
        }
        Ok(())
    }
}
