//! Steps in pieces that fit the poll at hand: what an executor does within the call, on the thread that polls.
//!
//! The CPU sessions look at the clock between two calls. A driver that runs shaders on the processor works within the submission, or
//! holds the next one until the one before has ended, and tells of no clock: there the time of each dispatch is learned, and as
//! many are submitted as have room. Where a piece ends is no matter to the results.

use std::ops::Range;
use std::time::Duration;

use crate::Result;
use crate::edge::{WallTime, slice};
use crate::target::Class;

use super::access::floats;
use super::handle::places;
use super::{Executor, Handle, Pending, PendingKind, ProgramHandle, Session};

/// The share of the time that is left which a part of a step is to take by what is known.
const SHARE: f64 = 0.9;

/// What the dispatches of a program take, as far as they were measured.
#[derive(Debug, Default)]
pub(crate) struct PieceTimes {
    /// Seconds of each dispatch of a step; not above 0 where it was not measured.
    seconds: Vec<f64>,
}

impl PieceTimes {
    /// The time of a step; none before all of its dispatches were measured.
    fn step(&self) -> Option<f64> {
        let known = !self.seconds.is_empty() && self.seconds.iter().all(|&it| it > 0.0);
        known.then(|| self.seconds.iter().sum())
    }

    fn of(&self, number: u64) -> f64 {
        let dispatches = self.seconds.len().max(1) as u64;
        let known = self.seconds.get((number % dispatches) as usize);
        known.copied().unwrap_or_default()
    }

    /// The end of the piece of a range that has room in some seconds: at least one dispatch, and one that was not measured alone.
    fn fitting(&self, range: Range<u64>, room: f64) -> u64 {
        let steps = (range.end - range.start) as f64 / self.seconds.len().max(1) as f64;
        if self.step().is_some_and(|step| step * steps <= room) {
            return range.end;
        }
        let mut sum = 0.0;
        for number in range.clone() {
            let own = self.of(number);
            sum += own;
            let alone = own <= 0.0 || sum > room * SHARE;
            if alone && number > range.start {
                return number;
            }
            if alone {
                return number + 1;
            }
        }
        range.end
    }

    /// What a piece takes by what is known.
    fn expected(&self, range: Range<u64>) -> f64 {
        range.map(|number| self.of(number)).sum()
    }

    /// Takes what a piece was seen to take.
    fn learn(&mut self, range: Range<u64>, seconds: f64) {
        // What a busy machine does once is not what it will do next.
        let ratio = (seconds / self.expected(range.clone()).max(1e-9)).clamp(0.1, 2.0);
        let dispatches = self.seconds.len() as u64;
        let whole = range.end - range.start;
        for number in range.start..range.end.min(range.start + dispatches) {
            let own = &mut self.seconds[(number % dispatches) as usize];
            *own = if *own > 0.0 {
                *own * ratio
            } else {
                (seconds / whole as f64).max(1e-9)
            };
        }
    }
}

/// Steps under way that end as whole steps, also where the future that runs them is dropped.
struct WholeSteps<'a> {
    session: &'a mut Session,
    program: usize,
    /// Dispatches, or calls, of a step.
    of_step: u64,
    /// The one that comes next.
    next: u64,
}

impl Drop for WholeSteps<'_> {
    fn drop(&mut self) {
        let rest = self.next..self.next.next_multiple_of(self.of_step);
        if rest.is_empty() {
            return;
        }
        match &mut self.session.executor {
            Executor::Cpu(session) => drop(session.run_calls(self.program, rest, None)),
            Executor::Reference(session) => drop(session.run_calls(self.program, rest, None)),
            Executor::Gpu(session) => {
                if let Err(error) = session.submit_dispatches(self.program, rest, &[]) {
                    tracing::warn!(%error, "the rest of a step was not submitted");
                }
            }
        }
    }
}

impl Session {
    /// Whether the processor computes, so that who submits waits for it, or takes its cores.
    pub(crate) fn is_software(&self) -> bool {
        self.plan().target.class != Class::Gpu
    }

    /// Runs a step of a program and copies the first numbers of what it fetches, at once and without room for anything: on the CPU
    /// sessions, where the poll at hand may take as long as it takes. Whether it did.
    pub(crate) fn step_into(
        &mut self,
        program: ProgramHandle,
        fetched: Handle,
        out: &mut [f32],
    ) -> bool {
        if slice::left().is_some() {
            return false;
        }
        match &mut self.executor {
            Executor::Cpu(session) => {
                session.run(program.0, 1);
                let values = &session.read(fetched.place())[..out.len()];
                out.copy_from_slice(values);
            }
            Executor::Reference(session) => {
                session.run(program.0, 1);
                for (out, &value) in out.iter_mut().zip(session.read(fetched.place())) {
                    *out = value as f32;
                }
            }
            Executor::Gpu(_) => return false,
        }
        self.last = Some(program.0);
        true
    }

