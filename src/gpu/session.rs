//! A plan executed on a GPU: buffers, bind groups and pipelines made once, then only dispatches.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::edge::{Ending, WallTime};
use crate::identity::Identity;
use crate::number::half_bits;
use crate::plan::{Place, Plan};
use crate::target::Class;
use crate::{DType, Error, Result};

use super::device::{Bindings, Buffer, Device, Kernel, Pass, Pool, Purpose, Recorder};
use super::readback::{PATIENCE, Readback};

/// The most dispatches of one submission of many steps.
const MAX_DISPATCHES: u64 = 1 << 16;

/// The most floating-point operations of one submission of many steps, where the adapter is the processor and where it is not: a
/// few seconds to half a minute, so that work that is only long passes no deadline.
const MAX_FLOPS: (u64, u64) = (100_000_000_000, 10_000_000_000_000);

/// Staging buffers up to this size wait for their next use; larger ones are given back.
const MAX_KEPT_STAGING: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) kernel: Arc<Kernel>,
    /// With params for 1, 2, 4, … steps, as many as its launch does.
    pub(super) bindings: Vec<Bindings>,
    pub(super) grid: [u32; 3],
}

#[derive(Debug)]
pub struct Session {
    pub(super) device: Device,
    pub(super) plan: Plan,
    pub(super) slots: Vec<Buffer>,
    pub(super) programs: Vec<Vec<Dispatch>>,
    /// The most steps of each program that a dispatch is to do.
    pub(super) at_once: Vec<u64>,
    /// Staging buffers that wait for their next use.
    pub(super) staging: Pool,
    pub(super) params: Buffer,
    pub(super) identity: Identity,
}

#[derive(Debug)]
pub struct Pending {
    readback: Readback,
    of: Identity,
}

impl Pending {
    /// When it had ended and could be read; none where that is still to come.
    pub(crate) fn arrived(&self) -> Option<WallTime> {
        self.readback.arrived()
    }
}

impl Session {
    /// The bytes of a place within its slot, in whole words.
    pub(super) fn bytes(&self, place: Place) -> Range<u64> {
        let size = self.plan.slots[place.slot].dtype.bytes();
        let begin = place.offset * size;
        begin..begin + (place.len * size).next_multiple_of(4)
    }

