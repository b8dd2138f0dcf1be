//! Adapters found and opened.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::edge::{block_on, clock};
use crate::gpu::counters::Counters;
use crate::gpu::options::{FaultKind, Options};
use crate::{Error, Result};

use super::super::adapter::{self, AdapterSummary, Selector};
use super::fair_lock::locked;
use super::faults::{Faults, WgpuCall};
use super::health::{Health, LastHandles, caught};
use super::{Device, Inner, Library, Lineage, Pools, QueueAccess};

/// Every adapter that a driver offers.
pub fn adapters() -> Vec<AdapterSummary> {
    let found = caught(|| offered(None)).unwrap_or_default();
    found.iter().map(adapter::summarise).collect()
}

/// The adapters that a choice is made among; all where there is none. Drivers are loaded here.
///
/// Those of GL come in only where it is asked for, or where nothing else is found: it reaches no other hardware, and
/// takes long to load. (Where XDG_RUNTIME_DIR is unset, Wayland's library prints two lines whenever adapters are looked
/// for: wgpu asks Vulkan for Wayland's surfaces, whoever draws or not.)
fn offered(selector: Option<&Selector>) -> Vec<wgpu::Adapter> {
    let of_gl = selector == Some(&Selector::Backend(wgpu::Backend::Gl));
    if !of_gl {
        let found = offered_by(wgpu::Backends::all() - wgpu::Backends::GL);
        if !found.is_empty() {
            return found;
        }
    }
    offered_by(wgpu::Backends::GL)
}

fn offered_by(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.flags = wgpu::InstanceFlags::empty();
    descriptor.backends = backends;
    let instance = wgpu::Instance::new(descriptor);
    block_on(instance.enumerate_adapters(backends))
}

/// What Kiln asks of an adapter: of its features those that kernels use, and all its limits, because smaller ones only make
/// plans fail that would run.
pub fn descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    let wanted = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY;
    wgpu::DeviceDescriptor {
        label: Some("kiln"),
        required_features: adapter.features() & wanted,
        required_limits: adapter.limits(),
        experimental_features: wgpu::ExperimentalFeatures::disabled(),
        memory_hints: wgpu::MemoryHints::Performance,
        trace: wgpu::Trace::Off,
    }
}

impl Device {
    /// Opens the best adapter for the choice; `None` when there is none.
    pub fn open(selector: &Selector, options: Options) -> Result<Option<Self>> {
        let faults = Arc::new(Faults::of(options.fault));
        let opened = opened(selector, &options, &faults)?;
        let Some((device, queue)) = opened else {
            return Ok(None);
        };
        let access = QueueAccess::new(&device);
        let inner = inner((device, queue), access, options, Arc::default(), faults);
        inner.listen();
        Ok(Some(Device::first(inner, Some(selector.clone()))))
    }

    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue, options: Options) -> Self {
        let faults = Arc::new(Faults::of(options.fault));
        let access = QueueAccess::shared(&device);
        let mut inner = inner((device, queue), access, options, Arc::default(), faults);
        inner.of_host = true;
        Device::first(inner, None)
    }

    fn first(inner: Inner, selector: Option<Selector>) -> Self {
        let inner = Arc::new(inner);
        let latest = Mutex::new(Arc::clone(&inner));
        let lineage = Arc::new(Lineage { selector, latest });
        Device { inner, lineage }
    }

    /// The device as it was made last, or made again where that one is gone, on the same account.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] for a device of the host program, which nobody else can make; what opening raises; and
    /// [`Error::Device`] where the adapter is no longer the same, or not there within a second or so.
    pub(crate) fn answering(&self) -> Result<Device> {
        let mut latest = locked(&self.lineage.latest);
        if latest.health.is_gone() {
            *latest = Arc::new(self.in_some_tries(&latest)?);
        }
        Ok(Device {
            inner: Arc::clone(&latest),
            lineage: Arc::clone(&self.lineage),
        })
    }

    /// After a reset a driver may take a moment until it is there again.
    fn in_some_tries(&self, lost: &Inner) -> Result<Inner> {
        for pause in PAUSES {
            match self.again(lost) {
                Err(error @ Error::Device { .. }) => {
                    tracing::warn!(%error, ?pause, "the device cannot be made again yet");
                    clock::pause(pause);
                }
                outcome => return outcome,
            }
        }
        self.again(lost)
    }

    fn again(&self, lost: &Inner) -> Result<Inner> {
        let reason = lost.health.reason();
        let Some(selector) = &self.lineage.selector else {
            return Err(Error::DeviceLost {
                during: "making the device again".into(),
                message: format!("{reason}; it is the host program's, which alone can make it"),
            });
        };
        tracing::warn!(device = %lost.summary, reason, "device lost");
        let options = &lost.options;
        let gone = || Error::Device {
            message: format!(
                "{} was lost, {reason}, and is no longer there",
                lost.summary
            ),
        };
        let (device, queue) = opened(selector, options, &lost.faults)?.ok_or_else(gone)?;
        let generation = lost.generation + 1;
        let (meter, faults) = (Arc::clone(&lost.meter), Arc::clone(&lost.faults));
        let access = QueueAccess::new(&device);
        let mut made = inner((device, queue), access, *options, meter, faults);
        made.generation = generation;
        let (was, is) = (&lost.summary, &made.summary);
        if (&was.name, &was.driver, &was.target) != (&is.name, &is.driver, &is.target) {
            return Err(gone());
        }
        made.listen();
        tracing::info!(device = %made.summary, generation, "device made again");
        Ok(made)
    }
}

