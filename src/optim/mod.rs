//! Optimizers and learning-rate schedules.

mod adam;
mod optimizer;
mod schedule;
mod sgd;

pub use adam::Adam;
pub use optimizer::{Clock, Optimizer, OptimizerConfig, Rates};
pub use schedule::Schedule;
pub use sgd::Sgd;
