//! Ops, their gradients and their shaders, and the reference that judges them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod axes;
#[path = "../common/mod.rs"]
mod common;
mod custom_op;
mod gradcheck;
mod operators;
mod oracle;
mod own_function;
mod shaders;
