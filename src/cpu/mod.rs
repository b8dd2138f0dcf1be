//! The CPU session: runs a plan on the processor, at f32 as the product and at f64 as the reference.

mod half;
mod line;
pub mod parallel;
mod products;
mod real;
mod session;
mod tiles;

pub use half::{HALF_UNIT, half_bits, half_value, stored_error};
pub use products::Product;
pub use real::Real;
pub use session::{Precision, Session};
