//! The CPU session: runs a plan on the processor, at f32 as the product and at f64 as the reference.

mod session;

pub use crate::number::{HALF_UNIT, Product, Real, half_bits, half_value, parallel, stored_error};
pub use session::{Session, SessionFloat};
