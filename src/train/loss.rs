//! What training makes small.

mod names;
mod reduction;
mod spec;

use serde::{Deserialize, Serialize};

pub use reduction::Reduction;
pub(crate) use spec::{Batch, Output};
pub use spec::{LossSpec, Reads};

/// A loss: a number for each row, averaged over the rows of a batch. y is the model's output, y* the target.
///
/// Names, formulas, clipping constants and defaults are those of Keras 3; where PyTorch has another form of the same
/// loss, the variant says how to get it. A variant alone is a loss with Keras' defaults; [`LossSpec`] has what several
/// of them can be told: logits, label smoothing, an ignored class.
///
/// ```
/// use kiln::train::{Loss, LossSpec};
///
/// let robust = Loss::huber(0.5);
/// let smoothed: LossSpec = Loss::CategoricalCrossentropy.label_smoothing(0.1);
/// assert_eq!(Loss::named("mae")?, Loss::MeanAbsoluteError);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// L = 1/(2n)·Σ(y − y*)² over n rows, the sum over all columns too: the form of introductory texts.
    ///
    /// Its gradient is (y − y*)/n. That of [`Loss::MeanSquaredError`], 1/(n·columns)·Σ(y − y*)², is 2/columns times as
    /// large: equal for two columns, twice as large for one.
    HalfSquaredError,
    /// The mean of (y − y*)² over rows and columns.
    MeanSquaredError,
    /// The mean of |y − y*|, PyTorch's `L1Loss`. The slope at y = y* is 0.
    MeanAbsoluteError,
    /// The mean of 100·|y − y*|/max(|y*|, 1e-7).
    MeanAbsolutePercentageError,
    /// The mean of (ln(1 + y) − ln(1 + y*))², y and y* below 1e-7 taken as 1e-7.
    MeanSquaredLogarithmicError,
    /// The mean of ½(y − y*)² up to a distance of δ, behind it of the line δ·|y − y*| − ½δ².
    ///
    /// PyTorch's `SmoothL1Loss` with its β is this with δ = β, divided by β.
    Huber {
        /// The distance δ > 0 where the parabola becomes a line; Keras' default is 1.
        delta: f32,
    },
    /// The mean of ln cosh(y − y*): like the squared error's half near 0, like the absolute error far from it.
    LogCosh,
    /// −y*·ln y − (1 − y*)·ln(1 − y), averaged over rows and columns.
    ///
    /// Behind a sigmoid it is computed from the logits, as Keras on TensorFlow does: nothing saturates. On other
    /// outputs y is taken as a probability and clipped to [1e-7, 1 − 1e-7]; see [`Loss::from_logits`]. PyTorch's
    /// `BCELoss` does not clip, but keeps logarithms above −100.
    BinaryCrossentropy,
    /// [`Loss::BinaryCrossentropy`] times mᵞ, where m = y*·(1 − y) + (1 − y*)·y is the probability of the wrong answer:
    /// what is easy counts little (Lin et al. 2017). Logits and probabilities as there.
    BinaryFocalCrossentropy {
        /// The factor of targets of 1, whose complement is that of targets of 0: Keras' `alpha` with
        /// `apply_class_balancing=True`. None, the default, leaves both at 1.
        alpha: Option<f32>,
        /// γ ≥ 0; Keras' default is 2.
        gamma: f32,
    },
    /// −Σ y*·ln y over the classes of one-hot targets, averaged over rows.
    ///
    /// Behind a softmax it is computed from the logits. On other outputs y is divided by its sum and clipped. PyTorch's
    /// `CrossEntropyLoss` is this `from_logits`.
    CategoricalCrossentropy,
    /// −α·Σ y*·(1 − y)ᵞ·ln y over the classes of one-hot targets, averaged over rows, with y divided by its sum and
    /// clipped to [1e-7, 1 − 1e-7].
    CategoricalFocalCrossentropy {
        /// α ≥ 0; Keras' default is 0.25.
        alpha: f32,
        /// γ ≥ 0; Keras' default is 2.
        gamma: f32,
    },
    /// −ln y of the labelled class, averaged over rows: [`Loss::CategoricalCrossentropy`] with integer labels.
    SparseCategoricalCrossentropy,
    /// −y of the labelled class, where y are logarithms of probabilities: PyTorch's `NLLLoss`, which Keras does not have.
    NegativeLogLikelihood,
    /// Σ y*·ln(y*/y) over the columns, averaged over rows, both clipped to [1e-7, 1].
    ///
    /// PyTorch's `KLDivLoss` takes ln y and, unless it is told `batchmean`, divides by the number of columns too.
    KlDivergence,
    /// The mean of y − y*·ln(y + 1e-7). PyTorch's `PoissonNLLLoss` takes ln y unless it is told `log_input=False`, and
    /// adds 1e-8.
    Poisson,
    /// The mean of max(1 − y*·y, 0) with targets of −1 and 1; a target of 0 counts as −1.
    ///
    /// PyTorch's `HingeEmbeddingLoss` and `MultiMarginLoss` are other functions.
    Hinge,
    /// The mean of max(1 − y*·y, 0)², targets as [`Loss::Hinge`].
    SquaredHinge,
    /// max(1 + max (1 − y*)·y − Σ y*·y, 0) over the classes of one-hot targets, averaged over rows.
    CategoricalHinge,
    /// −cos of the angle between y and y*, averaged over rows: −1 for the same direction. PyTorch's `CosineEmbeddingLoss`
    /// has 1 − cos.
    CosineSimilarity,
    /// 1 − 2·Σ y*·y/(Σ y* + Σ y + 1e-7): in `fit` one fraction for the batch as a whole, which is Keras' default. In
    /// `evaluate` and validation a batch is 1024 rows, the last one fewer, each fewer where a device's budget leaves no room,
    /// and the fractions are averaged by rows.
    ///
    /// [`LossSpec::each_row`] has a fraction for each row, Keras with `axis=-1`; of a tensor that is reshaped to one row
    /// it is that of the whole.
    Dice,
    /// 1 − A/(A + α·Σ y*·(1 − y) + β·Σ y·(1 − y*) + 1e-7) with A = Σ y*·y, over the batch or each row as [`Loss::Dice`],
    /// which it is with α = β = ½.
    Tversky {
        /// The weight α ≥ 0 of what is missed; Keras' default is 0.5.
        alpha: f32,
        /// The weight β ≥ 0 of false alarms; Keras' default is 0.5.
        beta: f32,
    },
}

