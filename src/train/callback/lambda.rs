//! A closure as a callback.

use crate::Result;

use super::{Callback, Moment, Timing};

/// Calls a closure after every epoch: `Lambda::new(|moment| { println!("{}", moment.history); Ok(()) })`.
pub struct Lambda<F> {
    closure: F,
    timing: Timing,
}

impl<F: FnMut(&mut Moment<'_>) -> Result<()> + Send> Lambda<F> {
    /// Calls `closure` before the next epoch begins.
    pub fn new(closure: F) -> Self {
        Lambda {
            closure,
            timing: Timing::Epochs,
        }
    }

    /// When it is called; default [`Timing::Epochs`].
    pub fn at(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }
}

impl<F: FnMut(&mut Moment<'_>) -> Result<()> + Send> Callback for Lambda<F> {
    fn timing(&self) -> Timing {
        self.timing
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        (self.closure)(moment)
    }

    fn steps(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        (self.closure)(moment)
    }
}