    /// Runs steps of a program: see [`submit`](Self::submit). Where the processor computes, and the poll at hand is to
    /// end some time, in pieces that fit; what is returned has ended then, and took as long as it says beside.
    pub(crate) async fn submit_sliced(
        &mut self,
        program: ProgramHandle,
        steps: u64,
        copied: &[Handle],
        times: &mut PieceTimes,
    ) -> Result<(Pending, Option<Duration>)> {
        if slice::left().is_none() || !self.is_software() || steps == 0 {
            return Ok((self.submit_program(program, steps, copied)?, None));
        }
        self.last = Some(program.0);
        let ProgramHandle(index) = program;
        let of_step = match &self.executor {
            Executor::Cpu(session) => session.calls_of_step(index),
            Executor::Reference(session) => session.calls_of_step(index),
            Executor::Gpu(session) => session.dispatches_of_step(index),
        };
        let all = steps.saturating_mul(of_step);
        let mut under_way = WholeSteps {
            session: self,
            program: index,
            of_step,
            next: 0,
        };
        let mut took = Duration::ZERO;
        let values = loop {
            let (own, values) = under_way.piece(all, copied, times).await?;
            took += own;
            if let Some(values) = values {
                break values;
            }
        };
        drop(under_way);
        let pending = Pending(PendingKind::Ready(self.identity, values));
        Ok((pending, Some(took)))
    }
}

impl WholeSteps<'_> {
    /// Runs a piece of what is left of `all`: the time that it took, and after the last one what is copied.
    async fn piece(
        &mut self,
        all: u64,
        copied: &[Handle],
        times: &mut PieceTimes,
    ) -> Result<(Duration, Option<Vec<f32>>)> {
        if !matches!(self.session.executor, Executor::Gpu(_)) {
            slice::time_for(Duration::ZERO).await;
            return self.piece_here(all, copied);
        }
        times.seconds.resize(self.of_step as usize, 0.0);
        slice::time_for(Duration::from_secs_f64(times.of(self.next))).await;
        let (begun, end_of_poll) = (WallTime::now(), slice::end());
        let room = slice::left().map_or(f64::INFINITY, |left| left.as_secs_f64());
        let range = self.next..times.fitting(self.next..all, room);
        let is_last = range.end == all;
        let places = places(if is_last { copied } else { &[] });
        let Executor::Gpu(session) = &mut self.session.executor else {
            return Ok((Duration::ZERO, Some(Vec::new())));
        };
        let submitted = session.submit_dispatches(self.program, range.clone(), &places);
        // What is refused is not made up for.
        self.next = submitted.as_ref().map_or(0, |_| range.end);
        let values = session.finish(submitted?, floats).await;
        self.next = values.as_ref().map_or(0, |_| self.next);
        let values = values?;
        let mut took = begun.elapsed().as_secs_f64();
        if let Some(end) = end_of_poll.filter(|_| end_of_poll != slice::end()) {
            // It took longer than its poll. How much longer is hidden by what the thread did between two polls.
            let known = end.saturating_duration_since(begun).as_secs_f64();
            took = took.min((1.5 * known).max(times.expected(range.clone())));
        }
        times.learn(range, took);
        Ok((Duration::from_secs_f64(took), is_last.then_some(values)))
    }

    /// The same on a CPU session.
    fn piece_here(&mut self, all: u64, copied: &[Handle]) -> Result<(Duration, Option<Vec<f32>>)> {
        let (begun, end) = (WallTime::now(), slice::end());
        let range = self.next..all;
        self.next = match &mut self.session.executor {
            Executor::Cpu(session) => session.run_calls(self.program, range, end),
            Executor::Reference(session) => session.run_calls(self.program, range, end),
            Executor::Gpu(_) => all,
        };
        let took = begun.elapsed();
        if self.next < all {
            return Ok((took, None));
        }
        let (last, copied) = (ProgramHandle(self.program), copied);
        let pending = self.session.submit_program(last, 0, copied)?;
        match pending.0 {
            PendingKind::Ready(_, values) => Ok((took, Some(values))),
            PendingKind::Gpu(_) => Ok((took, Some(Vec::new()))),
        }
    }
}
