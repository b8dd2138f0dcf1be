//! Adam: steps scaled by running means of the gradient and its square; AdamW and AMSGrad.

use serde::{Deserialize, Serialize};

use crate::op::Formula;
use crate::schedule::Schedule;
use crate::{Result, op};

use super::OptimizerConfig;
use super::common::{Common, common_settings, share};
use super::elementwise::{Elementwise, Plain};
use super::optimizer::above_zero;

/// Adam (Kingma and Ba, 2014) with Keras' defaults and its placement of ε ("epsilon hat"):
///
/// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v),
/// W ← W − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)
///
/// PyTorch adds its ε (default 1e-8) after the correction of v, the same as ε·√(1 − β₂ᵗ) here: [`Adam::pytorch`]. Its
/// `weight_decay` is `l2` here; that of its AdamW is `weight_decay`, 0.01 by default, where Keras has 0.004: [`AdamW`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adam {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// β₁, in [0, 1). Default 0.9.
    pub beta_1: f32,
    /// β₂, in [0, 1). Default 0.999.
    pub beta_2: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
    /// Whether the largest v so far counts (Reddi et al., 2018). Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub amsgrad: bool,
    /// Whether ε stands where PyTorch has it. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pytorch: bool,
    /// What all optimizers have.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Adam);

impl Default for Adam {
    fn default() -> Self {
        Adam::new(0.001)
    }
}

impl Adam {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adam {
            learning_rate: learning_rate.into(),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
            pytorch: false,
            common: Common::default(),
        }
    }

    /// The same with the largest v so far, AMSGrad.
    pub fn amsgrad(mut self) -> Self {
        self.amsgrad = true;
        self
    }

    /// The same with ε beside the corrected root.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

impl Elementwise for Adam {
    fn label(&self) -> &'static str {
        "adam"
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
        Formula::Adam {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            amsgrad: self.amsgrad,
            corrected: self.pytorch,
        }
    }

    fn plain(&self) -> Option<Plain> {
        let rule = op::Adam {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        };
        (!self.amsgrad && !self.pytorch).then_some(Plain::Adam(rule))
    }

    fn check(&self) -> Result<()> {
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)?;
        above_zero("epsilon", self.epsilon)
    }

    fn settings(&self) -> OptimizerConfig {
        OptimizerConfig::Adam(self.clone())
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2017), by default 0.004, as in Keras.
#[derive(Debug, Clone, Copy)]
pub struct AdamW;

impl AdamW {
    /// W ← W − 0.004·η·W before each update; [`Adam::weight_decay`] sets another factor.
    #[allow(clippy::new_ret_no_self)] // It is Adam, by the name that people look for.
    pub fn new(learning_rate: impl Into<Schedule>) -> Adam {
        Adam::new(learning_rate).weight_decay(0.004)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::{Device, Graph, Plan, Program};

    #[test]
    fn the_means_move_by_one_minus_beta_as_it_was_written() {
        // In f32, 1 − 0.999 is 1.3e-5 off; Keras subtracts in f64.
        for device in [Device::cpu(), Device::reference()] {
            let graph = Graph::new();
            let adam = Adam::default();
            let clock = graph.clock("clock", 1, adam.rates());
            let w = graph.parameter("w", [1], &[0.0]);
            let gradient = graph.constant([1], &[1.0]);
            let update = adam.updates(&[("w", &w, &gradient)], &clock).remove(0);
            let program = Program::new("step").update([&clock.indices, &update]);
            let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
            let mut session = device.open(&plan).unwrap();
            session.run("step", 1).unwrap();
            for (state, expected) in [("w.m", 0.1f32), ("w.v", 0.001)] {
                let mean = session.read(state).unwrap()[0];
                assert!(
                    (mean - expected).abs() <= 1e-7 * expected,
                    "{state} is {mean} on {device}"
                );
            }
        }
    }
}
