//! The machine that trains: a GPU through wgpu, or the CPU session.

#[cfg(feature = "gpu")]
mod host;

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use crate::edge::{block_on, environment, slice};
use crate::gpu::{Counters, Selector};
use crate::plan::Plan;
use crate::target::{Target, TuningTable};
use crate::{Error, Result, Session, gpu};

pub use crate::gpu::Options;

/// The environment variable that [`Device::from_env`] reads.
const DEVICE_VARIABLE: &str = "KILN_DEVICE";

/// The environment variable with the file of measured choices that [`Device::from_env`] reads: see [`Device::with_tuning`].
const TUNING_VARIABLE: &str = "KILN_TUNING";

/// The devices that were opened by name.
static OPENED: Mutex<Vec<(String, Device)>> = Mutex::new(Vec::new());

/// Whether a name in lower case leaves the choice to [`Device::best`].
fn is_best(name: &str) -> bool {
    matches!(name, "" | "best" | "auto")
}

/// Where plans run. Clones share the same machine.
#[derive(Debug, Clone)]
pub struct Device {
    kind: DeviceKind,
    target: Target,
    /// What was tried out of its driver.
    canary: Option<Arc<gpu::Canary>>,
}

#[derive(Debug, Clone)]
enum DeviceKind {
    Cpu,
    Reference,
    Gpu(gpu::Device),
}

impl Device {
    /// The best hardware adapter (discrete, then integrated), else the CPU session: where there is none, and where its
    /// driver refuses to open it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] where the budget is too small for a device at all, and [`Error::DeviceLost`] or
    /// [`Error::Timeout`] where the adapter opens and then fails its trials. An adapter that is refused is none: the CPU
    /// session takes its place.
    pub fn best() -> Result<Self> {
        Self::named("best")
    }

    fn best_with(options: Options) -> Result<Self> {
        match Self::adapter(&Selector::Hardware, options) {
            Ok(Some(device)) => Ok(device),
            Ok(None) => {
                tracing::info!("no hardware adapter: the processor computes");
                Ok(Self::cpu())
            }
            Err(error @ Error::Device { .. }) => {
                tracing::warn!(%error, "the adapter was refused: the processor computes");
                Ok(Self::cpu())
            }
            Err(other) => Err(other),
        }
    }

    /// The CPU session at f32.
    pub fn cpu() -> Self {
        Self::of(DeviceKind::Cpu, Target::cpu())
    }

    /// The CPU session at f64: slower, and what every other device is tested against.
    pub fn reference() -> Self {
        Self::of(DeviceKind::Reference, Target::cpu())
    }

