//! Data sets: named arrays with targets, and the readers that make them from files.
//!
//! | module | what it does |
//! |---|---|
//! | `dataset` | [`Dataset`]: inputs by name, with targets and weights |
//! | `samples` | [`Samples`]: an array `[rows, …]` of f32, u32 or u8 |
//! | `targets` | [`Targets`]: what a model learns to say about each row |
//! | `classes`, `rows` | classes of labels by name; rows counted and picked |
//! | `weights` | how much each row counts |
//! | `table` | names of a table's columns and of categories |
//! | `arrange`, `learned` | tables put in the order of the one that was learned from; names that a model remembers |
//! | `features` | [`Features`]: rows of a model's inputs in the forms that callers have them in |
//! | `notation` | how texts stand for numbers and missing cells |
//! | `cell_value` | [`CellValue`]: rows written down by the names of their columns |
//! | `check` | what a data set must be: lengths that fit, labels in range, finite numbers |
//! | `splits` | rows shuffled and parted: [`Dataset::split`], [`Dataset::k_fold`] … |
//! | `csv` | [`Csv`]: tables in text files, plain or gzipped |
//! | `array` | [`Array`]: elements of any type as a file holds them |
//! | [`idx`] | the format of MNIST, plain or gzipped |
//! | [`npy`] | arrays in NumPy's files, `.npy` and `.npz` |
//! | `preprocessing` | [`Preprocessing`]: the steps that make a model's inputs of raw columns |
//! | `imputing` | missing cells filled: [`Fill`] |
//! | `categories` | a column for each category: [`Step::OneHot`] |
//! | `scaling` | [`Scaler`]: every feature moved and divided |
//! | `ndarray` | from and to `ndarray`'s arrays, with the feature of that name |
//! | `foreign` | files of another kind than a reader takes, named |
//! | `source` | a file's bytes, decompressed where it is gzipped |
//!
//! Rows and columns are counted from 0, as Rust counts; lines of a text file from 1, as editors do.

mod arrange;
mod array;
mod categories;
mod cell_value;
pub(crate) mod check;
mod classes;
#[cfg(feature = "csv")]
mod csv;
mod dataset;
mod features;
mod foreign;
pub mod idx;
mod imputing;
mod learned;
#[cfg(feature = "ndarray")]
mod ndarray;
mod notation;
pub mod npy;
mod preprocessing;
mod rows;
mod samples;
mod scaling;
mod source;
mod splits;
mod table;
pub(crate) mod targets;
mod weights;

pub use array::Array;
pub use cell_value::CellValue;
#[cfg(feature = "csv")]
pub use csv::{Column, Csv};
pub use dataset::Dataset;
pub use features::Features;
pub(crate) use features::Given;
pub use idx::mnist;
pub use imputing::Fill;
pub(crate) use learned::{LearnedNames, NamesDescription};
pub use preprocessing::{Preprocessing, Step};
pub use samples::{Samples, TypedValues};
pub use scaling::Scaler;
pub use targets::Targets;
