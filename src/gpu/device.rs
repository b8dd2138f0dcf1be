//! The one door to wgpu: typed errors, counts, a byte account with a budget, deadlines on waits.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use crate::plan::Target;
use crate::{Error, Result};

use super::adapter::{self, AdapterSummary, Selector};
use super::counters::{Counters, Meter};
use super::kernel::{Kernel, KernelKey, Module};

/// How a device is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Most bytes of buffers; a request beyond is refused before the driver is asked. Default: no budget.
    pub budget: Option<u64>,
    /// How long a wait may last. Default: 120 s.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            budget: None,
            deadline: Duration::from_secs(120),
        }
    }
}

#[derive(Default)]
struct Lost {
    flag: AtomicBool,
    reason: Mutex<String>,
}

struct Inner {
    wgpu: wgpu::Device,
    queue: wgpu::Queue,
    summary: AdapterSummary,
    options: Options,
    meter: Meter,
    lost: Arc<Lost>,
    /// The submission that the future at hand waits for: see [`Device::block_on`].
    awaited: Mutex<Option<wgpu::SubmissionIndex>>,
    /// By their whole text: two shaders may have one name.
    modules: Mutex<HashMap<std::borrow::Cow<'static, str>, Arc<LoadedModule>>>,
    kernels: Mutex<HashMap<KernelKey, Arc<Kernel>>>,
}

/// A shader as parsed: each pipeline is made from its own part of the tree.
pub(super) struct LoadedModule {
    pub reflected: Module,
    pub tree: naga::Module,
}

/// An open adapter. Clones share it.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

impl Device {
    /// Opens the best adapter for the choice; `None` when there is none.
    pub fn open(selector: &Selector, options: Options) -> Result<Option<Self>> {
        pollster::block_on(async {
            let adapters = adapter::instance()
                .enumerate_adapters(wgpu::Backends::all())
                .await;
            let Some(adapter) = selector.choose(&adapters) else {
                return Ok(None);
            };
            let wanted = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
            let descriptor = wgpu::DeviceDescriptor {
                label: Some("kiln"),
                required_features: adapter.features() & wanted,
                // What the adapter has: smaller requests only make plans fail that would run.
                required_limits: adapter.limits(),
                experimental_features: wgpu::ExperimentalFeatures::disabled(),
                memory_hints: wgpu::MemoryHints::Performance,
                trace: wgpu::Trace::Off,
            };
            let (device, queue) =
                adapter
                    .request_device(&descriptor)
                    .await
                    .map_err(|error| Error::Device {
                        message: format!("{} cannot be opened: {error}", adapter.get_info().name),
                    })?;
            let summary =
                adapter::summary_of(&adapter.get_info(), &device.limits(), device.features());
            let this = Device::build(device, queue, summary, options);
            let lost = Arc::clone(&this.inner.lost);
            this.inner
                .wgpu
                .set_device_lost_callback(move |reason, message| {
                    if reason != wgpu::DeviceLostReason::Destroyed || !message.is_empty() {
                        *lost.reason.lock().unwrap_or_else(PoisonError::into_inner) =
                            format!("{reason:?}: {message}");
                        lost.flag.store(true, Relaxed);
                    }
                });
            Ok(Some(this))
        })
    }

