//! Cross-entropies and their kin: losses of probabilities.

use serde::{Deserialize, Serialize};

use crate::nn::{Activation, Config};
use crate::op::{Form, Penalty};
use crate::{DType, Result, Tensor};

use super::errors::mean;
use super::function::{RowFunction, Span, Takes, losses};
use super::{between, rows};

losses! {
    /// −y*·ln y − (1 − y*)·ln(1 − y), averaged over rows and columns.
    ///
    /// Where the last activation is a sigmoid it is computed from the logits, as Keras on TensorFlow does: nothing
    /// saturates. Other outputs y are taken as probabilities and clipped to [1e-7, 1 − 1e-7], unless
    /// they are said to be logits. PyTorch's `BCELoss` does not clip, but keeps logarithms above −100.
    BinaryCrossentropy = "binary_crossentropy", Shares, |y, t, form| y.binary_cross_entropy(t, form),
        logits_of(Activation::Sigmoid);

    /// −Σ y*·ln y over the classes of one-hot targets, averaged over rows.
    ///
    /// Where the last activation is a softmax it is computed from the logits. Other outputs y are divided by their sum
    /// and clipped. PyTorch's `CrossEntropyLoss` is this `from_logits`.
    CategoricalCrossentropy = "categorical_crossentropy", Shares, |y, t, form| y.cross_entropy(t, form),
        by_position(), logits_of(Activation::Softmax);

    /// −ln y of the labelled class, averaged over rows: `CategoricalCrossentropy` with integer labels.
    SparseCategoricalCrossentropy = "sparse_categorical_crossentropy", Labels,
        |y, t, form| y.cross_entropy(t, form), by_position(), logits_of(Activation::Softmax);

    /// −y of the labelled class, where y are logarithms of probabilities: PyTorch's `NLLLoss`, which Keras does not have.
    NegativeLogLikelihood = "negative_log_likelihood", Labels, |y, t, _| {
        let (_, classes) = y.shape().rows_and_columns();
        let shares = match t.dtype() {
            DType::U32 => rows::shares_of_labels(t, classes, 0.0, None),
            _ => t.clone(),
        };
        y.pointwise_loss(&shares, Penalty::LogLikelihood, 1.0)
    }, by_position();

    /// Σ y*·ln(y*/y) over the columns, averaged over rows, both clipped to [1e-7, 1].
    ///
    /// PyTorch's `KLDivLoss` takes ln y and, unless it is told `batchmean`, divides by the number of columns too.
    KlDivergence = "kl_divergence", Shares,
        |y, t, _| y.pointwise_loss(t, Penalty::KullbackLeibler, 1.0), by_position();
}

/// The binary cross-entropy times mᵞ, where m = y*·(1 − y) + (1 − y*)·y is the probability of the wrong answer: what is
/// easy counts little (Lin et al. 2017). Logits and probabilities as in
/// [`BinaryCrossentropy`](crate::train::Loss::BinaryCrossentropy).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BinaryFocalCrossentropy {
    /// The factor of targets of 1, whose complement is that of targets of 0: Keras' `alpha` with
    /// `apply_class_balancing=True`. None, the default, leaves both at 1.
    pub alpha: Option<f32>,
    /// γ ≥ 0; Keras' default is 2.
    pub gamma: f32,
}

impl Default for BinaryFocalCrossentropy {
    fn default() -> Self {
        BinaryFocalCrossentropy {
            alpha: None,
            gamma: 2.0,
        }
    }
}

impl RowFunction for BinaryFocalCrossentropy {
    fn name(&self) -> &str {
        "binary_focal_crossentropy"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, form: Form) -> Tensor {
        let penalty = Penalty::BinaryFocal {
            form,
            gamma: self.gamma,
            weights: self.alpha.map_or([1.0; 2], |alpha| [alpha, 1.0 - alpha]),
        };
        mean(y, target, penalty)
    }

    fn takes(&self) -> Takes {
        Takes::Shares
    }

    fn logits_of(&self) -> Option<Activation> {
        Some(Activation::Sigmoid)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }

    fn validate(&self) -> Result<()> {
        between("alpha", self.alpha.unwrap_or_default(), 0.0, 1.0)?;
        between("gamma", self.gamma, 0.0, f32::INFINITY)
    }
}

/// −α·Σ y*·(1 − y)ᵞ·ln y over the classes of one-hot targets, averaged over rows, with y divided by its sum and
/// clipped to [1e-7, 1 − 1e-7].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CategoricalFocalCrossentropy {
    /// α ≥ 0; Keras' default is 0.25.
    pub alpha: f32,
    /// γ ≥ 0; Keras' default is 2.
    pub gamma: f32,
}

impl Default for CategoricalFocalCrossentropy {
    fn default() -> Self {
        CategoricalFocalCrossentropy {
            alpha: 0.25,
            gamma: 2.0,
        }
    }
}

impl RowFunction for CategoricalFocalCrossentropy {
    fn name(&self) -> &str {
        "categorical_focal_crossentropy"
    }

    fn rows(&self, y: &Tensor, target: &Tensor, form: Form) -> Tensor {
        let p = match form {
            Form::Logits => y.softmax(-1),
            Form::Probabilities => y.clone(),
        };
        let (rows, columns) = y.shape().rows_and_columns();
        let table = p.reshape([rows, columns]);
        let sums = table.sum_over(1).reshape([rows, 1]);
        let shares = table.div(&sums).reshape(y.shape());
        let (alpha, gamma) = (self.alpha, self.gamma);
        shares.pointwise_loss(target, Penalty::CategoricalFocal { alpha, gamma }, 1.0)
    }

    fn takes(&self) -> Takes {
        Takes::Shares
    }

    fn span(&self) -> Span {
        Span::Position
    }

    fn logits_of(&self) -> Option<Activation> {
        Some(Activation::Softmax)
    }

    fn config(&self) -> Option<Config> {
        Config::of(self)
    }

    fn validate(&self) -> Result<()> {
        between("alpha", self.alpha, 0.0, f32::INFINITY)?;
        between("gamma", self.gamma, 0.0, f32::INFINITY)
    }
}
