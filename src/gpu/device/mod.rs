//! The one door to wgpu: every call is counted, its errors typed, and a device that is gone told at once.
//!
//! No other file calls wgpu. [`open`] finds adapters and opens them, [`account`] makes buffers, [`pipeline`] pipelines and
//! bind groups, [`record`] submissions, [`queue`] submits them one after the other, [`wait`] waits; [`faults`] lets the n-th call fail, for tests.

mod account;
mod fair_lock;
mod faults;
mod health;
mod open;
mod pipeline;
mod queue;
mod record;
mod wait;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::edge::block_on;
use crate::target::Target;
use crate::{Error, Result};

use super::adapter::{AdapterSummary, Selector};
use super::counters::Counters;
use super::options::{Fault, FaultKind, Options};

pub(super) use account::{Buffer, Pool, Purpose};
pub(super) use fair_lock::locked;
pub use open::{adapters, descriptor};
pub(super) use pipeline::{Kernel, KernelKey, KernelSource, LoadedModule};
pub(super) use record::{Pass, Recorder};

use account::Pools;
use faults::{Faults, WgpuCall};
use health::{Health, LastHandles, caught};
use pipeline::Library;
use queue::QueueAccess;

struct Inner {
    // Declared before what takes leave of the device, so dropped before it.
    library: Library,
    pools: Pools,
    wgpu: wgpu::Device,
    queue: wgpu::Queue,
    summary: AdapterSummary,
    options: Options,
    access: Arc<QueueAccess>,
    /// The host program has it too.
    of_host: bool,
    /// For all devices of its lineage.
    meter: Arc<Mutex<Counters>>,
    faults: Arc<Faults>,
    health: Arc<Health>,
    /// How many devices of its lineage were lost before it.
    generation: u64,
    _last_handles: LastHandles,
}

/// The devices that one adapter was opened as, each made after the one before was lost.
struct Lineage {
    /// How the adapter was chosen; none where the device is the host program's, which nobody else can make again.
    selector: Option<Selector>,
    latest: Mutex<Arc<Inner>>,
}

/// An open adapter. Clones share it.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
    lineage: Arc<Lineage>,
}

#[derive(Debug)]
pub(super) struct Bindings(wgpu::BindGroup);

#[derive(Debug, Clone)]
pub(super) struct Submission {
    index: wgpu::SubmissionIndex,
    /// Whether it is known to have ended; set on a host program's device alone.
    ended: Arc<AtomicBool>,
}

pub(super) struct Timestamps {
    set: wgpu::QuerySet,
    /// Seconds of a tick.
    pub period: f64,
}

/// The most timestamps of one set.
pub(super) const MAX_TIMESTAMPS: usize = wgpu::QUERY_SET_MAX_QUERIES as usize;

enum Refusal {
    OutOfMemory,
    Other(String),
}

impl Device {
    pub fn summary(&self) -> &AdapterSummary {
        &self.inner.summary
    }

    pub fn budget(&self) -> Option<u64> {
        self.inner.options.budget
    }

    pub fn target(&self) -> &Target {
        &self.inner.summary.target
    }

    pub fn counters(&self) -> Counters {
        Counters {
            generation: locked(&self.lineage.latest).generation,
            faults: self.inner.faults.fired(),
            ..*self.meter()
        }
    }

