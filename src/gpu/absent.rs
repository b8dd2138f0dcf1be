//! What stands for the GPU executor where the crate is built without the feature `gpu`: no adapter is ever found, and of its
//! device and its session there is no value.

#[path = "counters.rs"]
mod counters;
#[path = "options.rs"]
mod options;
#[path = "timings.rs"]
mod timings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::edge::WallTime;
use crate::plan::{Place, Plan};
use crate::target::{Target, TuningTable};

pub use counters::Counters;
pub use options::{Fault, FaultKind, Options};
pub use timings::{LaunchTiming, Profile};

/// What there is no value of. Inside of types of which nobody sees that, so that code for GPUs compiles as it is.
#[derive(Debug, Clone, Copy)]
enum Never {}

/// A choice among adapters, of which there are none.
#[derive(Debug)]
pub(crate) enum Selector {
    Hardware,
    Name,
}

impl Selector {
    pub fn from_name(_name: &str) -> Self {
        Selector::Name
    }
}

/// The adapters of the machine that this build can use: none.
pub(crate) fn adapters() -> Vec<AdapterSummary> {
    Vec::new()
}

/// An adapter.
#[derive(Debug)]
pub struct AdapterSummary(Never);

impl AdapterSummary {
    pub(crate) fn is_in(&self, _table: &TuningTable) -> bool {
        match self.0 {}
    }
}

impl fmt::Display for AdapterSummary {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

/// What is known of a driver.
#[derive(Debug)]
pub(crate) struct Canary(Never);

impl Canary {
    pub async fn of(device: &Device) -> Result<Arc<Self>> {
        match device.0 {}
    }

    pub fn check(&self, _device: &Device) -> Result<()> {
        match self.0 {}
    }

    pub fn restrict(&self, _target: Target) -> Target {
        match self.0 {}
    }
}

/// An open adapter.
#[derive(Debug, Clone)]
pub(crate) struct Device(Never);

impl Device {
    pub fn open(selector: &Selector, options: Options) -> Result<Option<Self>> {
        tracing::debug!(?selector, ?options, "built without the feature `gpu`");
        Ok(None)
    }

    pub fn target(&self) -> &Target {
        match self.0 {}
    }

    pub fn summary(&self) -> &AdapterSummary {
        match self.0 {}
    }

    pub fn budget(&self) -> Option<u64> {
        match self.0 {}
    }

    pub fn counters(&self) -> Counters {
        match self.0 {}
    }

    pub fn generation(&self) -> u64 {
        match self.0 {}
    }

    pub fn answering(&self) -> Result<Self> {
        match self.0 {}
    }

    pub fn deadline(&self) -> Duration {
        match self.0 {}
    }

    pub fn is_gone(&self) -> bool {
        match self.0 {}
    }

    pub fn admit(&self, _plan: &Plan, _freed: u64) -> Result<()> {
        match self.0 {}
    }

    pub fn block_on<T>(&self, _future: impl Future<Output = T>) -> T {
        match self.0 {}
    }
}

/// What a submission is reading back.
#[derive(Debug)]
pub(crate) struct Pending(Never);

impl Pending {
    pub fn arrived(&self) -> Option<WallTime> {
        match self.0 {}
    }
}

/// An open plan.
#[derive(Debug)]
pub(crate) struct Session(Never);

impl Session {
    pub fn open(device: &Device, _plan: &Plan) -> Result<Self> {
        match device.0 {}
    }

    pub fn plan(&self) -> &Plan {
        match self.0 {}
    }

    pub fn device(&self) -> &Device {
        match self.0 {}
    }

    pub fn overhead_bytes(&self) -> u64 {
        match self.0 {}
    }

    pub fn run(&mut self, _program: usize, _steps: u64) -> Result<()> {
        match self.0 {}
    }

    pub fn submit(&mut self, _program: usize, _steps: u64, _places: &[Place]) -> Result<Pending> {
        match self.0 {}
    }

    pub fn copy(&mut self, _places: &[Place]) -> Result<Pending> {
        match self.0 {}
    }

    pub fn limit_steps_per_dispatch(&mut self, _program: usize, _steps: u64) {
        match self.0 {}
    }

    pub fn reserve_readbacks(&mut self, _places: &[Place], _count: usize) -> Result<()> {
        match self.0 {}
    }

    pub async fn finish<R>(
        &mut self,
        _pending: Pending,
        _read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R> {
        match self.0 {}
    }

    pub async fn profile(&mut self, _program: usize, _repeat: u64) -> Result<Profile> {
        match self.0 {}
    }

    pub fn write(&mut self, _place: Place, _values: &[f32]) -> Result<()> {
        match self.0 {}
    }

    pub fn write_words(&mut self, _place: Place, _values: &[u32]) -> Result<()> {
        match self.0 {}
    }

    pub async fn read<R>(&mut self, _place: Place, _read: impl FnOnce(&[u8]) -> R) -> Result<R> {
        match self.0 {}
    }

    pub fn copied_bytes(&self, _place: Place) -> usize {
        match self.0 {}
    }
}
