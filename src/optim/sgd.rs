//! Gradient descent, plain, with momentum, and with Nesterov's look-ahead.

use serde::{Deserialize, Serialize};

use crate::op::Formula;
use crate::schedule::Schedule;
use crate::{Error, Result, op};

use super::OptimizerConfig;
use super::common::{Common, common_settings, share};
use super::elementwise::{Elementwise, Plain};

/// Stochastic gradient descent, as in Keras:
///
/// - without momentum: W ← W − η·g
/// - with momentum μ: v ← μ·v − η·g, W ← W + v
/// - Nesterov: v ← μ·v − η·g, W ← W + μ·v − η·g
///
/// where g = ∂L/∂W and η is the learning rate (default 0.01), a number or a [`Schedule`].
///
/// [`Sgd::dampening`] gives PyTorch's form, in which the rate is no part of the buffer: b ← μ·b + (1 − τ)·g with b = g
/// in the first update, W ← W − η·b, or W ← W − η·(g + μ·b). At a rate that stays and τ = 0 it is the same.
///
/// [`Sgd::accumulated`] is the accumulated update of introductory texts, ΔW ← α·ΔW + β·∂L/∂W, W ← W − ΔW. There α is
/// the momentum μ and β the learning rate η, and ΔW = −v: the update is subtracted, where v is added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sgd {
    /// η. Default 0.01.
    pub learning_rate: Schedule,
    /// μ, in [0, 1). Default 0.
    pub momentum: f32,
    /// Whether to look ahead by the velocity. Default false; needs a momentum.
    pub nesterov: bool,
    /// τ of PyTorch's form, in [0, 1]. Default: Keras' form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dampening: Option<f32>,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Sgd);

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
            dampening: None,
            common: Common::default(),
        }
    }

    /// ΔW ← α·ΔW + β·∂L/∂W, W ← W − ΔW: `alpha` is the momentum, `beta` the learning rate.
    pub fn accumulated(alpha: f32, beta: impl Into<Schedule>) -> Self {
        Sgd::new(beta).momentum(alpha)
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

    /// The same in PyTorch's form, the gradient entering the buffer times 1 − `dampening`.
    pub fn dampening(mut self, dampening: f32) -> Self {
        self.dampening = Some(dampening);
        self
    }
}

impl Elementwise for Sgd {
    fn label(&self) -> &'static str {
        "sgd"
    }

    fn schedule(&self) -> &Schedule {
        &self.learning_rate
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn formula(&self) -> Formula {
        let (momentum, nesterov) = (self.momentum, self.nesterov);
        match self.dampening {
            _ if momentum == 0.0 => Formula::Descent,
            None => Formula::Momentum { momentum, nesterov },
            Some(dampening) => Formula::HeavyBall {
                momentum,
                dampening,
                nesterov,
            },
        }
    }

    fn plain(&self) -> Option<Plain> {
        match self.formula() {
            Formula::Descent => Some(Plain::Descent),
            Formula::Momentum { momentum, nesterov } => {
                Some(Plain::Momentum(op::Momentum { momentum, nesterov }))
            }
            _ => None,
        }
    }

    fn check(&self) -> Result<()> {
        share("momentum", self.momentum)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::argument(
                "nesterov",
                "looks ahead by the momentum, which is 0; set one",
            ));
        }
        match self.dampening {
            Some(dampening) if !(0.0..=1.0).contains(&dampening) => Err(Error::argument(
                "dampening",
                format!("must be in [0, 1], got {dampening}"),
            )),
            _ => Ok(()),
        }
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Sgd(self.clone())
    }
}
