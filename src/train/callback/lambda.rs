//! A closure as a callback.

use crate::Result;

use super::{Callback, Moment, Timing};

/// Calls a closure after every epoch: `Lambda::new(|moment| { println!("{:?}", moment.figures()); Ok(()) })`.
pub struct Lambda<F> {
    closure: F,
    timing: Timing,
}

impl<F: FnMut(&mut Moment<'_>) -> Result<()> + Send> Lambda<F> {
    /// Called before the next epoch begins.
    pub fn new(closure: F) -> Self {
        Lambda {
            closure,
            timing: Timing::Epochs,
        }
    }

    /// Called after every `steps` steps too, before the next begin.
    pub fn every(mut self, steps: u64) -> Self {
        self.timing = Timing::Steps(steps);
        self
    }

    /// Called while the device works on: it must neither read nor change the model, and costs nothing.
    pub fn overlapping(mut self) -> Self {
        self.timing = Timing::Overlapping;
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
