//! How much work goes into one submission, and into one dispatch of it.

use std::time::Duration;

use crate::Device;
use crate::edge::{WallTime, slice};
use crate::target::Class;

use crate::train::sizes::RING_ROWS;

/// The time that one submission should take: long enough to hide its cost.
const SUBMISSION: Duration = Duration::from_millis(80);

/// The most that one dispatch of many steps should take: drivers kill long ones, after 2 s on Windows, and a screen that
/// the same GPU draws stands still meanwhile.
const DISPATCH: Duration = Duration::from_millis(50);

/// The fewest steps of a submission, so that its cost does not count.
const FEWEST: u64 = 64;

/// The share of a poll's room that a submission is to take by what is known: what is left has room for a smaller one, or for a machine
/// that is busier than it was.
const SHARE: f64 = 0.75;

/// Steps of the first submission, in one dispatch where a dispatch does many: nobody knows yet how long they take.
const FIRST: u64 = 8;

/// How many steps a submission runs, and a dispatch.
pub(super) struct Pace {
    /// Steps that the next submission should run.
    pub steps: u64,
    /// Seconds of a step, as the last answer has it.
    per_step: Option<f64>,
    /// What a submission should take: long enough to hide its cost, or what a host program allows.
    wanted: Duration,
    /// The most that a submission may take, where its steps are slow.
    longest: Duration,
    /// When the last answer came.
    answered: WallTime,
    /// Whether the processor computes, so that who submits waits for it.
    software: bool,
}

/// When a submission was begun, and the [end](slice::end) of the poll that began it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun(WallTime, Option<WallTime>);

impl Begun {
    pub fn now() -> Self {
        Begun(WallTime::now(), slice::end())
    }
}

impl Pace {
    /// For a device: its submissions stay far within the time that a wait may last, and the CPU session, which works within
    /// the call, gives way every second.
    pub fn new(device: &Device) -> Self {
        let longest = device
            .deadline()
            .map_or(Duration::from_secs(1), |it| it / 6);
        let bound = device.submission();
        Pace {
            steps: bound.map_or(FIRST, |_| 1),
            per_step: None,
            wanted: bound.unwrap_or(SUBMISSION),
            longest: bound.map_or(longest, |bound| bound.min(longest)),
            answered: WallTime::now(),
            software: device.target().class != Class::Gpu,
        }
    }

    /// The time of a step, by the last answer.
    pub fn step(&self) -> Duration {
        Duration::from_secs_f64(self.per_step.unwrap_or_default())
    }

    /// The steps that the next submission should run: as many as the poll at hand has room for, where that is to end.
    pub fn next_steps(&self) -> u64 {
        let waits = self.software || slice::is_budget();
        match (slice::room(waits), self.per_step) {
            (None, _) => self.steps,
            (Some(_), None) => 1,
            (Some(room), Some(per_step)) => {
                let within = (room.as_secs_f64() * SHARE / per_step) as u64;
                within.clamp(1, self.steps)
            }
        }
    }

    /// The most steps that one dispatch should do.
    pub fn steps_per_dispatch(&self) -> u64 {
        let most = DISPATCH.min(self.wanted).as_secs_f64();
        let within = |per_step: f64| ((most / per_step) as u64).max(1);
        self.per_step.map_or(FIRST, within)
    }

    /// Submissions that may be under way: one until its time is known, then enough that the device never waits for the host;
    /// fewer where they are long and dropping the run would have to wait for them; one where each is to end in the poll that it
    /// began in, or where a host program's work would wait.
    pub fn in_flight(&self) -> usize {
        match self.per_step {
            None => 1,
            Some(_) if slice::left().is_some() && (self.software || slice::is_budget()) => 1,
            Some(_) if self.wanted < SUBMISSION => 1,
            Some(per_step) if per_step * self.steps as f64 > 0.5 => 2,
            Some(_) => 3,
        }
    }

    /// Takes the arrival of an answer to `steps` steps submitted at `begun`, which took as long as is said, where that is known.
    pub fn took(&mut self, steps: u64, begun: Begun, known: Option<Duration>) {
        // Work waits for what was submitted before it.
        let before = std::mem::replace(&mut self.answered, WallTime::now());
        let Begun(begun, end) = begun;
        let time = known.unwrap_or_else(|| begun.max(before).elapsed());
        // What the thread did between two polls, a frame or so, is no time of a step.
        let at_most = known.is_none() && end != slice::end();
        let shorter = |per_step: f64| time.as_secs_f64() < per_step * steps as f64;
        if !at_most || self.per_step.is_none_or(shorter) {
            self.learn(steps, time);
        }
    }

    /// The next submission should take as long as wanted, but run [`FEWEST`] steps unless those take too long.
    fn learn(&mut self, steps: u64, time: Duration) {
        let per_step = time.as_secs_f64().max(1e-9) / steps.max(1) as f64;
        let within = |time: Duration| (time.as_secs_f64() / per_step) as u64;
        let wanted = within(self.wanted).max(within(self.longest).min(FEWEST));
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
    fn a_host_that_draws_gets_the_device_back_within_its_bound() {
        let bound = Duration::from_millis(2);
        let mut pace = Pace {
            wanted: bound,
            longest: bound,
            steps: 1,
            ..Pace::new(&Device::cpu())
        };
        // 0.1 ms a step, then 10 ms: a step is never split.
        pace.learn(1, Duration::from_micros(100));
        assert_eq!((pace.steps, pace.steps_per_dispatch()), (8, 20));
        pace.learn(8, Duration::from_micros(800));
        assert_eq!(pace.steps, 20);
        pace.learn(20, Duration::from_millis(200));
        assert_eq!((pace.steps, pace.steps_per_dispatch()), (1, 1));
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
