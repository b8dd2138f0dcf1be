//! The CPU session: runs a plan on the processor, at f32 as the product and at f64 as the reference.

mod session;

pub use crate::number::Real;
pub(crate) use session::Session;
