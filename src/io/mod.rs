//! Files of the engine's own: models, weights alone, checkpoints; and how they are written, whole or not at all.
//!
//! | file | what it holds |
//! |---|---|
//! | `disk` | [`Disk`]: the operations by which files are written |
//! | `atomic` | [`write()`] |
//! | `safetensors` | the format of all three |
//! | `model_file` | [`Model::save`](crate::train::Model::save), [`Model::load`](crate::train::Model::load) |
//! | `weights_file`, `tensors` | weights by name |
//! | `import` | [`Import`]: weights as other programs name them |
//! | `checkpoint` | [`RunState`](crate::train::RunState) |

mod atomic;
mod checkpoint;
mod disk;
mod import;
mod model_file;
mod safetensors;
mod tensors;
mod tuning_file;
mod weights_file;

pub use atomic::write;
pub(crate) use atomic::{PART, read};
pub use disk::{Disk, DiskFile, System};
pub use import::Import;
