//! What models are made of and how they are trained: layers, losses, metrics, optimizers, callbacks; each through the public
//! interface, on the CPU session and on the one device of the tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod callbacks;
mod catalogue;
#[path = "../common/mod.rs"]
mod common;
mod defaults;
mod documented;
mod edges;
mod epoch_moments;
mod epoch_sums;
mod functional;
mod inside_layers;
mod layers;
mod losses;
mod metrics;
#[cfg(feature = "ndarray")]
mod ndarray;
mod non_finite;
mod normalization;
mod optimizers;
mod outputs;
mod own;
mod parts;
mod reductions;
mod run_files;
mod targets;
mod updates;
