//! Nadam: Adam with Nesterov's look-ahead; and RAdam, which waits until its variance is known.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::op::{Formula, Series};
use crate::schedule::Schedule;

use super::OptimizerConfig;
use super::common::{Common, common_settings, share};
use super::elementwise::Elementwise;
use super::optimizer::above_zero;

/// Nadam (Dozat, 2016) with Keras' defaults. m and v are Adam's, μₜ = β₁·(1 − ½·0.96^(t·d)), and
///
/// W ← W − η·(μₜ₊₁·m/(1 − Π μᵢ, i ≤ t+1) + (1 − μₜ)·g/(1 − Π μᵢ, i ≤ t))/(√(v/(1 − β₂ᵗ)) + ε).
///
/// PyTorch's is the same with η 0.002, ε 1e-8 and a momentum decay d of 0.004. With Keras' d, 1 − β is that of the f32 next
/// to β, as Keras computes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Nadam {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// β₁, in [0, 1). Default 0.9.
    pub beta_1: f32,
    /// β₂, in [0, 1). Default 0.999.
    pub beta_2: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
    /// d, at least 0. Default 1, which is what Keras has.
    pub momentum_decay: f32,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Nadam);

impl Default for Nadam {
    fn default() -> Self {
        Nadam::new(0.001)
    }
}

impl Nadam {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Nadam {
            learning_rate: learning_rate.into(),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            momentum_decay: 1.0,
            common: Common::default(),
        }
    }

    /// 0.96^d.
    fn base(&self) -> f32 {
        0.96f64.powf(f64::from(self.momentum_decay)) as f32
    }
}

impl Elementwise for Nadam {
    fn label(&self) -> &'static str {
        "nadam"
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

    fn series(&self) -> Series {
        Series::Nadam { base: self.base() }
    }

    fn formula(&self) -> Formula {
        Formula::Nadam {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            base: self.base(),
            rounded: self.momentum_decay == 1.0,
        }
    }

    fn check(&self) -> Result<()> {
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)?;
        above_zero("epsilon", self.epsilon)?;
        super::optimizer::at_least("momentum_decay", self.momentum_decay, 0.0)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Nadam(self.clone())
    }
}

/// RAdam (Liu et al., 2019) as PyTorch has it; Keras has none. m and v are Adam's, ρ∞ = 2/(1 − β₂) − 1 and
/// ρₜ = ρ∞ − 2t·β₂ᵗ/(1 − β₂ᵗ). W ← W − η·m/(1 − β₁ᵗ)·r·√(1 − β₂ᵗ)/(√v + ε) with
/// r = √((ρₜ − 4)(ρₜ − 2)ρ∞/((ρ∞ − 4)(ρ∞ − 2)ρₜ)) where ρₜ > 5, and W ← W − η·m/(1 − β₁ᵗ) before that.
///
/// PyTorch's ε is 1e-8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Radam {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// β₁, in [0, 1). Default 0.9.
    pub beta_1: f32,
    /// β₂, in [0, 1). Default 0.999.
    pub beta_2: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Radam);

impl Default for Radam {
    fn default() -> Self {
        Radam::new(0.001)
    }
}

impl Radam {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Radam {
            learning_rate: learning_rate.into(),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            common: Common::default(),
        }
    }
}

impl Elementwise for Radam {
    fn label(&self) -> &'static str {
        "radam"
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

    fn series(&self) -> Series {
        Series::Radam
    }

    fn formula(&self) -> Formula {
        Formula::Radam {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        }
    }

    fn check(&self) -> Result<()> {
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)?;
        above_zero("epsilon", self.epsilon)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Radam(self.clone())
    }
}
