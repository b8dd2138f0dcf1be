//! How much work goes into one submission.

use std::time::{Duration, Instant};

use super::programs::RING_ROWS;

/// The time that one submission should take: long enough to hide its cost, short enough that no driver kills it.
const SUBMISSION: Duration = Duration::from_millis(80);

/// The fewest steps of a submission, so that its readback does not count.
const FEWEST: u64 = 64;

/// How many steps a submission runs.
pub(super) struct Pace {
    steps: u64,
    /// When the last answer came.
    answered: Instant,
}

impl Pace {
    pub fn new() -> Self {
        Pace {
            steps: 8,
            answered: Instant::now(),
        }
    }

    /// How many the next one should.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes the arrival of an answer to `steps` steps submitted at `begun`.
    ///
    /// The next submission should take [`SUBMISSION`], but run [`FEWEST`] steps unless those take over a second.
    pub fn took(&mut self, steps: u64, begun: Instant) {
        // Work waits for what was submitted before it.
        let time = begun
            .max(std::mem::replace(&mut self.answered, Instant::now()))
            .elapsed();
        let per_step = time.as_secs_f64().max(1e-9) / steps as f64;
        let in_time = |seconds: f64| (seconds / per_step) as u64;
        let wanted = in_time(SUBMISSION.as_secs_f64()).max(in_time(1.0).min(FEWEST));
        self.steps = wanted
            .clamp(1, steps.saturating_mul(8))
            .min(RING_ROWS as u64);
    }
}
