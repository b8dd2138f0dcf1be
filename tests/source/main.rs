//! What holds of the source itself and of what it depends on.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[cfg(target_os = "linux")] // what other systems need is not downloaded here
mod crates;
mod door;
mod edge;
mod expand;
mod floors;
mod guide;
mod rust;
mod scan;
mod sizes;
mod surface;
