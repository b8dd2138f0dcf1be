//! The CPU session: runs a plan on the processor, at f32 as the product and at f64 as the reference.

mod session;

pub use crate::number::{Product, Real, half_bits, half_value, parallel};
pub(crate) use session::Session;
