//! Averaged gradient descent, and resilient propagation, as PyTorch has them.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::op::{Formula, Series};
use crate::schedule::Schedule;

use super::OptimizerConfig;
use super::common::{Common, common_settings};
use super::elementwise::Elementwise;
use super::optimizer::{above_zero, at_least};

/// Averaged gradient descent (Polyak and Juditsky, 1992) with PyTorch's names and defaults; Keras has none:
///
/// ηₜ = η/(1 + λ·η·(t − 1))^α, W ← W·(1 − λ·ηₜ) − ηₜ·g, a ← a + (W − a)/max(1, t − 1 − t₀). The average a is the state
/// `<parameter>.ax`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asgd {
    /// η. Default 0.01.
    pub learning_rate: Schedule,
    /// λ, at least 0. Default 0.0001.
    pub lambd: f32,
    /// α, at least 0. Default 0.75.
    pub alpha: f32,
    /// t₀, at least 0. Default a million.
    pub t0: f32,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Asgd);

impl Default for Asgd {
    fn default() -> Self {
        Asgd::new(0.01)
    }
}

impl Asgd {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Asgd {
            learning_rate: learning_rate.into(),
            lambd: 1e-4,
            alpha: 0.75,
            t0: 1e6,
            common: Common::default(),
        }
    }
}

impl Elementwise for Asgd {
    fn label(&self) -> &'static str {
        "asgd"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn series(&self) -> Series {
        Series::Asgd {
            lambda: self.lambd,
            alpha: self.alpha,
            start: self.t0,
        }
    }

    fn formula(&self) -> Formula {
        Formula::Asgd { lambda: self.lambd }
    }

    fn check(&self) -> Result<()> {
        at_least("lambd", self.lambd, 0.0)?;
        at_least("alpha", self.alpha, 0.0)?;
        at_least("t0", self.t0, 0.0)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Asgd(self.clone())
    }
}

/// Resilient propagation (Riedmiller and Braun, 1993) with PyTorch's names and defaults; Keras has none. For whole data sets,
/// not for batches.
///
/// Each weight has a step size s, η at first, that grows by f₊ while its gradient keeps its sign and shrinks by f₋ when it
/// turns, within [s₋, s₊]; W ← W − s·sign g, and no step where it turned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rprop {
    /// η. Default 0.01.
    pub learning_rate: Schedule,
    /// f₋, in (0, 1), and f₊, above 1. Default 0.5 and 1.2.
    pub etas: [f32; 2],
    /// s₋ and s₊, above 0 and in order. Default 1e-6 and 50.
    pub step_sizes: [f32; 2],
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Rprop);

impl Default for Rprop {
    fn default() -> Self {
        Rprop::new(0.01)
    }
}

impl Rprop {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Rprop {
            learning_rate: learning_rate.into(),
            etas: [0.5, 1.2],
            step_sizes: [1e-6, 50.0],
            common: Common::default(),
        }
    }
}

impl Elementwise for Rprop {
    fn label(&self) -> &'static str {
        "rprop"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn formula(&self) -> Formula {
        Formula::Rprop {
            shrink: self.etas[0],
            grow: self.etas[1],
            least: self.step_sizes[0],
            most: self.step_sizes[1],
        }
    }

    fn check(&self) -> Result<()> {
        let [shrink, grow] = self.etas;
        if !(shrink > 0.0 && shrink < 1.0 && grow > 1.0 && grow.is_finite()) {
            let message = format!("must be in (0, 1) and above 1, got {shrink} and {grow}");
            return Err(crate::Error::argument("etas", message));
        }
        let [least, most] = self.step_sizes;
        above_zero("step_sizes", least)?;
        if most >= least && most.is_finite() {
            return Ok(());
        }
        let message = format!("must be in order and finite, got {least} and {most}");
        Err(crate::Error::argument("step_sizes", message))
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Rprop(self.clone())
    }
}
