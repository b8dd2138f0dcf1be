//! Formats of files and how files are written: whole or not at all.
//!
//! | file | what it holds |
//! |---|---|
//! | `chart` | plots as SVG, with the feature `plot` |
//! | `disk` | [`Disk`]: the operations by which files are written |
//! | `atomic` | files written whole or not at all |
//! | `foreign` | files of other programs, known by their first bytes |
//! | `safetensors` | the format of models, weights and checkpoints |
//! | `tuning_file` | measured choices of an adapter |

mod atomic;
#[cfg(feature = "plot")]
#[allow(dead_code, reason = "examples and tools draw more by the same file")]
pub(crate) mod chart;
mod disk;
mod foreign;
pub(crate) mod safetensors;
mod tuning_file;

pub(crate) use atomic::{PART, check_writable, read, write};
pub use disk::{Disk, System};
pub(crate) use foreign::{FileOf, file_of, is_text, stands_in, text_without_weights};
