//! Losses that are the mean of a function of one output and its target.

use serde::{Deserialize, Serialize};

use crate::nn::Config;
use crate::op::{Form, Penalty};
use crate::{Error, Result, Tensor};

use super::Loss;
use super::function::{RowFormula, RowFunction, Takes};

/// 1/columns: the factor of a mean over a row.
pub(super) fn share(y: &Tensor) -> f32 {
    let (_, columns) = y.shape().rows_and_columns();
    1.0 / columns as f32
}

/// The mean of a penalty over each row.
#[track_caller]
pub(super) fn mean(y: &Tensor, target: &Tensor, penalty: Penalty) -> Tensor {
    y.pointwise_loss(target, penalty, share(y))
}

#[expect(
    non_upper_case_globals,
    reason = "losses are spelled as Keras' classes are"
)]
impl Loss {
    /// The mean of |y − y*|, PyTorch's `L1Loss`. The slope at y = y* is 0.
    pub const MeanAbsoluteError: Loss = Loss::formula(&RowFormula::new(
        "mean_absolute_error",
        Takes::Numbers,
        |y, target, _| mean(y, target, Penalty::Absolute),
    ));

    /// The mean of 100·|y − y*|/max(|y*|, 1e-7).
    pub const MeanAbsolutePercentageError: Loss = Loss::formula(&RowFormula::new(
        "mean_absolute_percentage_error",
        Takes::Numbers,
        |y, target, _| mean(y, target, Penalty::AbsolutePercentage),
    ));

    /// The mean of (ln(1 + y) − ln(1 + y*))², y and y* below 1e-7 taken as 1e-7.
    pub const MeanSquaredLogarithmicError: Loss = Loss::formula(&RowFormula::new(
        "mean_squared_logarithmic_error",
        Takes::Numbers,
        |y, target, _| mean(y, target, Penalty::SquaredLogarithmic),
    ));

    /// The mean of ln cosh(y − y*): like the squared error's half near 0, like the absolute error far from it.
    pub const LogCosh: Loss = Loss::formula(&RowFormula::new(
        "log_cosh",
        Takes::Numbers,
        |y, target, _| mean(y, target, Penalty::LogCosh),
    ));

    /// The mean of y − y*·ln(y + 1e-7). PyTorch's `PoissonNLLLoss` takes ln y unless it is told `log_input=False`, and
    /// adds 1e-8.
    pub const Poisson: Loss = Loss::formula(&RowFormula::new(
        "poisson",
        Takes::Numbers,
        |y, target, _| mean(y, target, Penalty::Poisson),
    ));

    /// [`Huber`] with δ.
    pub fn huber(delta: f32) -> Self {
        Loss::from(Huber { delta })
    }
}

/// The mean of ½(y − y*)² up to a distance of δ, and of the line δ·|y − y*| − ½δ² from there on.
///
/// PyTorch's `SmoothL1Loss` with its β is this with δ = β, divided by β.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Huber {
    /// The distance δ > 0 where the parabola becomes a line; Keras' default is 1.
    pub delta: f32,
}

impl Default for Huber {
    fn default() -> Self {
        Huber { delta: 1.0 }
    }
}

impl RowFunction for Huber {
    fn name(&self) -> &str {
        "huber"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, _form: Form) -> Tensor {
        mean(y, target, Penalty::Huber(self.delta))
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }

    fn validate(&self) -> Result<()> {
        if self.delta > 0.0 && self.delta.is_finite() {
            return Ok(());
        }
        let message = format!("must be above 0 and finite, got {}", self.delta);
        Err(Error::argument("delta", message))
    }
}
