//! Adam: steps scaled by running means of the gradient and its square.

use serde::{Deserialize, Serialize};

use crate::{Result, Tensor, op};

use super::Schedule;
use super::optimizer::{Clock, Optimizer, OptimizerConfig, Rates, in_range, state};

/// Adam (Kingma and Ba, 2014) with Keras' defaults and its placement of ε ("epsilon hat"):
///
/// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v),
/// W ← W − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)
///
/// PyTorch adds its ε (default 1e-8) after the correction of v: the same as ε·√(1 − β₂ᵗ) here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// β₁, in [0, 1). Default 0.9.
    pub beta_1: f32,
    /// β₂, in [0, 1). Default 0.999.
    pub beta_2: f32,
    /// ε, above 0. Default 1e-7.
    pub epsilon: f32,
}

impl Default for Adam {
    fn default() -> Self {
        Adam::new(0.001)
    }
}

impl Adam {
    /// Adam with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adam {
            learning_rate: learning_rate.into(),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn validate(&self) -> Result<()> {
        self.learning_rate.validate()?;
        in_range("beta_1", self.beta_1, 0.0, 1.0)?;
        in_range("beta_2", self.beta_2, 0.0, 1.0)?;
        if self.epsilon > 0.0 && self.epsilon.is_finite() {
            return Ok(());
        }
        Err(crate::Error::argument(
            "epsilon",
            format!("must be above 0 and finite, got {}", self.epsilon),
        ))
    }

    fn config(&self) -> Option<OptimizerConfig> {
        Some(OptimizerConfig::Adam(self.clone()))
    }

    fn rates(&self) -> Rates {
        Rates {
            learning_rate: self.learning_rate.clone(),
            beta_1: self.beta_1,
            beta_2: self.beta_2,
        }
    }

    fn update(&self, name: &str, parameter: &Tensor, gradient: &Tensor, clock: &Clock) -> Tensor {
        let (m, v) = (state(name, "m", parameter), state(name, "v", parameter));
        let rule = op::Adam {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        };
        parameter
            .graph()
            .apply_one(rule, &[parameter, &m, &v, gradient, &clock.rates])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Graph, Program};

    #[test]
    fn the_means_move_by_one_minus_beta_as_it_was_written() {
        // In f32, 1 − 0.999 is 1.3e-5 off; Keras subtracts in f64.
        for device in [Device::cpu(), Device::reference()] {
            let graph = Graph::new();
            let adam = Adam::default();
            let clock = graph.clock("clock", 1, adam.rates());
            let w = graph.parameter("w", [1], &[0.0]);
            let update = adam.update("w", &w, &graph.constant([1], &[1.0]), &clock);
            let program = Program::new("step").update([&clock.indices, &update]);
            let plan = graph.compile(device.target(), [program]).unwrap();
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
