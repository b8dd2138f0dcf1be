//! Adagrad, and Adadelta, which forgets.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::op::Formula;
use crate::schedule::Schedule;

use super::OptimizerConfig;
use super::common::{Common, common_settings, share};
use super::elementwise::Elementwise;
use super::optimizer::{above_zero, at_least};

/// Adagrad (Duchi et al., 2011) with Keras' defaults and its ε inside the root: a ← a + g², W ← W − η·g/√(a + ε).
///
/// [`Adagrad::pytorch`] is PyTorch's form, √a + ε; its defaults are η 0.01, a 0 at first, ε 1e-10. Its `lr_decay` is a
/// [`Schedule::InverseTimeDecay`] in steps of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adagrad {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// a at first, at least 0. Default 0.1.
    pub initial_accumulator_value: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
    /// Whether ε stands where PyTorch has it. Default false.
    pub pytorch: bool,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Adagrad);

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad::new(0.001)
    }
}

impl Adagrad {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adagrad {
            learning_rate: learning_rate.into(),
            initial_accumulator_value: 0.1,
            epsilon: 1e-7,
            pytorch: false,
            common: Common::default(),
        }
    }

    /// The same with ε outside of the root.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

impl Elementwise for Adagrad {
    fn label(&self) -> &'static str {
        "adagrad"
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
        Formula::Adagrad {
            epsilon: self.epsilon,
            outside: self.pytorch,
        }
    }

    fn check(&self) -> Result<()> {
        at_least(
            "initial_accumulator_value",
            self.initial_accumulator_value,
            0.0,
        )?;
        above_zero("epsilon", self.epsilon)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Adagrad(self.clone())
    }
}

/// Adadelta (Zeiler, 2012) with Keras' defaults:
///
/// a ← ρ·a + (1 − ρ)·g², δ = √(d + ε)/√(a + ε)·g, d ← ρ·d + (1 − ρ)·δ², W ← W − η·δ.
///
/// PyTorch's is the same with η 1, ρ 0.9, ε 1e-6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adadelta {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// ρ, in [0, 1). Default 0.95.
    pub rho: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Adadelta);

impl Default for Adadelta {
    fn default() -> Self {
        Adadelta::new(0.001)
    }
}

impl Adadelta {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adadelta {
            learning_rate: learning_rate.into(),
            rho: 0.95,
            epsilon: 1e-7,
            common: Common::default(),
        }
    }
}

impl Elementwise for Adadelta {
    fn label(&self) -> &'static str {
        "adadelta"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn formula(&self) -> Formula {
        Formula::Adadelta {
            rho: self.rho,
            epsilon: self.epsilon,
        }
    }

    fn check(&self) -> Result<()> {
        share("rho", self.rho)?;
        above_zero("epsilon", self.epsilon)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Adadelta(self.clone())
    }
}
