//! The GPU executor. Its module `device` is the one door to wgpu.

mod adapter;
mod admit;
mod canary;
mod counters;
mod device;
mod guard;
mod kernel;
mod open;
mod profile;
mod readback;
mod request;
mod session;
mod specialise;

pub use adapter::AdapterSummary;
pub(crate) use adapter::Selector;
pub use canary::{Canary, Finding, Verdict};
pub use counters::Counters;
pub(crate) use device::Device;
pub use device::{Fault, FaultKind, Options, WgpuCall, adapters};
pub use kernel::{BindingUse, EntryPoint, Module, ParamField};
pub use profile::{LaunchTiming, Profile};
pub(crate) use session::{Pending, Session};
