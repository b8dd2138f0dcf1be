//! LAMB: Adam's direction, as long as its layer's weights are.

use serde::{Deserialize, Serialize};

use crate::op::{Formula, Series, SumOfSquares, Update};
use crate::schedule::Schedule;
use crate::{Result, Tensor};

use super::common::{Common, common_settings, record, share, sum_of_squares};
use super::optimizer::{Clock, Optimizer, OptimizerConfig, Rates, above_zero, state};

/// LAMB (You et al., 2019) with Keras' defaults. m and v are Adam's, u = m/(1 − β₁ᵗ)/(√(v/(1 − β₂ᵗ)) + ε), and
/// W ← W − η·‖W‖/‖u‖·u for each parameter, the ratio being 1 where a norm is 0.
///
/// One dispatch for all directions, and two for each parameter: its norms, its step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lamb {
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

common_settings!(Lamb);

impl Default for Lamb {
    fn default() -> Self {
        Lamb::new(0.001)
    }
}

impl Lamb {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Lamb {
            learning_rate: learning_rate.into(),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            common: Common::default(),
        }
    }
}

impl Optimizer for Lamb {
    fn name(&self) -> &'static str {
        "lamb"
    }

    fn validate(&self) -> Result<()> {
        self.learning_rate.validate()?;
        share("beta_1", self.beta_1)?;
        share("beta_2", self.beta_2)?;
        above_zero("epsilon", self.epsilon)?;
        self.common.validate()
    }

    fn config(&self) -> Option<OptimizerConfig> {
        Some(OptimizerConfig::Lamb(self.clone()))
    }

    fn rates(&self) -> Rates {
        Rates {
            learning_rate: self.learning_rate.clone(),
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            update_count: Some(self.common.update_count(Series::None)),
        }
    }

    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        let common = &self.common;
        let formula = Formula::Lamb {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
        };
        // Both parts see the weights before and after, so gradients are summed apart.
        let (gradients, mut updates) = common.collected(parameters, clock, true);
        updates.extend(common.global_norm(&gradients, clock));
        let mut directions = Vec::new();
        for ((name, parameter, _), gradient) in parameters.iter().zip(&gradients) {
            updates.extend(common.own_norm(gradient, clock));
            let update = Update {
                batches: 1,
                ..common.update(formula, name)
            };
            let direction = state(name, "direction", parameter, 0.0);
            let states = [
                state(name, "m", parameter, 0.0),
                state(name, "v", parameter, 0.0),
            ];
            let [m, v] = &states;
            let operands = [*parameter, m, v, &direction, gradient, &clock.rates];
            updates.push(parameter.graph().apply_one(update, &operands));
            directions.push(direction);
        }
        let norms = SumOfSquares {
            separate: true,
            add: false,
        };
        for ((name, parameter, _), direction) in parameters.iter().zip(&directions) {
            updates.push(sum_of_squares(norms, &[parameter, direction], clock));
            let factor = common.update(formula, name).factor;
            let step = common.last(Update {
                factor,
                ..Update::from(Formula::Trust)
            });
            updates.extend(record(&step, name, parameter, direction, clock, &|_| 0.0));
        }
        updates
    }
}
