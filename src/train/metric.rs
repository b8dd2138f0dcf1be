//! What is reported beside the loss, averaged over samples.

use serde::{Deserialize, Serialize};

use crate::nn::Activation;
use crate::{Error, Result, Tensor, op};

use super::loss::{Loss, Output};

/// A number for each row, averaged over all rows of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of right answers, in the form that suits targets and outputs, as Keras 3 chooses: sparse for integer
    /// labels, binary for a single output column, else categorical. The loss does not count: for several yes-or-no
    /// outputs, ask for [`Metric::BinaryAccuracy`].
    Accuracy,
    /// The share of outputs on the right side of the threshold; Keras' default is 0.5.
    BinaryAccuracy(f32),
    /// The share of rows whose largest output is that of the one-hot target.
    CategoricalAccuracy,
    /// The share of rows whose largest output is that of the label.
    SparseCategoricalAccuracy,
}

impl Metric {
    /// Keras' name of it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::BinaryAccuracy(_) => "binary_accuracy",
            Metric::CategoricalAccuracy => "categorical_accuracy",
            Metric::SparseCategoricalAccuracy => "sparse_categorical_accuracy",
        }
    }

    /// The form of `Accuracy` that suits; the metric itself otherwise.
    pub(crate) fn resolve(self, loss: Loss, columns: usize) -> Metric {
        match self {
            Metric::Accuracy if loss.takes_labels() => Metric::SparseCategoricalAccuracy,
            Metric::Accuracy if columns == 1 => Metric::BinaryAccuracy(0.5),
            Metric::Accuracy => Metric::CategoricalAccuracy,
            other => other,
        }
    }

    /// Refuses a threshold that no output crosses, and a metric that cannot read the targets that the loss takes.
    pub(crate) fn validate(self, loss: Loss) -> Result<()> {
        let takes_labels = match self {
            Metric::Accuracy => loss.takes_labels(),
            Metric::BinaryAccuracy(threshold) if !(0.0..=1.0).contains(&threshold) => {
                let message = format!("must be between 0 and 1, got {threshold}");
                return Err(Error::argument("threshold", message));
            }
            Metric::BinaryAccuracy(_) | Metric::CategoricalAccuracy => false,
            Metric::SparseCategoricalAccuracy => true,
        };
        if takes_labels == loss.takes_labels() {
            return Ok(());
        }
        let form = |labels: bool| if labels { "integer labels" } else { "numbers" };
        Err(Error::argument(
            "metrics",
            format!(
                "{} reads {}, but {} takes {} for targets; `Accuracy` takes what the loss takes",
                self.name(),
                form(takes_labels),
                loss.name(),
                form(loss.takes_labels())
            ),
        ))
    }

    /// The metric of each row. Sigmoid and softmax keep the order, so that their inputs tell as much.
    pub(crate) fn rows(self, loss: Loss, output: &Output, target: &Tensor) -> Tensor {
        let columns = output.after.shape().rows_and_columns().1;
        let ordered = if output.activation == Activation::Softmax {
            &output.before
        } else {
            &output.after
        };
        match self.resolve(loss, columns) {
            Metric::BinaryAccuracy(threshold) if output.activation == Activation::Sigmoid => {
                let logit = (threshold / (1.0 - threshold)).ln();
                output
                    .before
                    .accuracy(target, op::Accuracy::Binary { threshold: logit })
            }
            Metric::BinaryAccuracy(threshold) => output
                .after
                .accuracy(target, op::Accuracy::Binary { threshold }),
            Metric::SparseCategoricalAccuracy => ordered.accuracy(target, op::Accuracy::Sparse),
            _ => ordered.accuracy(target, op::Accuracy::Categorical),
        }
    }
}
