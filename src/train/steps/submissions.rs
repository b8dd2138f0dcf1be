//! A program's steps on their way: submitted ahead, their sums read after them.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use crate::edge::{WallTime, slice};
use crate::session::{Handle, Pending, PieceTimes, ProgramHandle};
use crate::{Device, Result, Session};

use crate::train::metric::ModelMetrics;
use crate::train::programs::RunHandles;
use crate::train::sizes::{READBACKS, RING_ROWS};

use super::pace::{Begun, Pace};

/// The steps of one program, in submissions of which up to three are under way.
///
/// The ring of sums, and the tallies of epochs beside it, are read once an epoch, with the submission that ends it, or when it is full. So an epoch of n steps
/// that fit the ring costs one readback and at most ⌈n / 64⌉ + 1 submissions; several short epochs share one of each. Where somebody
/// watches the loss it is read about once a second too.
pub(in crate::train) struct Submissions {
    program: ProgramHandle,
    /// The ring and the tallies.
    sums: Vec<Handle>,
    /// Epochs that the tallies have room for.
    slots: u64,
    per_epoch: u64,
    pace: Pace,
    /// What the pieces of a step take, where one has to be cut.
    times: PieceTimes,
    queue: VecDeque<Submitted>,
    /// Steps submitted so far.
    pub submitted: u64,
    /// Steps submitted whose sums no submission reads yet.
    unread: u64,
    /// When a submission was last told to read some, where somebody watches them come.
    watched: Option<WallTime>,
}

/// The longest time between two readings that somebody watches.
const SHOWN_EVERY: Duration = Duration::from_secs(1);

struct Submitted {
    pending: Pending,
    steps: u64,
    begun: Begun,
    /// What it took, where it has ended.
    took: Option<Duration>,
    /// The steps whose sums it reads.
    reads: Option<Range<u64>>,
}

impl Submissions {
    /// For a program of a session, in epochs of `per_epoch` steps, after `submitted` steps.
    pub fn new(
        (session, handles): (&mut Session, &RunHandles),
        metrics: &ModelMetrics,
        (per_epoch, submitted): (u64, u64),
        watched: bool,
        device: &Device,
    ) -> Result<Self> {
        session.reserve(&handles.sums, READBACKS)?;
        Ok(Submissions {
            program: handles.program,
            sums: handles.sums.clone(),
            slots: metrics.layout.slots as u64,
            per_epoch,
            pace: Pace::new(device),
            times: PieceTimes::default(),
            queue: VecDeque::new(),
            submitted,
            unread: 0,
            watched: watched.then(WallTime::now),
        })
    }

    /// The step at which all that was submitted has been read: one more, where nothing under way reads the last ones.
    pub fn settled(&self) -> u64 {
        self.submitted + u64::from(self.unread > 0)
    }

    /// Submits until enough is under way, or step `until` is.
    pub async fn ahead(&mut self, session: &mut Session, until: u64) -> Result<()> {
        let reading = |queue: &VecDeque<Submitted>| queue.iter().flat_map(|it| &it.reads).count();
        while self.submitted < until
            && self.queue.len() < self.pace.in_flight(self.pace.room())
            && reading(&self.queue) < READBACKS
        {
            slice::time_for(self.pace.needs(self.pace.room())).await;
            let room = self.pace.room();
            let (steps, reads) = self.next_steps(self.pace.next_steps(room), until);
            let reads = reads || self.is_awaited(WallTime::now());
            let begun = self.pace.begin(steps, room);
            session.limit_program(self.program, self.pace.steps_per_dispatch());
            let copied = if reads { &self.sums[..] } else { &[] };
            let (pending, took) = session
                .submit_sliced(self.program, steps, copied, &mut self.times)
                .await?;
            self.submitted += steps;
            self.unread += steps;
            if let (true, Some(last)) = (reads, &mut self.watched) {
                *last = WallTime::now();
            }
            let reads = reads.then(|| {
                let unread = std::mem::take(&mut self.unread);
                self.submitted - unread..self.submitted
            });
            self.queue.push_back(Submitted {
                pending,
                steps,
                begun,
                took,
                reads,
            });
        }
        Ok(())
    }

