//! Files of models: models whole, weights alone, weights of other programs, checkpoints of a run.
//!
//! | file | what it holds |
//! |---|---|
//! | `model_file` | [`Model::save`](crate::train::Model::save), [`Model::load`](crate::train::Model::load) |
//! | `weights_file`, `tensors` | weights by name |
//! | `import` | [`Import`]: weights as other programs name them |
//! | `checkpoint` | [`RunState`](crate::train::RunState) |

mod checkpoint;
mod import;
mod model_file;
mod tensors;
mod weights_file;

pub use import::Import;
