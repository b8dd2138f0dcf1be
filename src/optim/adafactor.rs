//! Adafactor: the mean of squares of a matrix by its rows and columns alone.

use serde::{Deserialize, Serialize};

use crate::op::{Formula, Series, SumOfSquares, Update};
use crate::schedule::Schedule;
use crate::{Error, Result, Tensor, TensorType};

use super::common::{Common, common_settings, record, sum_of_squares};
use super::optimizer::{Clock, Optimizer, OptimizerConfig, Rates, above_zero, shaped_state, state};

/// Adafactor (Shazeer and Stern, 2018) with Keras' names and defaults.
///
/// With s = t^`beta_2_decay`: v ← v + s·(g² + ε₁ − v); of a matrix its row means r and column means c instead, and
/// v = r·c/mean(r). u = g/√v, and W ← W − max(ε₂, rms W)·min(η, 1/√t)·u/max(1, rms u/d).
///
/// [`Adafactor::pytorch`] is PyTorch's form, in which ε₁ (default 1.19e-7, of which the square counts) is a lower bound
/// of v instead, and weight decay comes after rms W is taken; its η is 0.01.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adafactor {
    /// η. Default 0.001.
    pub learning_rate: Schedule,
    /// The exponent of t, below 0. Default −0.8.
    pub beta_2_decay: f32,
    /// ε₁, above 0. Default 1e-30.
    pub epsilon_1: f32,
    /// ε₂, above 0. Default 0.001.
    pub epsilon_2: f32,
    /// d, above 0. Default 1.
    pub clip_threshold: f32,
    /// Whether as in PyTorch. Default false.
    pub pytorch: bool,
    /// What all optimizers have; `l2` is none of it.
    #[serde(skip_serializing_if = "Common::is_default")]
    pub common: Common,
}

common_settings!(Adafactor);

impl Default for Adafactor {
    fn default() -> Self {
        Adafactor::new(0.001)
    }
}

impl Adafactor {
    /// The optimizer with this learning rate, a number or a [`Schedule`].
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adafactor {
            learning_rate: learning_rate.into(),
            beta_2_decay: -0.8,
            epsilon_1: 1e-30,
            epsilon_2: 0.001,
            clip_threshold: 1.0,
            pytorch: false,
            common: Common::default(),
        }
    }

    /// The same in PyTorch's form, with its ε₁.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self.epsilon_1 = f32::EPSILON;
        self
    }

    /// The mean of squares of a parameter after this step, and the updates of what is kept for it.
    fn squares(
        &self,
        name: &str,
        gradient: &Tensor,
        clock: &Clock,
        updates: &mut Vec<Tensor>,
    ) -> Tensor {
        let square = gradient.square();
        let square = match self.pytorch {
            true => square,
            false => square.offset(self.epsilon_1),
        };
        let blend = Update::from(Formula::Blend);
        let dims = gradient.shape().dims().to_vec();
        let [outer @ .., rows, columns] = &dims[..] else {
            let v = state(name, "velocity", gradient, 0.0);
            updates.extend(record(&blend, name, &v, &square, clock, &|_| 0.0));
            return self.bounded(&v, self.epsilon_1 * self.epsilon_1);
        };
        let share = |count: usize| (1.0 / count as f64) as f32;
        let last = dims.len() - 1;
        let mut kept = |kind: &str, over: usize| {
            let mean = square.sum_over(over).scale(share(dims[over]));
            let held = TensorType::f32(mean.shape());
            let held = shaped_state(name, kind, gradient, held, 0.0);
            updates.extend(record(&blend, name, &held, &mean, clock, &|_| 0.0));
            held
        };
        let (r, c) = (kept("r", last), kept("c", last - 1));
        let shaped = |tensor: &Tensor, end: [usize; 2]| tensor.reshape([outer, &end[..]].concat());
        let mean = shaped(&r.sum_over(last - 1).scale(share(*rows)), [1, 1]);
        let mean = self.bounded(&mean, self.epsilon_1);
        let (r, c) = (shaped(&r, [*rows, 1]), shaped(&c, [1, *columns]));
        let v = match self.pytorch {
            true => r.mul(&c).div(&mean),
            false => r.div(&mean).mul(&c),
        };
        self.bounded(&v, self.epsilon_1 * self.epsilon_1)
    }

    /// Not below this, in PyTorch's form.
    fn bounded(&self, x: &Tensor, least: f32) -> Tensor {
        match self.pytorch {
            true => x.maximum(&x.graph().constant([1], &[least])),
            false => x.clone(),
        }
    }
}

impl Optimizer for Adafactor {
    fn name(&self) -> &'static str {
        "adafactor"
    }

    fn validate(&self) -> Result<()> {
        self.learning_rate.validate()?;
        if !(self.beta_2_decay < 0.0 && self.beta_2_decay.is_finite()) {
            let message = format!("must be below 0 and finite, got {}", self.beta_2_decay);
            return Err(Error::argument("beta_2_decay", message));
        }
        above_zero("epsilon_1", self.epsilon_1)?;
        above_zero("epsilon_2", self.epsilon_2)?;
        above_zero("clip_threshold", self.clip_threshold)?;
        no_coupled_decay(self.common.l2)?;
        self.common.validate()
    }

    fn config(&self) -> Option<OptimizerConfig> {
        Some(OptimizerConfig::Adafactor(self.clone()))
    }

    fn rates(&self) -> Rates {
        let exponent = self.beta_2_decay;
        Rates {
            update_count: Some(self.common.update_count(Series::Power { exponent })),
            ..Rates::from(self.learning_rate.clone())
        }
    }

    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        let (gradients, mut updates) = self.common.prepared(parameters, clock);
        let norms = SumOfSquares {
            separate: true,
            add: false,
        };
        for ((name, parameter, _), gradient) in parameters.iter().zip(&gradients) {
            let treated = self.common.update(Formula::Blend, name);
            let mut decay = treated.decay;
            if decay != 0.0 && !self.pytorch {
                let keep = Formula::Buffer {
                    momentum: 1.0,
                    share: 0.0,
                };
                let alone = Update {
                    decay: std::mem::take(&mut decay),
                    factor: treated.factor,
                    ..Update::from(keep)
                };
                updates.extend(record(&alone, name, parameter, gradient, clock, &|_| 0.0));
            }
            let squares = self.squares(name, gradient, clock, &mut updates);
            let direction = gradient.div(&squares.sqrt());
            updates.push(sum_of_squares(norms, &[parameter, &direction], clock));
            let formula = Formula::Relative {
                epsilon: self.epsilon_2,
                threshold: self.clip_threshold,
                elements: u32::try_from(parameter.kind().elements()).unwrap_or(u32::MAX),
            };
            let step = self.common.last(Update {
                decay,
                factor: treated.factor,
                ..Update::from(formula)
            });
            updates.extend(record(&step, name, parameter, &direction, clock, &|_| 0.0));
        }
        updates
    }
}

/// Refuses coupled decay in an optimizer whose direction is not the gradient's.
pub(super) fn no_coupled_decay(l2: f32) -> Result<()> {
    if l2 == 0.0 {
        return Ok(());
    }
    let message = format!("must be 0 here, where weight_decay is decoupled, got {l2}");
    Err(Error::argument("l2", message))
}