    /// The steps of the next submission, which should have this number, and whether it reads the ring.
    fn next_steps(&self, wanted: u64, until: u64) -> (u64, bool) {
        // No two epochs that are read together may share a slot of a tally.
        let first = self.submitted - self.unread;
        let of_slots = self.slots * self.per_epoch - first % self.per_epoch;
        let room = of_slots.min(RING_ROWS as u64) - self.unread;
        let left = until - self.submitted;
        let most = wanted.min(left).min(room);
        let to_end = self.per_epoch - self.submitted % self.per_epoch;
        // One that reaches the end of an epoch ends at one.
        let steps = match most.checked_sub(to_end) {
            None => most,
            Some(beyond) => most - beyond % self.per_epoch,
        };
        let reads = steps >= to_end || steps == left || steps == room;
        (steps, reads)
    }

    /// Whether somebody who watches the loss has seen none for a while.
    fn is_awaited(&self, now: WallTime) -> bool {
        let since = |last: WallTime| now.saturating_duration_since(last) >= SHOWN_EVERY;
        self.watched.is_some_and(since)
    }

    /// Waits for the submission that ends next: the steps done so far, those whose sums came with it, counted from 0, and the
    /// sums. None where nothing is under way.
    pub async fn next(
        &mut self,
        session: &mut Session,
    ) -> Result<Option<(u64, Range<u64>, Vec<f32>)>> {
        let Some(submitted) = self.queue.pop_front() else {
            return Ok(None);
        };
        let begun = submitted.begun;
        let finished = session.finish_within(submitted.pending, begun.patience());
        let (ring, ending) = finished.await?;
        match submitted.took {
            Some(took) => self.pace.took(begun, took),
            None => self.pace.ended(begun, ending),
        }
        let under_way: u64 = self.queue.iter().map(|submitted| submitted.steps).sum();
        let read = submitted.reads.unwrap_or(0..0);
        Ok(Some((self.submitted - under_way, read, ring)))
    }
}

#[cfg(test)]
mod tests {
    use crate::edge::block_on;
    use crate::prelude::*;
    use crate::train::programs::{Capacity, Extent, RowProgram};

    use super::*;

    #[test]
    fn a_loss_that_is_watched_is_read_before_a_long_epoch_ends() {
        let device = Device::cpu();
        let model = Sequential::new(1).dense(1, Linear);
        let mut model = model
            .compile_on(&device, MeanSquaredError, Sgd::new(0.1), [])
            .unwrap();
        let metrics = model.recipe().metrics().unwrap();
        let per_epoch = 100_000;
        let capacity = Capacity::training(Extent::new(per_epoch, 1));
        let read = |watched: bool, seconds: u64, model: &mut Model| {
            let age = Duration::from_secs(seconds);
            block_on(async {
                let open = model.opened(capacity).await.unwrap();
                let program = open.program(RowProgram::Train).unwrap();
                let steps = (per_epoch as u64, 0);
                let begun = Submissions::new(program, &metrics, steps, watched, &device);
                let mut submissions = begun.unwrap();
                if let Some(last) = &mut submissions.watched {
                    *last = last.checked_sub(age).unwrap();
                }
                let session = &mut open.session;
                submissions.ahead(session, 20).await.unwrap();
                let (done, read, _) = submissions.next(session).await.unwrap().unwrap();
                assert_eq!(done, 8);
                read
            })
        };
        assert_eq!(read(false, 5, &mut model), 0..0);
        assert_eq!(read(true, 0, &mut model), 0..0);
        assert_eq!(read(true, 5, &mut model), 0..8);
    }
}