/// The times between tries to make a device again.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

fn opened(
    selector: &Selector,
    options: &Options,
    faults: &Faults,
) -> Result<Option<(wgpu::Device, wgpu::Queue)>> {
    allowed(faults, WgpuCall::Adapters, "looking for adapters", options)?;
    let adapters = caught(|| offered(Some(selector))).map_err(|panic| Error::Device {
        message: format!("the drivers cannot be asked for their adapters: {panic}"),
    })?;
    let Some(adapter) = selector.choose(&adapters) else {
        return Ok(None);
    };
    let name = adapter.get_info().name;
    allowed(faults, WgpuCall::Open, &format!("opening {name}"), options)?;
    let refused = |message: String| Error::Device {
        message: format!("{name} cannot be opened: {message}"),
    };
    let opened = caught(|| block_on(adapter.request_device(&descriptor(&adapter))));
    let opened = opened
        .map_err(&refused)?
        .map_err(|error| refused(error.to_string()))?;
    Ok(Some(opened))
}

impl Inner {
    /// Hears of the device's loss and of errors that no scope of ours holds, on which wgpu panics else.
    fn listen(&self) {
        let health = Arc::clone(&self.health);
        self.wgpu.set_device_lost_callback(move |reason, message| {
            health.lose(if message.is_empty() {
                format!("{reason:?}").to_lowercase()
            } else {
                message
            });
        });
        let health = Arc::clone(&self.health);
        let stray = move |error: wgpu::Error| health.stray(error.to_string());
        self.wgpu.on_uncaptured_error(Arc::new(stray));
    }
}

/// A device of the first generation, with what it shares with those that follow.
fn inner(
    (wgpu, queue): (wgpu::Device, wgpu::Queue),
    access: Arc<QueueAccess>,
    options: Options,
    meter: Arc<Mutex<Counters>>,
    faults: Arc<Faults>,
) -> Inner {
    let health: Arc<Health> = Arc::default();
    let handles = Some((wgpu.clone(), queue.clone()));
    Inner {
        library: Library::default(),
        pools: Pools::default(),
        summary: adapter::summary_of(&wgpu.adapter_info(), &wgpu.limits(), wgpu.features()),
        wgpu,
        queue,
        options,
        access,
        of_host: false,
        meter,
        faults,
        generation: 0,
        _last_handles: LastHandles {
            health: Arc::clone(&health),
            handles,
        },
        health,
    }
}

/// Counts a call before there is a device, and lets it fail where it is to.
fn allowed(faults: &Faults, call: WgpuCall, during: &str, options: &Options) -> Result<()> {
    let message = match faults.pass(call) {
        None => return Ok(()),
        Some(FaultKind::Timeout) => {
            return Err(Error::Timeout {
                during: during.into(),
                seconds: options.deadline.as_secs_f64(),
            });
        }
        Some(FaultKind::Lost) => "the device is lost",
        Some(FaultKind::OutOfMemory) => "out of device memory",
        Some(FaultKind::Error | FaultKind::Map) => "a fault was let in",
    };
    Err(Error::Device {
        message: format!("{during} failed: {message}"),
    })
}
