//! Numbers on the processor: what formulas are written over, the two float types that ops compute in, 16-bit floats, and
//! long loops and matrix products over slices of them.

pub(crate) mod aligned;
pub(crate) mod half;
mod operations;
pub mod parallel;
mod products;
mod real;
mod tiles;

pub use half::{HALF_UNIT, half_bits, half_value, stored_error};
pub(crate) use operations::{Number, Tracked};
pub use products::Product;
pub use real::{Real, UNIT};
