//! RMSprop: steps divided by the root of a running mean of squares.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::op::Formula;
use crate::schedule::Schedule;

use super::OptimizerConfig;
use super::common::{Common, common_settings, share};
use super::elementwise::Elementwise;
use super::optimizer::above_zero;

/// RMSprop (Hinton, 2012) with Keras' defaults and its ε inside the root:
///
/// v ← ρ·v + (1 − ρ)·g², W ← W − η·g/√(v + ε); centred: v − m² with the running mean m of g; with momentum μ:
/// b ← μ·b + η·g/√…, W ← W − b.
///
/// [`RmsProp::pytorch`] is PyTorch's form, √v + ε and b without η; its defaults are η 0.01, ρ 0.99, ε 1e-8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RmsProp {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// ρ, in [0, 1). Default 0.9.
    pub rho: f32,
    /// μ, in [0, 1). Default 0.
    pub momentum: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
    /// Whether the mean of gradients is taken off. Default false.
    pub centered: bool,
    /// Whether ε stands where PyTorch has it. Default false.
    pub pytorch: bool,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(RmsProp);

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp::new(0.001)
    }
}

impl RmsProp {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        RmsProp {
            learning_rate: learning_rate.into(),
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
            centered: false,
            pytorch: false,
            common: Common::default(),
        }
    }

    /// The same with momentum μ.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// The same with the mean of gradients taken off.
    pub fn centered(mut self) -> Self {
        self.centered = true;
        self
    }

    /// The same in PyTorch's form.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

impl Elementwise for RmsProp {
    fn label(&self) -> &'static str {
        "rmsprop"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn formula(&self) -> Formula {
        Formula::RmsProp {
            rho: self.rho,
            momentum: self.momentum,
            epsilon: self.epsilon,
            centered: self.centered,
            outside: self.pytorch,
        }
    }

    fn check(&self) -> Result<()> {
        share("rho", self.rho)?;
        share("momentum", self.momentum)?;
        above_zero("epsilon", self.epsilon)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::RmsProp(self.clone())
    }
}