/// What a loss takes for targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// An integer for each row, the number of its class.
    Labels,
    /// A number for each output: shares of classes, of which one may be all, or zeros and ones.
    Shares,
    /// A number for each output, of any size.
    Numbers,
}

impl Loss {
    /// [`Loss::Huber`].
    pub fn huber(delta: f32) -> Self {
        Loss::Huber { delta }
    }

    /// [`Loss::BinaryFocalCrossentropy`] with Keras' defaults: γ = 2, both classes alike.
    pub fn binary_focal() -> Self {
        Loss::BinaryFocalCrossentropy {
            alpha: None,
            gamma: 2.0,
        }
    }

    /// [`Loss::CategoricalFocalCrossentropy`] with Keras' defaults: α = 0.25, γ = 2.
    pub fn categorical_focal() -> Self {
        Loss::CategoricalFocalCrossentropy {
            alpha: 0.25,
            gamma: 2.0,
        }
    }

    /// [`Loss::Tversky`].
    pub fn tversky(alpha: f32, beta: f32) -> Self {
        Loss::Tversky { alpha, beta }
    }

    /// Takes the model's output as logits.
    pub fn from_logits(self) -> LossSpec {
        LossSpec::from(self).from_logits()
    }

    /// Takes the model's output as probabilities, even behind a sigmoid or softmax.
    pub fn from_probabilities(self) -> LossSpec {
        LossSpec::from(self).from_probabilities()
    }

    /// Smooths the targets of a cross-entropy: see [`LossSpec::label_smoothing`].
    pub fn label_smoothing(self, share: f32) -> LossSpec {
        LossSpec::from(self).label_smoothing(share)
    }

    /// Leaves out the rows of one class: see [`LossSpec::ignore_class`].
    pub fn ignore_class(self, class: u32) -> LossSpec {
        LossSpec::from(self).ignore_class(class)
    }

    /// Makes one number of the losses of a batch: see [`LossSpec::reduction`].
    pub fn reduction(self, reduction: Reduction) -> LossSpec {
        LossSpec::from(self).reduction(reduction)
    }

    /// What its targets are.
    pub fn takes(self) -> Takes {
        match self {
            Loss::SparseCategoricalCrossentropy | Loss::NegativeLogLikelihood => Takes::Labels,
            Loss::BinaryCrossentropy
            | Loss::BinaryFocalCrossentropy { .. }
            | Loss::CategoricalCrossentropy
            | Loss::CategoricalFocalCrossentropy { .. }
            | Loss::CategoricalHinge
            | Loss::KlDivergence
            | Loss::Dice
            | Loss::Tversky { .. } => Takes::Shares,
            Loss::HalfSquaredError
            | Loss::MeanSquaredError
            | Loss::MeanAbsoluteError
            | Loss::MeanAbsolutePercentageError
            | Loss::MeanSquaredLogarithmicError
            | Loss::Huber { .. }
            | Loss::LogCosh
            | Loss::Poisson
            | Loss::Hinge
            | Loss::SquaredHinge
            | Loss::CosineSimilarity => Takes::Numbers,
        }
    }

    /// Whether its targets are integer labels.
    pub fn takes_labels(self) -> bool {
        self.takes() == Takes::Labels
    }
}
