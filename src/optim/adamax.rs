//! Adamax: Adam with the largest gradient so far instead of a mean of squares.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::op::Formula;
use crate::schedule::Schedule;

use super::OptimizerConfig;
use super::common::{Common, common_settings, share};
use super::elementwise::Elementwise;
use super::optimizer::above_zero;

/// Adamax (Kingma and Ba, 2014) with Keras' defaults:
///
/// m ← m + (1 − β₁)(g − m), u ← max(β₂·u, |g|), W ← W − η/(1 − β₁ᵗ)·m/(u + ε).
///
/// [`Adamax::pytorch`] is PyTorch's form, u ← max(β₂·u, |g| + ε), m/u; its defaults are η 0.002, ε 1e-8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adamax {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// β₁, in [0, 1). Default 0.9.
    pub beta_1: f32,
    /// β₂, in [0, 1). Default 0.999.
    pub beta_2: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
    /// Whether ε stands where PyTorch has it. Default false.
    pub pytorch: bool,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Adamax);

impl Default for Adamax {
    fn default() -> Self {
        Adamax::new(0.001)
    }
}

impl Adamax {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adamax {
            learning_rate: learning_rate.into(),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            pytorch: false,
            common: Common::default(),
        }
    }

    /// The same with ε in the norm.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

impl Elementwise for Adamax {
    fn label(&self) -> &'static str {
        "adamax"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn betas(&self) -> [f32; 2] {
        [self.beta_1, self.beta_2]
    }

    fn formula(&self) -> Formula {
        Formula::Adamax {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            inside: self.pytorch,
        }
    }

    fn check(&self) -> Result<()> {
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)?;
        above_zero("epsilon", self.epsilon)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Adamax(self.clone())
    }
}
