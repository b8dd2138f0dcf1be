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

/// The first finite number that f32 does not hold, as it is beyond the largest one.
pub(crate) fn first_beyond_f32(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut numbers = numbers.into_iter();
    numbers.find(|number| number.is_finite() && (*number as f32).is_infinite())
}
