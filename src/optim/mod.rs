//! Optimizers and learning-rate schedules.

mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod asgd;
mod common;
mod elementwise;
mod ftrl;
mod lamb;
mod lion;
mod loss_scale;
mod muon;
mod nadam;
mod optimizer;
mod rmsprop;
mod sgd;

pub use crate::schedule::Schedule;
pub use adafactor::Adafactor;
pub use adagrad::{Adadelta, Adagrad};
pub use adam::{Adam, AdamW};
pub use adamax::Adamax;
pub use asgd::{Asgd, Rprop};
pub(crate) use common::is_accumulator;
pub use common::{Common, Lookahead};
pub use ftrl::Ftrl;
pub use lamb::Lamb;
pub use lion::Lion;
pub(crate) use loss_scale::{Beside, note_powers};
pub use loss_scale::{LOSS_SCALE, LossScale, LossScaleOptimizer, Scaling};
pub use muon::{Muon, StepLength};
pub use nadam::{Nadam, Radam};
pub use optimizer::{Clock, Optimizer, OptimizerConfig, Rates};
pub(crate) use optimizer::{cursor_of, rates_of, resize_rates};
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
