//! What the tools share: arguments and errors, as in the examples, and a product to be timed.

#[path = "../examples/common/mod.rs"]
mod common;
pub mod product;

pub use common::{Arguments, run, shipped};
