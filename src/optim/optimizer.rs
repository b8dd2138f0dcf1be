//! What an optimizer is: update nodes for each parameter, and constants for the clock.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::op::cursor;
use crate::{Graph, Initial, Result, Tensor, TensorType};

use super::{Adam, Schedule, Sgd};

/// The device-resident values that vary per step, and the batch's row numbers: see [`Graph::clock`].
#[derive(Debug, Clone)]
pub struct Clock {
    /// Step, epoch, offset, rows: the words of [`cursor`].
    pub cursor: Tensor,
    /// Learning rate, β₁ᵗ, β₂ᵗ.
    pub rates: Tensor,
    /// The rows of the data set that make this step's batch.
    pub indices: Tensor,
}

impl Graph {
    /// Records a clock that advances by one batch of up to `batch` rows in every run of a program that uses it.
    ///
    /// Its variables are `<name>.cursor` and `<name>.rates`; the host sets the number of data rows, the shuffle switch
    /// and the seed in the cursor before the first step (see [`cursor`]). The words' order is that of the module.
    #[track_caller]
    pub fn clock(&self, name: &str, batch: usize, rates: Rates) -> Clock {
        let words = TensorType::u32([cursor::WORDS]);
        let mut first = vec![0; cursor::WORDS];
        first[cursor::DATA_ROWS] = u32::try_from(batch).unwrap_or(u32::MAX);
        let cursor = self.variable(
            format!("{name}.cursor"),
            words,
            Initial::Words(first.into()),
        );
        let kind = TensorType::f32([crate::op::RATES]);
        let state = self.variable(format!("{name}.rates"), kind, Initial::Zeros);
        let op = crate::op::Clock {
            batch,
            schedule: rates.learning_rate,
            beta_1: rates.beta_1,
            beta_2: rates.beta_2,
        };
        let indices = self.apply_one(op, &[&cursor, &state]);
        Clock {
            cursor,
            rates: state,
            indices,
        }
    }
}

/// What the clock needs to know of an optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// The learning rate as a function of the step.
    pub learning_rate: Schedule,
    /// The base of β₁ᵗ; 0 where there is none.
    pub beta_1: f32,
    /// The base of β₂ᵗ; 0 where there is none.
    pub beta_2: f32,
}

/// A rule that changes parameters by their gradients.
pub trait Optimizer: fmt::Debug + Send + Sync {
    /// Its name in summaries and files.
    fn name(&self) -> &'static str;

    /// Whether every setting is in its range.
    fn validate(&self) -> Result<()>;

    /// Its settings as a model file keeps them; none for an optimizer of the user's own.
    fn config(&self) -> Option<OptimizerConfig> {
        None
    }

    /// What the clock computes for it.
    fn rates(&self) -> Rates;

    /// Records the update of `parameter`, whose name is `name`, by `gradient`; states are variables `<name>.<state>`.
    fn update(&self, name: &str, parameter: &Tensor, gradient: &Tensor, clock: &Clock) -> Tensor;

    /// Records gradients of `loss` and the updates of all named parameters, for `Program::update`; the clock's advance
    /// comes with them.
    #[track_caller]
    fn minimize(
        &self,
        loss: &Tensor,
        parameters: &[(&str, &Tensor)],
        clock: &Clock,
    ) -> Vec<Tensor> {
        let tensors: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| *tensor).collect();
        let gradients = loss.graph().gradients(loss, &tensors);
        let updates = parameters.iter().zip(&gradients);
        // The clock writes the rates that the updates read, but none of them takes its output.
        std::iter::once(clock.indices.clone())
            .chain(
                updates.map(|((name, parameter), gradient)| {
                    self.update(name, parameter, gradient, clock)
                }),
            )
            .collect()
    }
}

/// The settings of a built-in optimizer, as model files keep them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// Gradient descent.
    Sgd(Sgd),
    /// Adam.
    Adam(Adam),
}

impl OptimizerConfig {
    /// The optimizer with these settings.
    pub fn into_optimizer(self) -> Box<dyn Optimizer> {
        match self {
            OptimizerConfig::Sgd(sgd) => Box::new(sgd),
            OptimizerConfig::Adam(adam) => Box::new(adam),
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig::Adam(Adam::default())
    }
}

/// A state of the same shape as its parameter, zeros at first.
pub(super) fn state(name: &str, state: &str, parameter: &Tensor) -> Tensor {
    parameter
        .graph()
        .variable(format!("{name}.{state}"), parameter.kind(), Initial::Zeros)
}

/// Checks that a setting lies in `[low, high)`.
pub(super) fn in_range(name: &'static str, value: f32, low: f32, high: f32) -> Result<()> {
    if (low..high).contains(&value) {
        return Ok(());
    }
    Err(crate::Error::argument(
        name,
        format!("must be at least {low} and below {high}, got {value}"),
    ))
}