    /// Uses a device and queue of the host program. Its error handlers stay as they are.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue, options: Options) -> Self {
        let summary =
            adapter::summary_of(&device.adapter_info(), &device.limits(), device.features());
        Device::build(device, queue, summary, options)
    }

    fn build(
        wgpu: wgpu::Device,
        queue: wgpu::Queue,
        summary: AdapterSummary,
        options: Options,
    ) -> Self {
        Device {
            inner: Arc::new(Inner {
                wgpu,
                queue,
                summary,
                options,
                meter: Meter::default(),
                lost: Arc::default(),
                awaited: Mutex::default(),
                modules: Mutex::default(),
                kernels: Mutex::default(),
            }),
        }
    }

    /// Name, kind, driver and features.
    pub fn summary(&self) -> &AdapterSummary {
        &self.inner.summary
    }

    /// What a plan may ask of it.
    pub fn target(&self) -> &Target {
        &self.inner.summary.target
    }

    /// What has been asked of wgpu so far.
    pub fn counters(&self) -> Counters {
        self.inner.meter.read()
    }

    /// How long a wait may last.
    pub(crate) fn deadline(&self) -> Duration {
        self.inner.options.deadline
    }

    /// Runs wgpu calls and returns what they raised, typed.
    fn guard<R>(&self, during: &str, calls: impl FnOnce(&Inner) -> R) -> Result<R> {
        self.scoped(during, calls)?
            .map_err(|error| typed(during, &error))
    }

    /// Runs wgpu calls and returns what they raised; the outer error is that the device is lost.
    fn scoped<R>(
        &self,
        during: &str,
        calls: impl FnOnce(&Inner) -> R,
    ) -> Result<Result<R, wgpu::Error>> {
        self.alive(during)?;
        let filters = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Validation,
        ];
        let scopes = filters.map(|filter| self.inner.wgpu.push_error_scope(filter));
        let result = calls(&self.inner);
        // Scopes close innermost first; natively their results are ready at once.
        let raised: Vec<_> = scopes
            .into_iter()
            .rev()
            .filter_map(|scope| pollster::block_on(scope.pop()))
            .collect();
        self.alive(during)?;
        Ok(raised.into_iter().next().map_or(Ok(result), Err))
    }

    fn alive(&self, during: &str) -> Result<()> {
        if !self.inner.lost.flag.load(Relaxed) {
            return Ok(());
        }
        let message = self
            .inner
            .lost
            .reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Err(Error::DeviceLost {
            during: during.into(),
            message,
        })
    }

    fn made(&self, objects: u64) {
        self.inner.meter.objects.fetch_add(objects, Relaxed);
    }

    /// Makes a buffer within the budget; dropping it gives its bytes back.
    pub(super) fn buffer(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<Buffer> {
        let meter = &self.inner.meter;
        let alive = meter.bytes.fetch_add(bytes, Relaxed) + bytes;
        let lease = Lease {
            device: self.clone(),
            bytes,
        };
        if let Some(budget) = self.inner.options.budget.filter(|&budget| alive > budget) {
            let available = budget.saturating_sub(alive - bytes);
            return Err(Error::OutOfMemory {
                what: label.into(),
                needed: bytes,
                available: Some(available),
            });
        }
        meter.peak_bytes.fetch_max(alive, Relaxed);
        let descriptor = wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage,
            mapped_at_creation: false,
        };
        let during = format!("making the buffer of {label}");
        let made = self.scoped(&during, |inner| inner.wgpu.create_buffer(&descriptor))?;
        let wgpu = made.map_err(|error| match error {
            wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory {
                what: label.into(),
                needed: bytes,
                available: None,
            },
            other => typed(&during, &other),
        })?;
        self.made(1);
        Ok(Buffer {
            wgpu,
            _lease: lease,
        })
    }

    /// Writes bytes before the next submission.
    pub(super) fn upload(&self, buffer: &Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        self.inner.meter.uploads.fetch_add(1, Relaxed);
        self.inner
            .meter
            .upload_bytes
            .fetch_add(bytes.len() as u64, Relaxed);
        self.guard("writing to a buffer", |inner| {
            inner.queue.write_buffer(&buffer.wgpu, offset, bytes)
        })
    }

    /// Encodes and submits: `encode` records the passes it makes.
    pub(super) fn submit(
        &self,
        encode: impl FnOnce(&mut wgpu::CommandEncoder) -> Work,
    ) -> Result<wgpu::SubmissionIndex> {
        let (work, index) = self.guard("submitting work", |inner| {
            let mut encoder = inner
                .wgpu
                .create_command_encoder(&wgpu::CommandEncoderDescriptor {
                    label: Some("kiln"),
                });
            let work = encode(&mut encoder);
            (work, inner.queue.submit([encoder.finish()]))
        })?;
        let meter = &self.inner.meter;
        meter.submits.fetch_add(1, Relaxed);
        meter.passes.fetch_add(work.passes, Relaxed);
        meter.dispatches.fetch_add(work.dispatches, Relaxed);
        Ok(index)
    }

    /// Counts a readback and lets wgpu make progress without blocking.
    pub(super) fn begin_map(
        &self,
        buffer: &Buffer,
        bytes: u64,
        done: impl FnOnce(Result<(), wgpu::BufferAsyncError>) + Send + 'static,
    ) -> Result<()> {
        self.inner.meter.readbacks.fetch_add(1, Relaxed);
        self.guard("mapping a buffer", |_| {
            buffer
                .wgpu
                .slice(..bytes)
                .map_async(wgpu::MapMode::Read, done);
        })
    }

    /// Calls `done` when everything submitted so far has ended.
    pub(super) fn begin_signal(&self, done: impl FnOnce() + Send + 'static) -> Result<()> {
        self.guard("waiting for the device", |inner| {
            inner.queue.on_submitted_work_done(done);
        })
    }

    /// Hands the first `bytes` of a mapped buffer to `read` and unmaps it.
    pub(super) fn read_mapped<R>(
        &self,
        buffer: &Buffer,
        bytes: u64,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        self.guard("reading a mapped buffer", |_| {
            let range = buffer.wgpu.slice(..bytes).get_mapped_range();
            let result = range.map(|range| read(&range));
            buffer.wgpu.unmap();
            result
        })?
        .map_err(|error| Error::Gpu {
            during: "reading a mapped buffer".into(),
            message: error.to_string(),
        })
    }

    /// Says which submission the future being polled waits for.
    pub(super) fn waits_for(&self, submission: &wgpu::SubmissionIndex) {
        *self
            .inner
            .awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(submission.clone());
    }

    /// Lets wgpu deliver what has finished.
    pub(super) fn progress(&self) -> Result<()> {
        self.poll(wgpu::PollType::Poll)
    }

    fn poll(&self, kind: wgpu::PollType) -> Result<()> {
        self.alive("waiting for the device")?;
        match self.inner.wgpu.poll(kind) {
            // A slice of waiting that timed out is not yet the deadline.
            Ok(_) | Err(wgpu::PollError::Timeout) => self.alive("waiting for the device"),
            Err(error) => Err(Error::Gpu {
                during: "waiting for the device".into(),
                message: error.to_string(),
            }),
        }
    }

    /// Blocks the thread on a future of this device, driving the device meanwhile.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        pollster::block_on(std::future::poll_fn(|context| {
            match future.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => {
                    // The future has asked to be polled again; it reports errors and the deadline itself. Without an
                    // index wgpu would wait for the latest submission, and the device would idle behind it.
                    let submission_index = self
                        .inner
                        .awaited
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take();
                    let wait = wgpu::PollType::Wait {
                        submission_index,
                        timeout: Some(Duration::from_millis(250)),
                    };
                    match self.poll(wait) {
                        Ok(()) | Err(_) => Poll::Pending,
                    }
                }
            }
        }))
    }

    /// A shader, parsed once while it is kept.
    pub(super) fn module(&self, shader: &crate::op::Shader) -> Result<Arc<LoadedModule>> {
        let mut modules = self
            .inner
            .modules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&shader.source) {
            return Ok(Arc::clone(module));
        }
        let (reflected, tree) = Module::parse_with_tree(shader)?;
        let module = Arc::new(LoadedModule { reflected, tree });
        keep(&mut modules, shader.source.clone(), &module);
        Ok(module)
    }

    /// The pipeline of that key, if it was made before.
    pub(super) fn known(&self, key: &KernelKey) -> Option<Arc<Kernel>> {
        let kernels = self.inner.kernels.lock();
        kernels
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .map(Arc::clone)
    }

    /// Makes a pipeline and keeps it for later sessions; of two made at once for one key the first is kept.
    pub(super) fn kernel(
        &self,
        label: &str,
        key: KernelKey,
        make: impl FnOnce(&wgpu::Device) -> Kernel,
    ) -> Result<Arc<Kernel>> {
        let during = format!("making the pipeline {label}");
        let kernel = self.guard(&during, |inner| make(&inner.wgpu))?;
        // Its module, its two layouts, itself.
        self.made(4);
        let kernels = self.inner.kernels.lock();
        let mut kernels = kernels.unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = kernels.get(&key) {
            return Ok(Arc::clone(first));
        }
        let kernel = Arc::new(kernel);
        keep(&mut kernels, key, &kernel);
        Ok(kernel)
    }

    /// Room for `count` timestamps and the seconds of a tick; none where the device takes no timestamps.
    pub(super) fn timestamps(&self, count: u32) -> Option<(wgpu::QuerySet, f64)> {
        let inner = &self.inner;
        if !inner
            .wgpu
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
        {
            return None;
        }
        let descriptor = wgpu::QuerySetDescriptor {
            label: Some("timestamps"),
            ty: wgpu::QueryType::Timestamp,
            count,
        };
        // A driver that offers timestamps and then has no room for them is one without.
        let set = self
            .guard("making room for timestamps", |inner| {
                inner.wgpu.create_query_set(&descriptor)
            })
            .ok()?;
        self.made(1);
        Some((set, f64::from(inner.queue.get_timestamp_period()) * 1e-9))
    }

    pub(super) fn bind(
        &self,
        label: &str,
        layout: &wgpu::BindGroupLayout,
        entries: &[wgpu::BindGroupEntry<'_>],
    ) -> Result<wgpu::BindGroup> {
        let descriptor = wgpu::BindGroupDescriptor {
            label: Some(label),
            layout,
            entries,
        };
        let group = self.guard(&format!("binding {label}"), |inner| {
            inner.wgpu.create_bind_group(&descriptor)
        })?;
        self.made(1);
        Ok(group)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Device").field(&self.inner.summary).finish()
    }
}

/// What an encoder recorded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub passes: u64,
    pub dispatches: u64,
}

/// A buffer on the account of its device.
#[derive(Debug)]
pub(super) struct Buffer {
    pub wgpu: wgpu::Buffer,
    _lease: Lease,
}

#[derive(Debug)]
struct Lease {
    device: Device,
    bytes: u64,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.device.inner.meter.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

/// Most pipelines, and most shaders, that are kept though no session uses them.
const MOST_KEPT: usize = 256;

/// Keeps a thing for later sessions; what none uses goes when there are many, so that a program that makes networks of
/// ever new shapes does not grow.
fn keep<K: Eq + std::hash::Hash, V>(kept: &mut HashMap<K, Arc<V>>, key: K, value: &Arc<V>) {
    if kept.len() >= MOST_KEPT {
        kept.retain(|_, value| Arc::strong_count(value) > 1);
    }
    kept.insert(key, Arc::clone(value));
}

fn typed(during: &str, error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::Gpu {
            during: during.into(),
            message: "out of device memory".into(),
        },
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            Error::Gpu {
                during: during.into(),
                message: description.clone(),
            }
        }
    }
}
