//! How much work goes into one submission, and into one dispatch of it.

use std::time::Duration;

use crate::Device;
use crate::edge::{Ending, WallTime, slice};
use crate::target::Class;

use crate::train::sizes::RING_ROWS;

#[cfg(test)]
mod simulated;

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

/// How long a poll waits for a GPU that works on beside it.
const PATIENCE: Duration = Duration::from_micros(200);

/// How often a submission is timed to its end, on a GPU whose submissions end between two polls.
const TIMED_EVERY: Duration = Duration::from_secs(1);

/// Steps of the first submission, in one dispatch where a dispatch does many: nobody knows yet how long they take.
const FIRST: u64 = 8;

/// How many steps a submission runs, and a dispatch.
///
/// What it knows are moments: when a submission was begun, and [between which](Ending) it ended. A GPU works on between two
/// polls, so that a thread which polls once a frame hears of what has ended all at once: how long each took is known within
/// bounds alone. There a submission is timed now and then, alone and in a poll that waits for it.
pub(super) struct Pace {
    /// Steps that the next submission should run.
    pub steps: u64,
    /// Seconds of a step, as far as is known.
    per_step: Option<f64>,
    /// What a submission should take: long enough to hide its cost, or what a host program allows.
    wanted: Duration,
    /// The most that a submission may take, where its steps are slow.
    longest: Duration,
    /// When the last submission that was answered ended.
    ended: Ending,
    /// Steps of the last submission that was timed, and when that was.
    timed: Option<(u64, WallTime)>,
    /// Whether the processor computes, so that who submits waits for it.
    software: bool,
}

/// What the poll at hand has room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct PollRoom {
    /// The time that work may take which is submitted now; none where that is all the same.
    room: Option<Duration>,
    /// Whether that work is to end within the poll.
    waits: bool,
    now: WallTime,
}

/// A submission that was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    steps: u64,
    at: WallTime,
    /// Whether it is waited for, so that what it takes is known.
    timed: bool,
}

impl Begun {
    /// How long each poll waits for its end.
    pub fn patience(self) -> Duration {
        if self.timed { Duration::MAX } else { PATIENCE }
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
            ended: Ending::at(WallTime::now()),
            timed: None,
            software: device.target().class != Class::Gpu,
        }
    }

    /// The time of a step, as far as is known.
    pub fn step(&self) -> Duration {
        Duration::from_secs_f64(self.per_step.unwrap_or_default())
    }

    /// What the poll at hand has room for.
    pub fn room(&self) -> PollRoom {
        let waits = self.software || slice::is_budget();
        PollRoom {
            room: slice::room(waits),
            waits,
            now: WallTime::now(),
        }
    }

    /// The steps that the next submission should run: as many as the poll at hand has room for, where that is to end.
    pub fn next_steps(&self, poll: PollRoom) -> u64 {
        match (poll.room, self.per_step) {
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

    /// Whether the next submission is to be timed: where the device works on between polls, and nobody knows what this number of steps
    /// take, or no longer.
    fn times(&self, poll: PollRoom) -> bool {
        let apart = poll.room.is_some() && !poll.waits;
        let known = self.timed.is_some_and(|(steps, at)| {
            let lately = poll.now.saturating_duration_since(at) < TIMED_EVERY;
            lately && self.next_steps(poll) < 2 * steps
        });
        apart && !known
    }

    /// Submissions that may be under way: one until its time is known, then enough that the device never waits for the host;
    /// fewer where they are long and dropping the run would have to wait for them; one where each is to end in the poll that it
    /// began in, where it is timed, or where a host program's work would wait.
    pub fn in_flight(&self, poll: PollRoom) -> usize {
        match self.per_step {
            None => 1,
            Some(_) if poll.room.is_some() && poll.waits => 1,
            Some(_) if self.times(poll) => 1,
            Some(_) if self.wanted < SUBMISSION => 1,
            Some(per_step) if per_step * self.steps as f64 > 0.5 => 2,
            Some(_) => 3,
        }
    }

    /// The time that a poll should have for the next submission.
    pub fn needs(&self, poll: PollRoom) -> Duration {
        match poll.room {
            Some(room) if self.times(poll) => room,
            _ => self.step(),
        }
    }

    /// Notes that this number of steps is submitted.
    pub fn begin(&self, steps: u64, poll: PollRoom) -> Begun {
        Begun {
            steps,
            at: poll.now,
            timed: self.times(poll),
        }
    }

    /// Takes the time of a submission that was measured as it ran.
    pub fn took(&mut self, begun: Begun, time: Duration) {
        self.ended = Ending::at(WallTime::now());
        let per_step = time.as_secs_f64() / begun.steps.max(1) as f64;
        self.learn(begun.steps, per_step);
    }

    /// Takes between which moments a submission ended.
    pub fn ended(&mut self, begun: Begun, ending: Ending) {
        let steps = begun.steps.max(1);
        let before = self.ended;
        self.ended = Ending {
            after: ending.after.max(before.after),
            by: ending.by.max(before.by),
        };
        // Work waits for what was submitted before it.
        let span = |from: WallTime, to: WallTime| {
            let time = to.saturating_duration_since(from.max(begun.at));
            time.as_secs_f64() / steps as f64
        };
        let least = span(before.by, self.ended.after);
        let most = span(before.after, self.ended.by).max(least);
        let mut per_step = self.per_step.unwrap_or(most).clamp(least, most);
        if begun.timed {
            let seen_to_end = most - least <= 0.25 * most;
            if seen_to_end || steps == 1 {
                self.timed = Some((steps, self.ended.by));
            } else {
                // More than the poll had time for: fewer are tried next.
                let known = self.per_step.unwrap_or(least);
                per_step = per_step.max(2.0 * known).min(most);
            }
        }
        self.learn(steps, per_step);
    }

    /// The next submission should take as long as wanted, but run [`FEWEST`] steps unless those take too long.
    fn learn(&mut self, steps: u64, per_step: f64) {
        let per_step = per_step.max(1e-9);
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

    /// A poll that may go on for ever.
    fn endless() -> PollRoom {
        PollRoom {
            room: None,
            waits: true,
            now: WallTime::now(),
        }
    }

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
            (
                pace.steps,
                pace.steps_per_dispatch(),
                pace.in_flight(endless())
            ),
            (8, 8, 1)
        );
        // 0.5 ms a step.
        pace.learn(8, 0.0005);
        assert_eq!(
            (
                pace.steps,
                pace.steps_per_dispatch(),
                pace.in_flight(endless())
            ),
            (64, 100, 3)
        );
        pace.learn(64, 0.0005);
        assert_eq!((pace.steps, pace.steps_per_dispatch()), (160, 100));
        // The machine has other things to do now.
        pace.learn(160, 0.01);
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
        pace.learn(1, 0.0001);
        assert_eq!((pace.steps, pace.steps_per_dispatch()), (8, 20));
        pace.learn(8, 0.0001);
        assert_eq!(pace.steps, 20);
        pace.learn(20, 0.01);
        assert_eq!((pace.steps, pace.steps_per_dispatch()), (1, 1));
    }

    #[test]
    fn slow_steps_come_in_sixty_fours_too_until_they_take_a_sixth_of_a_wait() {
        let mut pace = pace();
        pace.learn(8, 0.25);
        assert_eq!(
            (
                pace.steps,
                pace.steps_per_dispatch(),
                pace.in_flight(endless())
            ),
            (64, 1, 2)
        );
        pace.learn(64, 1.0);
        assert_eq!(pace.steps, 20);
    }
}
