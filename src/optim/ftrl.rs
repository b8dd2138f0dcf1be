//! FTRL-proximal: follow the regularised leader.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::op::Formula;
use crate::schedule::Schedule;

use super::OptimizerConfig;
use super::common::{Common, common_settings};
use super::elementwise::Elementwise;
use super::optimizer::at_least;

/// FTRL-proximal (McMahan et al., 2013) with Keras' names and defaults, p being −`learning_rate_power`:
///
/// n' = n + g², z ← z + g + 2s·W − (n'^p − n^p)/η·W, W ← (clip(z, ±λ₁) − z)/(n'^p/η + 2λ₂ + β/η), n ← n'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ftrl {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// −p, at most 0. Default −0.5.
    pub learning_rate_power: f32,
    /// n at first, at least 0. Default 0.1.
    pub initial_accumulator_value: f32,
    /// λ₁, at least 0. Default 0.
    pub l1_regularization_strength: f32,
    /// λ₂, at least 0. Default 0.
    pub l2_regularization_strength: f32,
    /// s, at least 0. Default 0.
    pub l2_shrinkage_regularization_strength: f32,
    /// β, at least 0. Default 0.
    pub beta: f32,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Ftrl);

impl Default for Ftrl {
    fn default() -> Self {
        Ftrl::new(0.001)
    }
}

impl Ftrl {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Ftrl {
            learning_rate: learning_rate.into(),
            learning_rate_power: -0.5,
            initial_accumulator_value: 0.1,
            l1_regularization_strength: 0.0,
            l2_regularization_strength: 0.0,
            l2_shrinkage_regularization_strength: 0.0,
            beta: 0.0,
            common: Common::default(),
        }
    }
}

impl Elementwise for Ftrl {
    fn label(&self) -> &'static str {
        "ftrl"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn initial(&self, state: &str) -> f32 {
        match state {
            "accumulator" => self.initial_accumulator_value,
            _ => 0.0,
        }
    }

    fn formula(&self) -> Formula {
        Formula::Ftrl {
            power: -self.learning_rate_power,
            l1: self.l1_regularization_strength,
            l2: self.l2_regularization_strength,
            shrinkage: self.l2_shrinkage_regularization_strength,
            beta: self.beta,
        }
    }

    fn check(&self) -> Result<()> {
        if !(self.learning_rate_power <= 0.0 && self.learning_rate_power.is_finite()) {
            let message = format!(
                "must be at most 0 and finite, got {}",
                self.learning_rate_power
            );
            return Err(crate::Error::argument("learning_rate_power", message));
        }
        for (name, value) in [
            ("initial_accumulator_value", self.initial_accumulator_value),
            (
                "l1_regularization_strength",
                self.l1_regularization_strength,
            ),
            (
                "l2_regularization_strength",
                self.l2_regularization_strength,
            ),
            (
                "l2_shrinkage_regularization_strength",
                self.l2_shrinkage_regularization_strength,
            ),
            ("beta", self.beta),
        ] {
            at_least(name, value, 0.0)?;
        }
        Ok(())
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Ftrl(self.clone())
    }
}
