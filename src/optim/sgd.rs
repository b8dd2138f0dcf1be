//! Gradient descent, plain, with momentum, and with Nesterov's look-ahead.

use serde::{Deserialize, Serialize};

use crate::{Result, Tensor, op};

use super::Schedule;
use super::optimizer::{Clock, Optimizer, OptimizerConfig, Rates, in_range, state};

/// Stochastic gradient descent, as in Keras:
///
/// - without momentum: W ← W − η·g
/// - with momentum μ: v ← μ·v − η·g, W ← W + v
/// - Nesterov: v ← μ·v − η·g, W ← W + μ·v − η·g
///
/// where g = ∂L/∂W and η is the learning rate (default 0.01), a number or a [`Schedule`].
///
/// [`Sgd::accumulated`] is the accumulated update of introductory texts, ΔW ← α·ΔW + β·∂L/∂W, W ← W − ΔW. There α is
/// the momentum μ and β the learning rate η, and ΔW = −v: the update is subtracted, where v is added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    /// η. Default 0.01.
    pub learning_rate: Schedule,
    /// μ, in [0, 1). Default 0.
    pub momentum: f32,
    /// Whether to look ahead by the velocity. Default false; needs a momentum.
    pub nesterov: bool,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd::new(0.01)
    }
}

impl Sgd {
    /// Plain gradient descent.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Sgd {
            learning_rate: learning_rate.into(),
            momentum: 0.0,
            nesterov: false,
        }
    }

    /// ΔW ← α·ΔW + β·∂L/∂W, W ← W − ΔW: `alpha` is the momentum, `beta` the learning rate.
    pub fn accumulated(alpha: f32, beta: impl Into<Schedule>) -> Self {
        Sgd {
            learning_rate: beta.into(),
            momentum: alpha,
            nesterov: false,
        }
    }

    /// The same with momentum μ.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// The same with Nesterov's look-ahead.
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }
}

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn validate(&self) -> Result<()> {
        self.learning_rate.validate()?;
        in_range("momentum", self.momentum, 0.0, 1.0)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(crate::Error::argument(
                "nesterov",
                "looks ahead by the momentum, which is 0; set one",
            ));
        }
        Ok(())
    }

    fn config(&self) -> Option<OptimizerConfig> {
        Some(OptimizerConfig::Sgd(self.clone()))
    }

    fn rates(&self) -> Rates {
        Rates {
            learning_rate: self.learning_rate.clone(),
            beta_1: 0.0,
            beta_2: 0.0,
        }
    }

    fn update(&self, name: &str, parameter: &Tensor, gradient: &Tensor, clock: &Clock) -> Tensor {
        if self.momentum == 0.0 {
            return parameter
                .graph()
                .apply_one(op::Sgd, &[parameter, gradient, &clock.rates]);
        }
        let velocity = state(name, "momentum", parameter);
        let rule = op::Momentum {
            momentum: self.momentum,
            nesterov: self.nesterov,
        };
        parameter
            .graph()
            .apply_one(rule, &[parameter, &velocity, gradient, &clock.rates])
    }
}
