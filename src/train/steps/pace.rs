//! How much work goes into one submission, and into one dispatch of it.

use std::time::Duration;

use crate::Device;
use crate::edge::WallTime;

use crate::train::sizes::RING_ROWS;

/// The time that one submission should take: long enough to hide its cost.
const SUBMISSION: Duration = Duration::from_millis(80);

/// The most that one dispatch of many steps should take: drivers kill long ones, after 2 s on Windows, and a screen that
/// the same GPU draws stands still meanwhile.
const DISPATCH: Duration = Duration::from_millis(50);

/// The fewest steps of a submission, so that its cost does not count.
const FEWEST: u64 = 64;

/// Steps of the first submission, in one dispatch where a dispatch does many: nobody knows yet how long they take.
const FIRST: u64 = 8;

/// How many steps a submission runs, and a dispatch.
pub(super) struct Pace {
    /// Steps that the next submission should run.
    pub steps: u64,
    /// Seconds of a step, as the last answer has it.
    per_step: Option<f64>,
    /// The most that a submission may take.
    longest: Duration,
    /// When the last answer came.
    answered: WallTime,
}

impl Pace {
    /// For a device: its submissions stay far within the time that a wait may last, and the CPU session, which works within
    /// the call, gives way every second.
    pub fn new(device: &Device) -> Self {
        Pace {
            steps: FIRST,
            per_step: None,
            longest: device
                .deadline()
                .map_or(Duration::from_secs(1), |it| it / 6),
            answered: WallTime::now(),
        }
    }

    /// The most steps that one dispatch should do.
    pub fn steps_per_dispatch(&self) -> u64 {
        let within = |per_step: f64| ((DISPATCH.as_secs_f64() / per_step) as u64).max(1);
        self.per_step.map_or(FIRST, within)
    }

    /// Submissions that may be under way: one until its time is known, then enough that the device never waits for the host;
    /// fewer where they are long and dropping the run would have to wait for them.
    pub fn in_flight(&self) -> usize {
        match self.per_step {
            None => 1,
            Some(per_step) if per_step * self.steps as f64 > 0.5 => 2,
            Some(_) => 3,
        }
    }

    /// Takes the arrival of an answer to `steps` steps submitted at `begun`.
    pub fn took(&mut self, steps: u64, begun: WallTime) {
        // Work waits for what was submitted before it.
        let before = std::mem::replace(&mut self.answered, WallTime::now());
        self.learn(steps, begun.max(before).elapsed());
    }

    /// The next submission should take [`SUBMISSION`], but run [`FEWEST`] steps unless those take too long.
    fn learn(&mut self, steps: u64, time: Duration) {
        let per_step = time.as_secs_f64().max(1e-9) / steps.max(1) as f64;
        let within = |time: Duration| (time.as_secs_f64() / per_step) as u64;
        let wanted = within(SUBMISSION).max(within(self.longest).min(FEWEST));
        self.steps = wanted
            .clamp(1, steps.saturating_mul(8))
            .min(RING_ROWS as u64);
        self.per_step = Some(per_step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace {
            longest: Duration::from_secs(20),
            ..Pace::new(&Device::cpu())
        }
    }

    #[test]
    fn a_dispatch_takes_fifty_milliseconds_at_most_once_a_step_was_timed() {
        let mut pace = pace();
        assert_eq!(
            (pace.steps, pace.steps_per_dispatch(), pace.in_flight()),
            (8, 8, 1)
        );
        // 0.5 ms a step.
        pace.learn(8, Duration::from_millis(4));
        assert_eq!(
            (pace.steps, pace.steps_per_dispatch(), pace.in_flight()),
            (64, 100, 3)
        );
        pace.learn(64, Duration::from_millis(32));
        assert_eq!((pace.steps, pace.steps_per_dispatch()), (160, 100));
        // The machine has other things to do now.
        pace.learn(160, Duration::from_millis(1600));
        assert_eq!((pace.steps, pace.steps_per_dispatch()), (64, 5));
    }

    #[test]
    fn slow_steps_come_in_sixty_fours_too_until_they_take_a_sixth_of_a_wait() {
        let mut pace = pace();
        pace.learn(8, Duration::from_secs(2));
        assert_eq!(
            (pace.steps, pace.steps_per_dispatch(), pace.in_flight()),
            (64, 1, 2)
        );
        pace.learn(64, Duration::from_secs(64));
        assert_eq!(pace.steps, 20);
    }
}
