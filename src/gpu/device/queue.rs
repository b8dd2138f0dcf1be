//! The way to a device's queue: one turn for all that submits and waits, and what is under way.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::edge::{WallTime, clock};
use crate::target::Class;
use crate::{Error, Result};

use super::fair_lock::{FairLock, Turn, locked};
use super::health::caught;
use super::{Inner, Submission};

/// How long a thread keeps its [turn](super::fair_lock) while it waits: what another one's submission may wait for it.
pub(super) const SLICE: Duration = Duration::from_millis(2);

/// How long a wait waits for its turn before it looks at its own deadline again.
const PATIENCE: Duration = Duration::from_millis(250);

/// Between two looks at a host program's device, on which nothing waits: see [`Inner::awaiting`].
const PAUSE: Duration = Duration::from_micros(50);

/// The most submissions under way: what is recorded takes memory until it has ended.
const MAX_UNDER_WAY: usize = 8;

/// What all users of one wgpu device share.
#[derive(Debug)]
pub(super) struct QueueAccess {
    /// Dropped with the last device of Kiln's on it.
    wgpu: wgpu::Device,
    pub turn: FairLock,
    /// In the order they were submitted, as far as nobody has found them ended.
    under_way: Mutex<VecDeque<Submission>>,
}

/// The accesses to host programs' devices; several devices of Kiln may share one.
static SHARED: Mutex<Vec<Weak<QueueAccess>>> = Mutex::new(Vec::new());

impl QueueAccess {
    /// The access to a device that nobody else has.
    pub fn new(wgpu: &wgpu::Device) -> Arc<Self> {
        Arc::new(QueueAccess {
            wgpu: wgpu.clone(),
            turn: FairLock::default(),
            under_way: Mutex::default(),
        })
    }

    /// The access to a host program's device: the same one each time.
    pub fn shared(wgpu: &wgpu::Device) -> Arc<Self> {
        let mut shared = locked(&SHARED);
        shared.retain(|access| access.strong_count() > 0);
        let mut known = shared.iter().filter_map(Weak::upgrade);
        if let Some(access) = known.find(|access| access.wgpu == *wgpu) {
            return access;
        }
        let access = QueueAccess::new(wgpu);
        shared.push(Arc::downgrade(&access));
        access
    }
}

impl Inner {
    /// Submits, and remembers what is under way. Lavapipe holds a submission in its driver until the one before has ended,
    /// and wgpu holds its locks meanwhile; so on the processor there is one at a time, and what waits for it has a deadline.
    pub fn submit(&self, commands: wgpu::CommandBuffer, during: &str) -> Result<Submission> {
        let _turn = self.turn_to_submit(during)?;
        let submission = Submission {
            index: self.queue.submit([commands]),
            ended: Arc::default(),
        };
        if self.of_host {
            // wgpu tells of one submission only by waiting for it.
            let ended = Arc::clone(&submission.ended);
            let tell = move || ended.store(true, Relaxed);
            self.queue.on_submitted_work_done(tell);
        }
        self.under_way().push_back(submission.clone());
        Ok(submission)
    }

    fn turn_to_submit(&self, during: &str) -> Result<Turn<'_>> {
        let most = match self.summary.target.class {
            Class::Gpu => MAX_UNDER_WAY,
            Class::Cpu | Class::CpuAdapter => 1,
        };
        let (begun, deadline) = (WallTime::now(), self.options.deadline);
        loop {
            let left = deadline.saturating_sub(begun.elapsed());
            let Some(turn) = self.access.turn.take(left) else {
                return Err(self.passed_deadline(during));
            };
            // Another thread may have given the device up.
            self.health.check(during)?;
            if self.has_room_for_one_of(most, during)? {
                return Ok(turn);
            }
            drop(turn);
            if begun.elapsed() > deadline {
                return Err(self.passed_deadline(during));
            }
            self.pause();
        }
    }

    /// With the turn: waits for a slice until fewer than `most` submissions are under way, and says whether there are.
    fn has_room_for_one_of(&self, most: usize, during: &str) -> Result<bool> {
        loop {
            let first = {
                let under_way = self.under_way();
                match under_way.front() {
                    Some(first) if under_way.len() >= most => first.clone(),
                    _ => return Ok(true),
                }
            };
            if !first.ended.load(Relaxed) {
                match self.polled(self.awaiting(Some(first.index), SLICE), during) {
                    Ok(true) => {}
                    Ok(false) if first.ended.load(Relaxed) => {}
                    Ok(false) => return Ok(false),
                    // What the queue refused is not under way.
                    Err(_) => self.health.check(during)?,
                }
            }
            self.under_way().pop_front();
        }
    }

    fn under_way(&self) -> MutexGuard<'_, VecDeque<Submission>> {
        locked(&self.access.under_way)
    }

    /// How to wait for a slice at most until a submission, or the last one, has ended. A host program's threads do not take turns
    /// with ours, and a wait that times out while one of them polls is wgpu's panic: there nothing waits but by looking.
    pub fn awaiting(
        &self,
        submission_index: Option<wgpu::SubmissionIndex>,
        most: Duration,
    ) -> wgpu::PollType {
        if self.of_host {
            return wgpu::PollType::Poll;
        }
        wgpu::PollType::Wait {
            submission_index,
            timeout: Some(most.min(SLICE)),
        }
    }

    /// Between two slices, without the turn.
    pub fn pause(&self) {
        if self.of_host {
            clock::pause(PAUSE);
        }
    }

    /// Takes the turn and polls; nothing where it does not come, as who waits has a deadline and comes again.
    pub fn poll(&self, kind: wgpu::PollType) -> Result<()> {
        let during = "waiting for the device";
        self.health.check(during)?;
        match self.access.turn.take(PATIENCE) {
            Some(_turn) => self.polled(kind, during).map(|_| ()),
            None => self.health.check(during),
        }
    }

    /// With the turn: polls, and says whether what was awaited, or all that was submitted, has ended.
    fn polled(&self, kind: wgpu::PollType, during: &str) -> Result<bool> {
        let ended = match caught(|| self.wgpu.poll(kind)) {
            Ok(Ok(status)) => status.wait_finished(),
            // A slice of waiting that timed out is not yet the deadline.
            Ok(Err(wgpu::PollError::Timeout)) => false,
            Ok(Err(error)) => {
                return Err(Error::Gpu {
                    during: during.into(),
                    message: error.to_string(),
                });
            }
            Err(panic) => {
                self.health.lose(panic);
                false
            }
        };
        self.health.check(during)?;
        Ok(ended)
    }

    /// A wait passed its deadline: the device may work on for ever, so nothing is asked of it any more.
    pub fn passed_deadline(&self, during: &str) -> Error {
        let seconds = self.options.deadline.as_secs_f64();
        self.health
            .hang(format!("it did not answer within {seconds} s"));
        Error::Timeout {
            during: during.into(),
            seconds,
        }
    }
}
