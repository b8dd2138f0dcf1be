//! Waiting for a device: maps and signals asked for, progress made, every wait with a deadline.

use std::cell::RefCell;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use crate::edge::{block_on, slice};
use crate::target::Class;
use crate::{Error, Result};

use super::queue::SLICE;
use super::{Buffer, Device, Inner, Submission, WgpuCall};
use crate::gpu::options::FaultKind;

thread_local! {
    /// The device and the submission that the future at hand waits for: see [`Device::block_on`].
    static AWAITED: RefCell<Option<(Weak<Inner>, wgpu::SubmissionIndex)>> = const { RefCell::new(None) };
}

impl Device {
    /// Counts a readback and asks for the first `bytes` of a buffer; `done` hears whether they can be read.
    pub(in crate::gpu) fn begin_map(
        &self,
        buffer: &Buffer,
        bytes: u64,
        done: impl FnOnce(bool) + Send + 'static,
    ) -> Result<()> {
        self.meter().readbacks += 1;
        let during = "mapping a buffer";
        match self.inner.faults.pass(WgpuCall::Map) {
            Some(FaultKind::Map) => {
                done(false);
                Ok(())
            }
            fault => self.guarded(fault, during, |_| {
                let done = move |mapped: Result<(), _>| done(mapped.is_ok());
                let slice = buffer.wgpu.slice(..bytes);
                slice.map_async(wgpu::MapMode::Read, done);
            }),
        }
    }

    /// Calls `done` when everything submitted so far has ended.
    pub(in crate::gpu) fn begin_signal(&self, done: impl FnOnce() + Send + 'static) -> Result<()> {
        self.guard(WgpuCall::Signal, "waiting for the device", |inner| {
            inner.queue.on_submitted_work_done(done);
        })
    }

    /// To be called once, before a wait.
    pub(in crate::gpu) fn begin_wait(&self) -> Result<()> {
        self.guard(WgpuCall::Wait, "waiting for the device", |_| ())
    }

    /// Hands the first `bytes` of a mapped buffer to `read` and unmaps it.
    pub(in crate::gpu) fn read_mapped<R>(
        &self,
        buffer: &Buffer,
        bytes: u64,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        let during = "reading a mapped buffer";
        self.guard(WgpuCall::Read, during, |_| {
            let range = buffer.wgpu.slice(..bytes).get_mapped_range();
            let result = range.map(|range| read(&range));
            buffer.wgpu.unmap();
            result
        })?
        .map_err(|error| Error::Gpu {
            during: during.into(),
            message: error.to_string(),
        })
    }

    /// A mapping failed that nothing was wrong with: the device is gone, even where it says nothing.
    pub(in crate::gpu) fn mapping_failed(&self, during: &str) -> Error {
        self.inner
            .health
            .lose("what was on it can no longer be read");
        match self.alive(during) {
            Err(lost) => lost,
            Ok(()) => Error::Gpu {
                during: during.into(),
                message: "a buffer cannot be mapped".into(),
            },
        }
    }

    /// A wait passed its deadline: the device may work on for ever, so nothing is asked of it any more.
    pub(in crate::gpu) fn passed_deadline(&self, during: &str) -> Error {
        self.inner.passed_deadline(during)
    }

    /// Says which submission the future being polled waits for.
    pub(in crate::gpu) fn waits_for(&self, submission: &Submission) {
        AWAITED.with_borrow_mut(|awaited| {
            *awaited = Some((Arc::downgrade(&self.inner), submission.index.clone()))
        });
    }

    /// Waits for a submission within the poll at hand, as if it were the poll that does the work, where that is so or nearly: an
    /// adapter that is the processor takes the cores of a thread that polls on. For a GPU no longer than `patience`. Whether
    /// there was time for it.
    pub(in crate::gpu) fn waits_within_poll(
        &self,
        submission: &Submission,
        patience: Duration,
    ) -> bool {
        let of_gpu = |left: Duration| match self.target().class {
            Class::Gpu => left.min(patience),
            Class::Cpu | Class::CpuAdapter => left,
        };
        let left = slice::left().map(of_gpu).filter(|left| !left.is_zero());
        let Some(left) = left else {
            return false;
        };
        let inner = &self.inner;
        // Errors are found when the future looks again.
        drop(inner.poll(inner.awaiting(Some(submission.index.clone()), left)));
        inner.pause();
        true
    }

    /// Lets wgpu deliver what has finished.
    pub(in crate::gpu) fn progress(&self) -> Result<()> {
        self.inner.poll(wgpu::PollType::Poll)
    }

    /// Blocks the thread on a future of this device, driving the device meanwhile.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        block_on(std::future::poll_fn(|context| {
            match future.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => {
                    // The future has asked to be polled again; it reports errors and the deadline itself.
                    self.wait_for_awaited(SLICE);
                    Poll::Pending
                }
            }
        }))
    }

    /// Waits for a while, `most` at most, for what the future that was polled last waits for.
    pub(crate) fn wait_for_awaited(&self, most: Duration) {
        // Without an index wgpu would wait for the latest submission, and the device would idle after it.
        let awaited = AWAITED.take();
        let awaited = awaited.and_then(|(inner, index)| Some((inner.upgrade()?, index)));
        let (inner, submission_index) = match awaited {
            Some((inner, index)) => (inner, Some(index)),
            None => (self.latest().inner, None),
        };
        // Errors too are the future's to report.
        drop(inner.poll(inner.awaiting(submission_index, most)));
        inner.pause();
    }
}
