//! The pace on a clock of its own: a GPU whose submissions take their time while a thread polls now and then.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Device;
use crate::edge::{Ending, WallTime};

use super::{Begun, Pace, PollRoom};

fn pace() -> Pace {
    Pace {
        longest: Duration::from_secs(20),
        software: false,
        ..Pace::new(&Device::cpu())
    }
}

const SLICE: Duration = Duration::from_millis(2);

/// A GPU that works on its own, and a thread that polls now and then, on a clock of their own.
struct Simulated {
    pace: Pace,
    now: WallTime,
    /// What a step takes.
    step: Duration,
    /// What is under way, when it will have ended, and when it was last seen under way.
    queue: VecDeque<(Begun, WallTime, Option<WallTime>)>,
    /// When the GPU has done all of it.
    idle_from: WallTime,
    /// What each submission took.
    took: Vec<Duration>,
}

impl Simulated {
    fn new(step: Duration) -> Self {
        let now = WallTime::now();
        let pace = Pace {
            ended: Ending::at(now),
            ..pace()
        };
        Simulated {
            pace,
            now,
            step,
            queue: VecDeque::new(),
            idle_from: now,
            took: Vec::new(),
        }
    }

    fn room(&self) -> PollRoom {
        PollRoom {
            room: Some(SLICE),
            waits: false,
            now: self.now,
        }
    }

    fn submit(&mut self) {
        let room = self.room();
        let steps = self.pace.next_steps(room);
        let begun = self.pace.begin(steps, room);
        self.now += Duration::from_micros(20);
        let took = self.step * u32::try_from(steps).unwrap() + Duration::from_micros(40);
        self.idle_from = self.idle_from.max(self.now) + took;
        self.took.push(took);
        self.queue.push_back((begun, self.idle_from, None));
    }

    /// As `Submissions` does within a poll.
    fn poll(&mut self) {
        let end = self.now + SLICE;
        loop {
            while self.queue.len() < self.pace.in_flight(self.room()) {
                let left = end.saturating_duration_since(self.now);
                let enough = left >= self.pace.needs(self.room()) || left >= SLICE / 2;
                if left.is_zero() || !enough {
                    return;
                }
                self.submit();
            }
            let (begun, ends, seen) = self.queue.front_mut().unwrap();
            let begun = *begun;
            let ending = if *ends <= self.now {
                let after = seen.unwrap_or(begun.at);
                Ending {
                    after,
                    by: self.now,
                }
            } else {
                let patience = begun.patience().min(SLICE);
                let until = end.min(self.now + patience).max(self.now);
                if *ends > until {
                    (self.now, *seen) = (until, Some(until));
                    return;
                }
                self.now = *ends;
                Ending::at(self.now)
            };
            self.queue.pop_front();
            self.pace.ended(begun, ending);
        }
    }

    /// Polls for so long, every so often; what the submissions of the last half took.
    fn run(&mut self, time: Duration, every: Duration) -> Vec<Duration> {
        let (begun, mut half) = (self.now, 0);
        while self.now < begun + time {
            let polled = self.now;
            self.poll();
            self.now = self.now.max(polled + every);
            if self.now < begun + time / 2 {
                half = self.took.len();
            }
        }
        self.took.split_off(half)
    }
}

#[test]
fn submissions_to_a_gpu_fill_a_slice_and_no_more_however_seldom_it_is_polled() {
    let micros = Duration::from_micros;
    for every in [10, 1000, 16_667, 20_000, 100_000].map(micros) {
        for step in [3, 20, 100, 500, 1400, 6000].map(micros) {
            let mut simulated = Simulated::new(step);
            // As fast as at first, then twenty times as slow, then as before.
            for step in [step, 20 * step, step] {
                simulated.step = step;
                let took = simulated.run(Duration::from_secs(12), every);
                let longest = took.iter().max().unwrap();
                let told = format!("{step:?} a step, polled every {every:?}: {longest:?}");
                assert!(*longest <= SLICE.max(step + micros(40)), "{told}");
                let enough = (SLICE / 2).min(1000 * step).max(step);
                let usual = took.iter().sum::<Duration>() / took.len() as u32;
                assert!(usual >= enough / 2, "{told}, {usual:?} on average");
                simulated.took.clear();
            }
        }
    }
}

#[test]
fn answers_that_are_found_at_once_say_nothing_of_how_long_each_took() {
    let begun_at = WallTime::now();
    let mut pace = Pace {
        ended: Ending::at(begun_at),
        per_step: Some(0.0005),
        ..pace()
    };
    let begun = Begun {
        steps: 3,
        at: begun_at,
        timed: false,
    };
    // Three submissions, and one look at them a frame later.
    let frame = begun_at + Duration::from_millis(16);
    for _ in 0..3 {
        let ending = Ending {
            after: begun_at,
            by: frame,
        };
        pace.ended(begun, ending);
        assert_eq!(pace.per_step, Some(0.0005));
    }
    // One that was still under way at two looks has taken as long at least.
    let seen = frame + Duration::from_millis(30);
    let ending = Ending {
        after: seen,
        by: seen + Duration::from_millis(16),
    };
    let begun = Begun { at: frame, ..begun };
    pace.ended(begun, ending);
    assert_eq!(pace.per_step, Some(0.01));
}
