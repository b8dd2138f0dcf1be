//! What stands for the GPU executor where the crate is built without the feature `gpu`: no adapter is ever found, and of its
//! device and its session there is no value.

#[path = "counters.rs"]
mod counters;
#[path = "options.rs"]
mod options;
#[path = "timings.rs"]
mod timings;

use std::fmt;
use std::future::Ready;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::edge::{Ending, WallTime};
use crate::plan::{Place, Plan};
use crate::target::{Target, TuningTable};

pub use counters::Counters;
pub use options::{Fault, FaultKind, Options};
pub use timings::{LaunchTiming, Profile};

/// What there is no value of. Inside of types of which nobody sees that, so that code for GPUs compiles as it is.
#[derive(Debug, Clone, Copy)]
enum Never {}

/// Methods of types of which there is no value.
macro_rules! never {
    ($($type:ident { $(fn $name:ident$(<$r:ident>)?(&$self:ident$(, $of:ty)*)$( -> $to:ty)?;)* })*) => {
        $(impl $type {
            $(pub(crate) fn $name$(<$r>)?(&$self$(, _: $of)*)$( -> $to)? { match $self.0 {} })*
        })*
    };
}

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
}

/// An open adapter.
#[derive(Debug, Clone)]
pub(crate) struct Device(Never);

impl Device {
    pub fn open(selector: &Selector, options: Options) -> Result<Option<Self>> {
        tracing::debug!(?selector, ?options, "built without the feature `gpu`");
        Ok(None)
    }
}

/// What a submission is reading back.
#[derive(Debug)]
pub(crate) struct Pending(Never);

/// An open plan.
#[derive(Debug)]
pub(crate) struct Session(Never);

impl Session {
    pub fn open(device: &Device, _plan: &Plan) -> Result<Self> {
        match device.0 {}
    }
}

never! {
    AdapterSummary {
        fn is_in(&self, &TuningTable) -> bool;
    }
    Canary {
        fn check(&self, &Device) -> Result<()>;
        fn restrict(&self, Target) -> Target;
    }
    Device {
        fn target(&self) -> &Target;
        fn summary(&self) -> &AdapterSummary;
        fn budget(&self) -> Option<u64>;
        fn counters(&self) -> Counters;
        fn answering(&self) -> Result<Device>;
        fn deadline(&self) -> Duration;
        fn submission(&self) -> Option<Duration>;
        fn is_gone(&self) -> bool;
        fn admit(&self, &Plan, u64) -> Result<()>;
        fn block_on<T>(&self, impl Future<Output = T>) -> T;
        fn wait_for_awaited(&self, Duration);
    }
    Pending {
        fn arrived(&self) -> Option<WallTime>;
    }
    Session {
        fn plan(&self) -> &Plan;
        fn device(&self) -> &Device;
        fn overhead_bytes(&self) -> u64;
        fn run(&self, usize, u64) -> Result<()>;
        fn submit(&self, usize, u64, &[Place]) -> Result<Pending>;
        fn submit_dispatches(&self, usize, Range<u64>, &[Place]) -> Result<Pending>;
        fn dispatches_of_step(&self, usize) -> u64;
        fn copy(&self, &[Place]) -> Result<Pending>;
        fn limit_steps_per_dispatch(&self, usize, u64);
        fn reserve_readbacks(&self, &[Place], usize) -> Result<()>;
        fn finish<R>(&self, Pending, impl FnOnce(&[u8]) -> R) -> Ready<Result<R>>;
        fn finish_within<R>(&self, Pending, Duration, impl FnOnce(&[u8]) -> R) -> Ready<Result<(R, Ending)>>;
        fn profile(&self, usize, u64) -> Ready<Result<Profile>>;
        fn write(&self, Place, &[f32]) -> Result<()>;
        fn write_words(&self, Place, &[u32]) -> Result<()>;
        fn read<R>(&self, Place, impl FnOnce(&[u8]) -> R) -> Ready<Result<R>>;
        fn copied_bytes(&self, Place) -> usize;
    }
}
