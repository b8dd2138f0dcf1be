//! Optimizers: what changes parameters by their gradients.
//!
//! An optimizer is a file here, a file in `shaders/update/`, and a line in the table below. Its file holds the settings with
//! defaults and ranges, the formula of an element, and what the formula is tried on.

mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod asgd;
mod common_settings;
mod config;
mod define;
mod ftrl;
mod gradients;
mod lamb;
mod lion;
mod loss_scale;
mod muon;
mod nadam;
mod optimizer;
mod rmsprop;
mod samples;
mod scale_settings;
mod settings;
mod sgd;
mod wrap;

pub use crate::op::{Clock, Rates};
pub use crate::schedule::{
    CosineAnnealing, CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay,
    OneCycle, PiecewiseConstant, PolynomialDecay, Schedule, Warmup,
};
pub use adafactor::Adafactor;
pub use adagrad::{Adadelta, Adagrad};
pub use adam::{Adam, AdamW};
pub use adamax::Adamax;
pub use asgd::{Asgd, Rprop};
pub use common_settings::CommonSettings;
pub(crate) use config::ENTRY;
use config::configs;
pub use ftrl::Ftrl;
pub(crate) use gradients::is_accumulator;
pub use lamb::Lamb;
pub use lion::Lion;
pub use loss_scale::LossScaleOptimizer;
pub(crate) use loss_scale::{Extras, POWERS_KEPT, Scaling};
pub use muon::{Muon, StepLength};
pub use nadam::{Nadam, Radam};
pub use optimizer::Optimizer;
pub use rmsprop::RmsProp;
pub use scale_settings::LossScale;
pub use settings::{Common, Lookahead};
pub use sgd::Sgd;

configs! {
    Sgd,
    RmsProp,
    Adagrad,
    Adadelta,
    Adam,
    Adamax,
    Nadam,
    Radam,
    Adafactor,
    Ftrl,
    Lion,
    Lamb,
    Muon,
    Asgd,
    Rprop,
}
