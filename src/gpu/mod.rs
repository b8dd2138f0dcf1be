//! The GPU executor: the only code that calls wgpu.

mod adapter;
mod counters;
mod device;
mod guard;
mod kernel;
mod profile;
mod readback;
mod session;
mod specialise;

pub use adapter::{AdapterSummary, Selector, adapters};
pub use counters::Counters;
pub use device::{Device, Options};
pub use kernel::{BindingUse, EntryPoint, Module, ParamField};
pub use profile::{Profile, Timing};
pub use session::{Pending, Session};