    fn meter(&self) -> MutexGuard<'_, Counters> {
        locked(&self.inner.meter)
    }

    /// Calls through the door so far, by what they ask of wgpu.
    pub fn calls(&self) -> Vec<(&'static str, u64)> {
        self.inner.faults.by_call()
    }

    /// Lets a call fail, counted from now on: for tests of what a failing driver does.
    pub fn inject(&self, fault: Fault) {
        self.inner.faults.arm(fault);
    }

    /// Destroys the device, as a reset of the driver would: it goes on looking healthy until a readback fails.
    pub fn destroy(&self) {
        let inner = self.latest().inner;
        if let Err(panic) = caught(|| inner.wgpu.destroy()) {
            inner.health.lose(panic);
        }
    }

    /// Whether it was lost, or is given up because it hangs: what was on it cannot be read any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.inner.health.is_gone()
    }

    pub(crate) fn latest(&self) -> Device {
        Device {
            inner: Arc::clone(&locked(&self.lineage.latest)),
            lineage: Arc::clone(&self.lineage),
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.inner.options.deadline
    }

    pub(crate) fn submission(&self) -> Option<Duration> {
        self.inner.options.submission
    }

    /// Runs wgpu calls and returns what they raised, typed.
    fn guard<R>(&self, call: WgpuCall, during: &str, calls: impl FnOnce(&Inner) -> R) -> Result<R> {
        self.guarded(self.inner.faults.pass(call), during, calls)
    }

    /// Runs calls that were counted already, and returns what they raised, typed.
    fn guarded<R>(
        &self,
        fault: Option<FaultKind>,
        during: &str,
        calls: impl FnOnce(&Inner) -> R,
    ) -> Result<R> {
        self.let_through(fault, during, calls)?
            .map_err(|refusal| typed(during, refusal))
    }

    /// Runs wgpu calls and returns what they raised; the outer error is that the device is gone.
    fn scoped<R>(
        &self,
        call: WgpuCall,
        during: &str,
        calls: impl FnOnce(&Inner) -> R,
    ) -> Result<Result<R, Refusal>> {
        let fault = self.inner.faults.pass(call);
        if fault == Some(FaultKind::OutOfMemory) {
            self.alive(during)?;
            return Ok(Err(Refusal::OutOfMemory));
        }
        self.let_through(fault, during, calls)
    }

    fn let_through<R>(
        &self,
        fault: Option<FaultKind>,
        during: &str,
        calls: impl FnOnce(&Inner) -> R,
    ) -> Result<Result<R, Refusal>> {
        self.alive(during)?;
        let inner = &self.inner;
        match fault {
            None => {}
            Some(FaultKind::Error | FaultKind::Map) => {
                let message = "a fault was let in".to_string();
                return Ok(Err(Refusal::Other(message)));
            }
            Some(FaultKind::OutOfMemory) => {
                inner.wgpu.destroy();
                inner.health.lose("out of device memory");
                self.alive(during)?;
            }
            // What follows finds out by itself.
            Some(FaultKind::Lost) => inner.wgpu.destroy(),
            Some(FaultKind::Timeout) => return Err(self.passed_deadline(during)),
        }
        let filters = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Validation,
        ];
        let outcome = caught(|| {
            let scopes = filters.map(|filter| inner.wgpu.push_error_scope(filter));
            let result = calls(inner);
            // Scopes close innermost first; natively their results are ready at once.
            let raised = scopes
                .into_iter()
                .rev()
                .filter_map(|scope| block_on(scope.pop()));
            (result, raised.collect::<Vec<_>>())
        });
        let (result, raised) = match outcome {
            Ok(outcome) => outcome,
            Err(panic) => {
                inner.health.lose(panic.clone());
                self.alive(during)?;
                return Ok(Err(Refusal::Other(panic)));
            }
        };
        if !raised.is_empty() {
            // What was made on a lost device is invalid, and that is what the error says; polled, wgpu tells of the loss.
            // The loss of a host's device is told to the host alone: a mapping that fails tells us.
            let Some(_turn) = inner.access.turn.take(self.deadline()) else {
                return Err(self.passed_deadline(during));
            };
            match caught(|| inner.maps()) {
                Ok(true) => {}
                Ok(false) => inner.health.lose("nothing on it can be mapped any more"),
                Err(panic) => inner.health.lose(panic),
            }
        }
        self.alive(during)?;
        Ok(match raised.into_iter().next() {
            None => Ok(result),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(Refusal::OutOfMemory),
            Some(
                wgpu::Error::Validation { description, .. }
                | wgpu::Error::Internal { description, .. },
            ) => Err(Refusal::Other(description)),
        })
    }

    fn alive(&self, during: &str) -> Result<()> {
        self.inner.health.check(during)
    }

    /// Room for `count` timestamps; none where the device takes none.
    pub(super) fn timestamps(&self, count: u32) -> Result<Option<Timestamps>> {
        let inner = &self.inner;
        let features = inner.wgpu.features();
        if !features.contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let descriptor = wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        };
        let made = self.scoped(
            WgpuCall::Timestamps,
            "making room for timestamps",
            |inner| inner.wgpu.create_query_set(&descriptor),
        )?;
        // A driver that offers timestamps and then has no room for them is one without.
        let Ok(set) = made else { return Ok(None) };
        self.meter().objects += 1;
        Ok(Some(Timestamps {
            set,
            period: f64::from(inner.queue.get_timestamp_period()) * 1e-9,
        }))
    }
}

impl Inner {
    /// Polls, and says whether a new buffer can be mapped, which fails on a device that is gone and on no other.
    fn maps(&self) -> bool {
        let scope = self.wgpu.push_error_scope(wgpu::ErrorFilter::Validation);
        let buffer = self.wgpu.create_buffer(&wgpu::BufferDescriptor {
            label: Some("a probe"),
            size: 4,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let failed = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failed);
        let tell = move |mapped: std::result::Result<(), _>| told.store(mapped.is_err(), Relaxed);
        buffer.slice(..).map_async(wgpu::MapMode::Read, tell);
        let polled = self.wgpu.poll(wgpu::PollType::Poll);
        drop(buffer);
        // An error of this buffer is the answer, not news.
        drop(block_on(scope.pop()));
        polled.is_ok() && !failed.load(Relaxed)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Device").field(&self.inner.summary).finish()
    }
}

fn typed(during: &str, refusal: Refusal) -> Error {
    Error::Gpu {
        during: during.into(),
        message: match refusal {
            Refusal::OutOfMemory => "out of device memory".into(),
            Refusal::Other(message) => message,
        },
    }
}
