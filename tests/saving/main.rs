//! What is written and read again: weights, models, checkpoints, runs that go on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod import;
mod io_faults;
mod names;
mod odd_files;
mod resume;
mod round_trip;
mod unlearned;
