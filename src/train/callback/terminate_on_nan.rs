//! Ends a run whose loss is no number any more.

use crate::Result;

use super::{Callback, Moment, Timing};

/// Ends a run in which the loss of a step became NaN or infinite, by a reason in [`History::stop`](crate::train::History)
/// instead of an error, as Keras' `TerminateOnNaN` does: for a run with
/// [`Fit::on_non_finite`](crate::train::Fit::on_non_finite)`(NonFinite::GoOn)`, since by default such a loss is an error.
///
/// The callback looks at the losses after every epoch, while the device is at work on later ones, and costs the training nothing; Keras looks after
/// every step, which is [`every(1)`](Self::every).
#[derive(Debug, Clone, Default)]
pub struct TerminateOnNaN {
    every: Option<u64>,
    seen: usize,
}

impl TerminateOnNaN {
    /// Looks whenever this many steps are done, before the next begin.
    pub fn every(mut self, steps: u64) -> Self {
        self.every = Some(steps);
        self
    }

    fn look(&mut self, moment: &mut Moment<'_>) {
        let losses = &moment.history.step_losses;
        let mut new = losses.iter().enumerate().skip(self.seen);
        self.seen = losses.len();
        if let Some((step, loss)) = new.find(|(_, loss)| !loss.is_finite()) {
            moment.stop(format!("the loss of step {} is {loss}", step + 1));
        }
    }
}

impl Callback for TerminateOnNaN {
    fn timing(&self) -> Timing {
        match self.every {
            Some(steps) => Timing::Steps(steps),
            None => Timing::Overlapping,
        }
    }

    fn begin(&mut self, _moment: &mut Moment<'_>) -> Result<()> {
        self.seen = 0;
        Ok(())
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.look(moment);
        Ok(())
    }

    fn steps(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        self.look(moment);
        Ok(())
    }
}
