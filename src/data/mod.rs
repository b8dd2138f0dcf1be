//! Data sets: tables of numbers with targets, and the readers that make them from files.
//!
//! | module | what it does |
//! |---|---|
//! | `dataset` | [`Dataset`]: features, [`Targets`] and names |
//! | `check` | what a data set must be: lengths that fit, labels in range, finite numbers |
//! | `splits` | rows picked, shuffled and parted: [`Dataset::select`], [`Dataset::shuffled`], [`Dataset::split`] |
//! | `csv` | [`Csv`]: tables in text files, plain or gzipped |
//! | [`idx`] | the format of MNIST, plain or gzipped |
//! | `scaling` | [`StandardScaler`]: every feature to mean 0 and standard deviation 1 |
//! | `source` | a file's bytes, decompressed where it is gzipped |
//!
//! Rows and columns are counted from 0, as Rust counts; lines of a text file from 1, as editors do.

pub(crate) mod check;
mod csv;
mod dataset;
pub mod idx;
mod scaling;
mod source;
mod splits;

pub use csv::{Csv, Header};
pub use dataset::{Dataset, Targets};
pub use idx::mnist;
pub use scaling::StandardScaler;
