//! Numbers on the processor: what formulas are written over, the two float types that ops compute in, 16-bit floats, and
//! long loops and matrix products over slices of them.

pub(crate) mod aligned;
mod dual;
mod float;
pub(crate) mod half;
mod known;
mod operations;
pub(crate) mod parallel;
mod products;
mod real;
mod tiles;
mod tracked;

pub(crate) use dual::Dual;
pub(crate) use half::{half_bits, half_value, stored_error};
pub use known::Known;
pub(crate) use operations::limited;
pub use operations::{Number, UNIT};
pub(crate) use products::Product;
pub use real::{Machine, Real};
pub use tracked::Tracked;
