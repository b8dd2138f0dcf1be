//! What the tools share: arguments, errors and charts, as in the examples, and a product to be timed.

#[path = "../examples/common/mod.rs"]
mod common;
pub mod product;

pub use common::{Arguments, chart, run, shipped};
