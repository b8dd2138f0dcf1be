//! Adapters found and opened.

use std::sync::Arc;

use crate::{Error, Result};

use super::super::adapter::{self, AdapterSummary, Selector};
use super::faults::{Call, FaultKind, Faults};
use super::health::{Farewell, Health, caught};
use super::{Device, Inner, Library, Meter, Options, Turn};

/// Every adapter that a driver offers.
pub fn adapters() -> Vec<AdapterSummary> {
    let found = caught(offered).unwrap_or_default();
    found.iter().map(adapter::summarise).collect()
}

/// Drivers are loaded here.
fn offered() -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
}

impl Device {
    /// Opens the best adapter for the choice; `None` when there is none.
    pub fn open(selector: &Selector, options: Options) -> Result<Option<Self>> {
        let faults = Faults::of(options.fault);
        allowed(&faults, Call::Adapters, "looking for adapters", &options)?;
        let adapters = caught(offered).map_err(|panic| Error::Device {
            message: format!("the drivers cannot be asked for their adapters: {panic}"),
        })?;
        let Some(adapter) = selector.choose(&adapters) else {
            return Ok(None);
        };
        let name = adapter.get_info().name;
        allowed(&faults, Call::Open, &format!("opening {name}"), &options)?;
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
        let refused = |message: String| Error::Device {
            message: format!("{name} cannot be opened: {message}"),
        };
        let opened = caught(|| pollster::block_on(adapter.request_device(&descriptor)));
        let (device, queue) = opened
            .map_err(&refused)?
            .map_err(|error| refused(error.to_string()))?;
        let this = Device::build(device, queue, options, faults);
        let health = Arc::clone(&this.inner.health);
        this.inner
            .wgpu
            .set_device_lost_callback(move |reason, message| {
                health.lose(match message.is_empty() {
                    true => format!("{reason:?}").to_lowercase(),
                    false => message,
                });
            });
        let health = Arc::clone(&this.inner.health);
        // Without this wgpu panics on an error that no scope of ours holds.
        this.inner
            .wgpu
            .on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
                health.stray(error.to_string());
            }));
        Ok(Some(this))
    }

    /// Uses a device and queue of the host program. Its error handlers stay as they are.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue, options: Options) -> Self {
        let faults = Faults::of(options.fault);
        Device::build(device, queue, options, faults)
    }

    fn build(wgpu: wgpu::Device, queue: wgpu::Queue, options: Options, faults: Faults) -> Self {
        let health: Arc<Health> = Arc::default();
        let summary = adapter::summary_of(&wgpu.adapter_info(), &wgpu.limits(), wgpu.features());
        Device {
            inner: Arc::new(Inner {
                library: Library::default(),
                _farewell: Farewell {
                    health: Arc::clone(&health),
                    handles: Some((wgpu.clone(), queue.clone())),
                },
                wgpu,
                queue,
                summary,
                options,
                turn: Turn::default(),
                meter: Arc::new(Meter::default()),
                faults: Arc::new(faults),
                health,
            }),
        }
    }
}

/// Counts a call before there is a device, and lets it fail where it is to.
fn allowed(faults: &Faults, call: Call, during: &str, options: &Options) -> Result<()> {
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
