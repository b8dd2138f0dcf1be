//! The GPU executor. Its module `device` is the one door to wgpu.

mod adapter;
mod admit;
mod canary;
mod counters;
mod device;
mod guard;
mod kernel;
mod open;
mod options;
mod profile;
mod readback;
mod request;
mod session;
mod specialise;
mod timings;

pub use adapter::AdapterSummary;
pub(crate) use adapter::Selector;
pub use canary::{Canary, Finding, Verdict};
pub use counters::Counters;
pub(crate) use device::Device;
pub use device::adapters;
pub(crate) use device::descriptor;
pub use options::{Fault, FaultKind, Options};
pub(crate) use session::{Pending, Session};
pub use timings::{LaunchTiming, Profile};
