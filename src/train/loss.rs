//! What training makes small.

use serde::{Deserialize, Serialize};

use crate::Tensor;
use crate::nn::Activation;
use crate::op::Form;

/// A loss: a number for each row, averaged over the rows of a batch. y is the model's output, y* the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// L = 1/(2n)·Σ(y − y*)² over n rows, the sum over all columns too: the form of introductory texts.
    ///
    /// Its gradient is (y − y*)/n. That of [`Loss::MeanSquaredError`], 1/(n·columns)·Σ(y − y*)², is 2/columns times as
    /// large: equal for two columns, twice as large for one.
    HalfSquaredError,
    /// The mean of (y − y*)² over rows and columns.
    MeanSquaredError,
    /// −y*·ln y − (1 − y*)·ln(1 − y), averaged over rows and columns.
    ///
    /// Behind a sigmoid it is computed from the logits, as Keras on TensorFlow does: nothing saturates. On other
    /// outputs y is taken as a probability and clipped to [1e-7, 1 − 1e-7]; see [`Loss::from_logits`].
    BinaryCrossentropy,
    /// −Σ y*·ln y over the classes of one-hot targets, averaged over rows.
    ///
    /// Behind a softmax it is computed from the logits. On other outputs y is divided by its sum and clipped.
    CategoricalCrossentropy,
    /// −ln y of the labelled class, averaged over rows: [`Loss::CategoricalCrossentropy`] with integer labels.
    SparseCategoricalCrossentropy,
}

/// Which values of the last layer a cross-entropy reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// The logits behind a matching activation (sigmoid, softmax), else probabilities.
    #[default]
    Auto,
    /// The model's output holds logits: Keras' `from_logits=True`.
    Logits,
    /// The model's output holds probabilities, whatever the activation: what Keras does on JAX.
    Probabilities,
}

/// A loss with what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossSpec {
    /// The loss.
    pub loss: Loss,
    /// What a cross-entropy reads.
    pub reads: Reads,
}

impl From<Loss> for LossSpec {
    fn from(loss: Loss) -> Self {
        LossSpec {
            loss,
            reads: Reads::Auto,
        }
    }
}

impl Loss {
    /// Takes the model's output as logits.
    pub fn from_logits(self) -> LossSpec {
        LossSpec {
            loss: self,
            reads: Reads::Logits,
        }
    }

    /// Takes the model's output as probabilities, even behind a sigmoid or softmax.
    pub fn from_probabilities(self) -> LossSpec {
        LossSpec {
            loss: self,
            reads: Reads::Probabilities,
        }
    }

    /// Keras' name of it, `half_squared_error` for the one that Keras does not have.
    pub fn name(self) -> &'static str {
        match self {
            Loss::HalfSquaredError => "half_squared_error",
            Loss::MeanSquaredError => "mean_squared_error",
            Loss::BinaryCrossentropy => "binary_crossentropy",
            Loss::CategoricalCrossentropy => "categorical_crossentropy",
            Loss::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
        }
    }

    /// Whether its targets are integer labels.
    pub fn takes_labels(self) -> bool {
        self == Loss::SparseCategoricalCrossentropy
    }
}

/// The last layer's values that losses and metrics read.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Before the activation.
    pub before: Tensor,
    /// After it: what `predict` returns.
    pub after: Tensor,
    pub activation: Activation,
}

impl LossSpec {
    /// The loss of each row.
    pub(crate) fn rows(self, output: &Output, target: &Tensor) -> Tensor {
        let matching = match self.loss {
            Loss::BinaryCrossentropy => output.activation == Activation::Sigmoid,
            _ => output.activation == Activation::Softmax,
        };
        let (values, form) = match self.reads {
            Reads::Auto if matching => (&output.before, Form::Logits),
            Reads::Auto | Reads::Probabilities => (&output.after, Form::Probabilities),
            Reads::Logits => (&output.after, Form::Logits),
        };
        let columns = output.after.shape().rows_and_columns().1;
        match self.loss {
            Loss::HalfSquaredError => output.after.squared_error(target, 0.5),
            Loss::MeanSquaredError => output.after.squared_error(target, 1.0 / columns as f32),
            Loss::BinaryCrossentropy => values.binary_cross_entropy(target, form),
            Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy => {
                values.cross_entropy(target, form)
            }
        }
    }
}
