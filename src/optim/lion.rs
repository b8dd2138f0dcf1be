//! Lion: steps of one size, by the sign of a mean.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::op::Formula;
use crate::schedule::Schedule;

use super::OptimizerConfig;
use super::common::{Common, common_settings, share};
use super::elementwise::Elementwise;

/// Lion (Chen et al., 2023) with Keras' defaults: W ← W − η·sign(β₁·m + (1 − β₁)·g), m ← β₂·m + (1 − β₂)·g.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lion {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// β₁, in [0, 1). Default 0.9.
    pub beta_1: f32,
    /// β₂, in [0, 1). Default 0.99.
    pub beta_2: f32,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Lion);

impl Default for Lion {
    fn default() -> Self {
        Lion::new(0.001)
    }
}

impl Lion {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Lion {
            learning_rate: learning_rate.into(),
            beta_1: 0.9,
            beta_2: 0.99,
            common: Common::default(),
        }
    }
}

impl Elementwise for Lion {
    fn label(&self) -> &'static str {
        "lion"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn formula(&self) -> Formula {
        Formula::Lion {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
        }
    }

    fn check(&self) -> Result<()> {
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Lion(self.clone())
    }
}