    /// A device by name: `best`, `cpu`, `reference`, `gpu` (hardware only), `software`, a back end (`vulkan`, `metal`,
    /// `dx12`, `gl`), or part of an adapter's name.
    ///
    /// What is asked for and not there is an error that lists what is. GL's adapters are looked at only where `gl` is asked
    /// for, or where there are no others. Adapters are looked for once for each name: from then on all who ask for it share
    /// one device, until it is lost.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are, [`Error::Device`] where the driver refuses to open what was
    /// asked for.
    pub fn named(name: &str) -> Result<Self> {
        let name = name.trim().to_lowercase();
        let key = if is_best(&name) { "best".into() } else { name };
        // Held while a device is opened: who asks at the same time waits for it.
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, device)) = opened.iter().find(|(known, _)| *known == key)
            && !device.gpu().is_some_and(gpu::Device::is_gone)
        {
            return Ok(device.clone());
        }
        opened.retain(|(known, _)| *known != key);
        let device = Self::named_with(&key, Options::default())?;
        opened.push((key, device.clone()));
        Ok(device)
    }

    /// A device by name as [`Device::named`], but opened anew for whoever asks: with a memory budget, a deadline and counters
    /// of its own.
    ///
    /// # Errors
    ///
    /// The errors of [`Device::named`].
    pub fn named_with(name: &str, options: Options) -> Result<Self> {
        let selector = match name.trim().to_lowercase().as_str() {
            best if is_best(best) => return Self::best_with(options),
            "cpu" => return Ok(Self::cpu()),
            "reference" => return Ok(Self::reference()),
            other => Selector::from_name(other),
        };
        Self::adapter(&selector, options)?.ok_or_else(|| {
            let adapters = gpu::adapters();
            let adapters = adapters.iter().map(ToString::to_string);
            Error::not_found(
                "device",
                name.trim(),
                std::iter::once("cpu".into()).chain(adapters),
            )
        })
    }

    /// The device that the environment variable `KILN_DEVICE` names, as [`Device::named`]; the best one if it is unset.
    ///
    /// Where `KILN_TUNING` names a file, it is read as by [`Device::with_tuning`].
    ///
    /// # Errors
    ///
    /// The errors of [`Device::named`] and [`Device::with_tuning`]; [`Error::Argument`] where a variable is not
    /// Unicode.
    pub fn from_env() -> Result<Self> {
        let device = match environment::text(DEVICE_VARIABLE)? {
            Some(name) => Self::named(&name),
            None => Self::best(),
        }?;
        match environment::path(TUNING_VARIABLE) {
            Some(file) if !file.is_empty() => device.with_tuning(file),
            _ => Ok(device),
        }
    }

    /// The same device with the choices of kernels that `tune` measured and wrote to a file.
    ///
    /// A table of another adapter or driver is ignored, and so is any on the CPU sessions.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or is no such table (with the line).
    pub fn with_tuning(self, file: impl AsRef<Path>) -> Result<Self> {
        let table = TuningTable::read(file)?;
        let mut adapters = self.adapter_summary().into_iter();
        if adapters.any(|adapter| adapter.is_in(&table)) {
            return Ok(self.with_target(|target| Target {
                table: Some(Arc::new(table)),
                ..target
            }));
        }
        let (adapter, driver) = (&table.adapter, &table.driver);
        tracing::warn!(%adapter, %driver, "a tuning table of another adapter or driver is ignored");
        Ok(self)
    }

    fn adapter(selector: &Selector, options: Options) -> Result<Option<Self>> {
        let Some(device) = gpu::Device::open(selector, options)? else {
            return Ok(None);
        };
        let canary = device.block_on(gpu::Canary::of(&device))?;
        canary.check(&device)?;
        let mut device = Self::from_gpu(device).with_target(|target| canary.restrict(target));
        device.canary = Some(canary);
        tracing::info!(%device, "device chosen");
        Ok(Some(device))
    }

    fn from_gpu(device: gpu::Device) -> Self {
        let target = device.target().clone();
        Self::of(DeviceKind::Gpu(device), target)
    }

    fn of(kind: DeviceKind, target: Target) -> Self {
        Device {
            kind,
            target,
            canary: None,
        }
    }

    /// What plans for this device are compiled for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The same device with other kernel choices.
    pub fn with_target(mut self, change: impl FnOnce(Target) -> Target) -> Self {
        self.target = change(self.target);
        self
    }

    /// The adapter that it runs on; none for the CPU sessions.
    pub fn adapter_summary(&self) -> Option<&gpu::AdapterSummary> {
        self.gpu().map(gpu::Device::summary)
    }

    /// Whether it computes in f64.
    pub fn is_reference(&self) -> bool {
        matches!(self.kind, DeviceKind::Reference)
    }

    /// Most bytes of buffers; none where no budget was set, and on the CPU sessions.
    pub(crate) fn budget(&self) -> Option<u64> {
        self.gpu().and_then(gpu::Device::budget)
    }

    /// What the engine has asked of wgpu so far; all zero for the CPU sessions.
    pub fn counters(&self) -> Counters {
        self.gpu().map(gpu::Device::counters).unwrap_or_default()
    }

    /// Opens a plan: allocates, compiles, uploads the variables' initial values. A device that was lost is made again first.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] and [`Error::Limit`] where the plan has no room on the device, [`Error::Shader`] for a kernel
    /// that does not fit its op, [`Error::Gpu`], [`Error::DeviceLost`] and [`Error::Timeout`] from the driver.
    pub fn open(&self, plan: &Plan) -> Result<Session> {
        let programs = plan.programs.len();
        tracing::debug!(device = %self, programs, bytes = plan.slot_bytes(), "plan opened");
        match &self.kind {
            DeviceKind::Cpu => Session::open_cpu(plan),
            DeviceKind::Reference => Session::open_reference(plan),
            DeviceKind::Gpu(device) => Session::open_gpu(&device.answering()?, plan),
        }
    }

    pub(crate) fn gpu(&self) -> Option<&gpu::Device> {
        match &self.kind {
            DeviceKind::Gpu(device) => Some(device),
            DeviceKind::Cpu | DeviceKind::Reference => None,
        }
    }

    /// How long a wait for it may last; the CPU sessions let nobody wait.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.gpu().map(gpu::Device::deadline)
    }

    /// How long a submission may keep it, if that is bounded.
    pub(crate) fn submission(&self) -> Option<Duration> {
        self.gpu().and_then(gpu::Device::submission)
    }

    /// Blocks on a future of this device, driving the device meanwhile.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        match self.gpu() {
            Some(device) => device.block_on(future),
            None => block_on(future),
        }
    }

    /// Polls a future of this device for a budget of time, in which its work is to end too: for a host program that trains within
    /// its frames, on one thread. The run is that of any other executor, to the same bits.
    ///
    /// A piece of work is begun where the budget has room for it by what such pieces took before; one that never has room, such as
    /// the step of a large network on a GPU, is begun at the start of a budget. Opening a session, which comes first and
    /// compiles kernels, is not cut. Where the future waits for the device, so does this, until the budget is used up.
    ///
    /// ```
    /// use std::{pin::pin, task::Poll, time::Duration};
    /// use kiln::prelude::*;
    ///
    /// let data = Dataset::from_rows(&[[0., 0.], [0., 1.], [1., 0.], [1., 1.]], &[[0.], [1.], [1.], [0.]])?;
    /// let device = Device::cpu();
    /// let model = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid);
    /// let mut model = model.compile_on(&device, BinaryCrossentropy, Adam::new(0.05), [])?;
    /// let mut training = pin!(model.fit_async(&data, Fit::epochs(200).silent()));
    /// let history = loop {
    ///     if let Poll::Ready(history) = device.poll_for(training.as_mut(), Duration::from_millis(2)) {
    ///         break history?;
    ///     }
    ///     // Draw a frame.
    /// };
    /// assert_eq!(history.epochs.len(), 200);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn poll_for<T>(
        &self,
        future: Pin<&mut impl Future<Output = T>>,
        budget: Duration,
    ) -> Poll<T> {
        slice::poll_for(future, budget, |left| {
            let gpu = self.gpu();
            gpu.inspect(|gpu| gpu.wait_for_awaited(left)).is_some()
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DeviceKind::Cpu => f.write_str("cpu (f32)"),
            DeviceKind::Reference => f.write_str("cpu (f64, reference)"),
            DeviceKind::Gpu(device) => write!(f, "{}", device.summary()),
        }
    }
}