    fn total_bytes(&self, places: &[Place]) -> u64 {
        let sizes = places.iter().map(|place| self.bytes(*place));
        sizes.map(|bytes| bytes.end - bytes.start).sum()
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes beside the plan's slots: params, and staging buffers that exist now.
    pub fn overhead_bytes(&self) -> u64 {
        self.params.bytes() + self.staging.bytes()
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Submits `steps` steps of a program: one encoder and one pass, or several for very many dispatches.
    pub fn run(&mut self, program: usize, steps: u64) -> Result<()> {
        let all = steps.saturating_mul(self.dispatches_of_step(program));
        let rest = self.run_all_but_the_last(program, 0..all)?;
        if !rest.is_empty() {
            self.device
                .submit(|recorder| self.record(recorder, program, rest))?;
        }
        Ok(())
    }

    /// The dispatches of a step, one where it has none.
    pub fn dispatches_of_step(&self, program: usize) -> u64 {
        self.programs[program].len().max(1) as u64
    }

    /// Submits what is too much for one submission, and returns what is left for a last one.
    fn run_all_but_the_last(&mut self, program: usize, range: Range<u64>) -> Result<Range<u64>> {
        // Drivers kill long submissions, and what is recorded takes memory.
        let dispatches = self.dispatches_of_step(program);
        let most = (MAX_DISPATCHES / dispatches).max(1) * self.at_once(program);
        let flops = match self.plan.target.class {
            Class::Gpu => MAX_FLOPS.1,
            Class::Cpu | Class::CpuAdapter => MAX_FLOPS.0,
        };
        let most = most.min(flops / self.plan.programs[program].flops().max(1));
        let most = most.max(1) * dispatches;
        let Range { mut start, end } = range;
        while end - start > most {
            self.device
                .submit(|recorder| self.record(recorder, program, start..start + most))?;
            start += most;
        }
        Ok(start..end)
    }

    /// Records dispatches of successive steps, counted from the first of the first step.
    fn record(&self, recorder: &mut Recorder, program: usize, range: Range<u64>) {
        let (dispatches, at_once) = (&self.programs[program], self.at_once(program));
        if dispatches.is_empty() || range.is_empty() {
            return;
        }
        recorder.pass(|pass| {
            let Range { mut start, end } = range;
            while start < end {
                // The largest power of two that is left and that a dispatch does.
                let power = (end - start).min(at_once).ilog2();
                let number = start % dispatches.len() as u64;
                dispatches[number as usize].record(pass, power as usize);
                start += 1 << power;
            }
        });
    }

    /// Submits `steps` steps, and in the last submission a copy of all `copied` one after the other for the host, which goes
    /// on meanwhile.
    pub fn submit(&mut self, program: usize, steps: u64, copied: &[Place]) -> Result<Pending> {
        let all = steps.saturating_mul(self.dispatches_of_step(program));
        self.submit_dispatches(program, 0..all, copied)
    }

    /// The same with dispatches of successive steps, counted from the first of the first step.
    pub fn submit_dispatches(
        &mut self,
        program: usize,
        range: Range<u64>,
        copied: &[Place],
    ) -> Result<Pending> {
        let bytes = self.total_bytes(copied);
        let staging = match copied {
            [] => None,
            _ => Some(self.take_staging(bytes)?),
        };
        let last = self.run_all_but_the_last(program, range)?;
        let submission = self.device.submit(|recorder| {
            self.record(recorder, program, last);
            let mut to = 0;
            for (place, staging) in copied.iter().zip(staging.iter().cycle()) {
                let (from, bytes) = (&self.slots[place.slot], self.bytes(*place));
                let len = bytes.end - bytes.start;
                recorder.copy((from, bytes.start), (staging, to), len);
                to += len;
            }
        })?;
        let buffer = staging.map(|staging| (staging, bytes));
        Ok(Pending {
            readback: Readback::begin(&self.device, buffer, submission)?,
            of: self.identity,
        })
    }

    /// Sets the most steps that one dispatch of a program does.
    pub fn limit_steps_per_dispatch(&mut self, program: usize, steps: u64) {
        self.at_once[program] = steps.max(1);
    }

    /// The most steps of a program that a dispatch does now: one where a step takes several.
    fn at_once(&self, program: usize) -> u64 {
        match &self.programs[program][..] {
            [only] => self.at_once[program].min(1 << (only.bindings.len() - 1)),
            _ => 1,
        }
    }

    /// Makes staging buffers for `count` copies of all `places`, unless they are too large to be kept.
    pub fn reserve_readbacks(&mut self, places: &[Place], count: usize) -> Result<()> {
        let bytes = self.total_bytes(places);
        if bytes > MAX_KEPT_STAGING {
            return Ok(());
        }
        let taken = match self.take_several(bytes, count) {
            // Larger ones that waited were among them: they have been given back for some of this size.
            Err(Error::OutOfMemory { .. }) => self.take_several(bytes, count)?,
            taken => taken?,
        };
        for staging in taken {
            self.staging.put(staging);
        }
        Ok(())
    }

    fn take_several(&mut self, bytes: u64, count: usize) -> Result<Vec<Buffer>> {
        (0..count).map(|_| self.take_staging(bytes)).collect()
    }

    /// Waits for a submission to end; `read` gets its copy, nothing where there is none. What another session submitted is
    /// refused at once: the device may know nothing of it.
    pub async fn finish<R>(
        &mut self,
        pending: Pending,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        let (result, _) = self.finish_within(pending, PATIENCE, read).await?;
        Ok(result)
    }

    /// The same, each poll waiting for a GPU as long as `patience` says, and between which moments the submission ended.
    pub async fn finish_within<R>(
        &mut self,
        pending: Pending,
        patience: Duration,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<(R, Ending)> {
        self.identity.check(pending.of)?;
        let finished = pending.readback.finish_within(&self.device, patience, read);
        let (result, staging, ending) = finished.await?;
        if let Some(staging) = staging.filter(|staging| staging.bytes() <= MAX_KEPT_STAGING) {
            self.staging.put(staging);
        }
        Ok((result, ending))
    }

    pub async fn read<R>(&mut self, place: Place, read: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let pending = self.copy(&[place])?;
        self.finish(pending, read).await
    }

    /// Copies all `places` for the host in one readback, one after the other, each in whole words.
    pub fn copy(&mut self, places: &[Place]) -> Result<Pending> {
        self.submit(0, 0, places)
    }

    pub fn copied_bytes(&self, place: Place) -> usize {
        usize::try_from(self.total_bytes(&[place])).unwrap_or(usize::MAX)
    }

    /// The smallest staging buffer that is large enough, or a new one.
    pub(super) fn take_staging(&mut self, bytes: u64) -> Result<Buffer> {
        match self.staging.take(bytes) {
            Some(staging) => Ok(staging),
            None => self.device.buffer("a readback", bytes, Purpose::Readback),
        }
    }

    /// Copies numbers in, before the next submission; as f16 where the slot holds those, an odd last one with a zero.
    pub fn write(&mut self, place: Place, values: &[f32]) -> Result<()> {
        if self.plan.slots[place.slot].dtype == DType::F16 {
            let bits = |value: &f32| u32::from(half_bits(f64::from(*value)));
            let word = |pair: &[f32]| bits(&pair[0]) | pair.get(1).map_or(0, bits) << 16;
            let words: Vec<u32> = values.chunks(2).map(word).collect();
            return self.write_words(place, &words);
        }
        self.write_words(place, bytemuck::cast_slice(values))
    }

    pub fn write_words(&mut self, place: Place, values: &[u32]) -> Result<()> {
        self.device.upload(
            &self.slots[place.slot],
            self.bytes(place).start,
            bytemuck::cast_slice(values),
        )
    }
}

impl Dispatch {
    /// Records it into a pass, to do 2^`power` steps.
    pub(super) fn record(&self, pass: &mut Pass<'_>, power: usize) {
        pass.dispatch(&self.kernel, &self.bindings[power], self.grid);
    }
}
