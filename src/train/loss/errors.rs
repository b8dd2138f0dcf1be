//! Losses of distances, margins and angles between outputs and targets that are numbers.

use serde::{Deserialize, Serialize};

use crate::nn::Config;
use crate::op::{Form, Penalty, Similarity};
use crate::{Error, Result, Tensor};

use super::Loss;
use super::function::{RowFunction, losses};

/// 1/columns: the factor of a mean over a row.
fn share(y: &Tensor) -> f32 {
    let (_, columns) = y.shape().rows_and_columns();
    1.0 / columns as f32
}

/// The mean of a penalty over each row.
#[track_caller]
pub(super) fn mean(y: &Tensor, target: &Tensor, penalty: Penalty) -> Tensor {
    y.pointwise_loss(target, penalty, share(y))
}

losses! {
    /// L = 1/(2n)·Σ(y − y*)² over n rows, the sum over all columns too: the form of introductory texts.
    ///
    /// The gradient is (y − y*)/n. [`Loss::MeanSquaredError`], 1/(n·columns)·Σ(y − y*)², has one 2/columns times as
    /// large: equal for two columns, twice as large for one.
    HalfSquaredError = "half_squared_error", Numbers, |y, t, _| y.squared_error(t, 0.5);

    /// The mean of (y − y*)² over rows and columns.
    MeanSquaredError = "mean_squared_error", Numbers, |y, t, _| y.squared_error(t, share(y));

    /// The mean of |y − y*|, PyTorch's `L1Loss`. The slope at y = y* is 0.
    MeanAbsoluteError = "mean_absolute_error", Numbers, |y, t, _| mean(y, t, Penalty::Absolute);

    /// The mean of 100·|y − y*|/max(|y*|, 1e-7).
    MeanAbsolutePercentageError = "mean_absolute_percentage_error", Numbers,
        |y, t, _| mean(y, t, Penalty::AbsolutePercentage);

    /// The mean of (ln(1 + y) − ln(1 + y*))², y and y* below 1e-7 taken as 1e-7.
    MeanSquaredLogarithmicError = "mean_squared_logarithmic_error", Numbers,
        |y, t, _| mean(y, t, Penalty::SquaredLogarithmic);

    /// The mean of ln cosh(y − y*): like the squared error's half near 0, like the absolute error far from it.
    LogCosh = "log_cosh", Numbers, |y, t, _| mean(y, t, Penalty::LogCosh);

    /// The mean of y − y*·ln(y + 1e-7). PyTorch's `PoissonNLLLoss` takes ln y unless it is told `log_input=False`, and
    /// adds 1e-8.
    Poisson = "poisson", Numbers, |y, t, _| mean(y, t, Penalty::Poisson);

    /// The mean of max(1 − y*·y, 0) with targets of −1 and 1; a target of 0 counts as −1.
    ///
    /// PyTorch's `HingeEmbeddingLoss` and `MultiMarginLoss` are other functions.
    Hinge = "hinge", Numbers, |y, t, _| mean(y, t, Penalty::Hinge);

    /// The mean of max(1 − y*·y, 0)², targets as [`Loss::Hinge`].
    SquaredHinge = "squared_hinge", Numbers, |y, t, _| mean(y, t, Penalty::SquaredHinge);

    /// max(1 + max (1 − y*)·y − Σ y*·y, 0) over the classes of one-hot targets, averaged over rows.
    CategoricalHinge = "categorical_hinge", Shares, |y, t, _| y.categorical_hinge(t), by_position();

    /// −cos of the angle between y and y*, averaged over rows: −1 for the same direction. PyTorch's `CosineEmbeddingLoss`
    /// has 1 − cos.
    CosineSimilarity = "cosine_similarity", Numbers, |y, t, _| y.similarity(t, Similarity::Cosine),
        by_position();
}

impl Loss {
    /// The mean of ½(y − y*)² up to a distance of δ > 0, and of the line δ·|y − y*| − ½δ² from there on. Keras' default δ
    /// is 1.
    ///
    /// PyTorch's `SmoothL1Loss` with its β is this with δ = β, divided by β.
    pub fn huber(delta: f32) -> Self {
        Loss::from(Huber { delta })
    }
}

/// [`Loss::huber`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Huber {
    delta: f32,
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
