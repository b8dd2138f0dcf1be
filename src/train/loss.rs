//! What training makes small.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | [`Loss`]: a function of rows with its settings |
//! | `function` | [`RowFunction`], the trait of all losses, and closures through the same door |
//! | `errors`, `entropy`, `overlap` | the losses |
//! | `table` | the losses by name, as text and in model files |
//! | `rows` | what a model's step records of a loss |
//! | `reduction` | one number from the losses of many rows |

mod entropy;
mod errors;
mod function;
mod overlap;
mod reduction;
mod rows;
mod table;

use std::sync::Arc;

use crate::nn::Config;
use crate::op::Form;
use crate::{Error, Result, Tensor};

use super::held::Held;
use function::Closure;

pub use entropy::{BinaryFocalCrossentropy, CategoricalFocalCrossentropy};
pub use errors::Huber;
pub(super) use function::RowFormula;
pub use function::{RowFunction, Span, Takes};
pub use reduction::Reduction;
pub(crate) use rows::{Output, Scope};

use serde::{Deserialize, Serialize};

/// Which values of the last layer a cross-entropy reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reads {
    /// The logits where the last activation matches the loss (sigmoid, softmax), else probabilities.
    #[default]
    Auto,
    /// The model's output holds logits: Keras' `from_logits=True`.
    Logits,
    /// The model's output holds probabilities, whatever the activation: what Keras does on JAX.
    Probabilities,
}

/// A loss: a number for each row, averaged over the rows of a batch. y is the model's output, y* the target.
///
/// Names, formulas, clipping constants and defaults are those of Keras 3; where PyTorch has another form of the same
/// loss, its entry says how to get it. A loss of one's own is a [`RowFunction`] or a [closure](Loss::from_fn), and can
/// do whatever a built-in one can. Every loss takes the settings below: logits, label smoothing, an ignored class, a
/// reduction; those that a loss has no use for are refused by [`validate`](Loss::validate).
///
/// ```
/// use kiln::train::Loss;
///
/// let robust = Loss::huber(0.5);
/// let smoothed = Loss::CategoricalCrossentropy.label_smoothing(0.1);
/// assert_eq!(Loss::from_name("mae")?, Loss::MeanAbsoluteError);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Clone)]
pub struct Loss {
    function: Held<dyn RowFunction>,
    /// What a cross-entropy reads.
    pub reads: Reads,
    /// The share s of every target that is spread over the classes; 0 by default.
    pub label_smoothing: f32,
    /// The label of rows that do not count; none by default.
    pub ignore_class: Option<u32>,
    /// What becomes of the losses of a batch's rows; their mean by default.
    pub reduction: Reduction,
}

impl<F: RowFunction + 'static> From<F> for Loss {
    fn from(function: F) -> Self {
        Loss::of(Held::Shared(Arc::new(function)))
    }
}

impl PartialEq for Loss {
    fn eq(&self, other: &Self) -> bool {
        let same_function = match (self.function.config(), other.function.config()) {
            (Some(own), Some(others)) => self.name() == other.name() && own == others,
            _ => self.function.is(&other.function),
        };
        same_function && self.settings() == other.settings()
    }
}

impl Loss {
    const fn of(function: Held<dyn RowFunction>) -> Self {
        Loss {
            function,
            reads: Reads::Auto,
            label_smoothing: 0.0,
            ignore_class: None,
            reduction: Reduction::SumOverBatchSize,
        }
    }

    /// A built-in function without settings.
    pub(super) const fn formula(formula: &'static RowFormula) -> Self {
        Loss::of(Held::Static(formula))
    }

    /// A loss of one's own: a closure from outputs and targets to a number for each row, `[batch]`. Both are `[batch,
    /// columns]`, all positions of an output side by side. A closure that several calls need is a [`RowFunction`] with a
    /// type of its own. Model files cannot keep it.
    ///
    /// ```
    /// use kiln::train::Loss;
    ///
    /// let cubed = Loss::from_fn("cubed", |y, target| y.sub(target).abs().mul(&y.sub(target).square()).sum_over(1));
    /// ```
    pub fn from_fn(
        name: impl Into<String>,
        rows: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        Loss::from(Closure::new(name.into(), rows))
    }

    /// Takes the output as logits.
    pub fn from_logits(self) -> Self {
        let reads = Reads::Logits;
        Loss { reads, ..self }
    }

    /// Takes the output as probabilities, even after a sigmoid or softmax.
    pub fn from_probabilities(self) -> Self {
        let reads = Reads::Probabilities;
        Loss { reads, ..self }
    }

    /// Takes y*·(1 − s) + s/C for the targets y* of a cross-entropy over C classes, two for a binary one. PyTorch's
    /// `CrossEntropyLoss` has the same.
    pub fn label_smoothing(self, share: f32) -> Self {
        Loss {
            label_smoothing: share,
            ..self
        }
    }

    /// Leaves out the rows with this label, which need not be that of an output: their loss is 0, and they do not count
    /// in the mean over a batch. For losses that take labels.
    pub fn ignore_class(self, class: u32) -> Self {
        Loss {
            ignore_class: Some(class),
            ..self
        }
    }

    /// Makes one number of the losses of a batch's rows: Keras' `reduction`, by default
    /// [`Reduction::SumOverBatchSize`]. The gradients are those of that number, and the losses that are told are its mean
    /// over batches by their rows, as in Keras.
    ///
    /// [`Model::evaluate`](crate::train::Model::evaluate) and `val_loss` reduce all rows at once, whatever batches they are
    /// computed in: `Sum` is the sum over the data set, which Keras has for `batch_size=len(x)`. Only means that leave out an
    /// ignored class are taken by batches of 1024 rows there too, of fewer where a device's budget leaves no room, and averaged
    /// by rows. Batches in parts
    /// ([`micro_batches`](crate::train::Fit::micro_batches)) come to the same for sums; `MeanWithSampleWeight`, whose divisor
    /// is a whole batch's, is refused there.
    /// [`Reduction::None`] leaves nothing that could be made small: `compile` refuses it, and `Sum` has the gradients that a
    /// vector of losses has in TensorFlow.
    ///
    /// ```
    /// use kiln::prelude::*;
    /// use kiln::train::Reduction;
    ///
    /// let loss = MeanSquaredError.reduction(Reduction::Sum);
    /// let model = Sequential::new(2).dense(1, Linear).compile(loss, Sgd::new(0.01), [])?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn reduction(self, reduction: Reduction) -> Self {
        Loss { reduction, ..self }
    }

    /// The name of the function, Keras' where Keras has it.
    pub fn name(&self) -> &str {
        self.function.name()
    }

    /// What the targets of the loss are.
    pub fn takes(&self) -> Takes {
        self.function.takes()
    }

    /// Whether the targets are integer labels.
    pub fn takes_labels(&self) -> bool {
        self.takes() == Takes::Labels
    }

    /// The settings of the function itself; none for functions that a file cannot keep.
    pub(super) fn config(&self) -> Option<Config> {
        self.function.config()
    }

    /// Whether the function stands in the table, so that a model file can keep the loss.
    pub(crate) fn is_built_in(&self) -> bool {
        crate::train::table::is_listed::<Loss>(self.name(), self.config().as_ref())
    }

    /// All settings but the function's own.
    fn settings(&self) -> (Reads, f32, Option<u32>, Reduction) {
        (
            self.reads,
            self.label_smoothing,
            self.ignore_class,
            self.reduction,
        )
    }

    /// The loss of each row: the last dimension of `y` is a row, and is dropped. A cross-entropy takes `y` for
    /// probabilities unless it is told that they are logits.
    ///
    /// Labels have a number for each row, other targets the shape of `y`. Rows with the ignored class are 0; a
    /// [`Reduction`] gets to know them from [`Loss::kept`].
    #[track_caller]
    pub fn each_row(&self, y: &Tensor, target: &Tensor) -> Tensor {
        let form = match self.reads {
            Reads::Logits => Form::Logits,
            Reads::Auto | Reads::Probabilities => Form::Probabilities,
        };
        self.rows_of(y, form, target)
    }

    /// A one for each row that counts and a zero for each that is left out, if a class is ignored.
    #[track_caller]
    pub fn kept(&self, y: &Tensor, target: &Tensor) -> Option<Tensor> {
        self.ignore_class?;
        let (_, classes) = y.shape().rows_and_columns();
        let shares = rows::shares_of_labels(target, classes, 0.0, self.ignore_class);
        Some(shares.sum_over(-1))
    }

    /// Refuses settings out of their range, and such as the loss does not have.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] with the setting's name.
    pub fn validate(&self) -> Result<()> {
        self.function.validate()?;
        let refused = |field, kinds: &str| {
            let message = format!("must be left alone with {}: {kinds}", self.name());
            Err(Error::argument(field, message))
        };
        let reads_logits = self.function.logits_of().is_some();
        if self.reads != Reads::Auto && !reads_logits {
            return refused(
                "reads",
                "only a cross-entropy reads logits or probabilities",
            );
        }
        between("label_smoothing", self.label_smoothing, 0.0, 1.0)?;
        if self.label_smoothing != 0.0 && !reads_logits && !self.takes_labels() {
            return refused("label_smoothing", "only a cross-entropy smooths targets");
        }
        if self.reduction == Reduction::None {
            let message = "must make one number of a batch's losses, which None does not; Sum has the gradients of a vector";
            return Err(Error::argument("reduction", message));
        }
        if self.reduction != Reduction::default() && self.function.span() == Span::Batch {
            return refused("reduction", "it is one number for a batch as it is");
        }
        if self.ignore_class.is_some() && !self.takes_labels() {
            return refused("ignore_class", "only a loss of integer labels ignores one");
        }
        Ok(())
    }
}

/// Refuses a setting below `least` or above `most`, which may be infinite, and one that is no number.
fn between(field: &'static str, value: f32, least: f32, most: f32) -> Result<()> {
    if (least..=most).contains(&value) && value.is_finite() {
        return Ok(());
    }
    let message = if most.is_infinite() {
        format!("must be at least {least} and finite, got {value}")
    } else {
        format!("must be between {least} and {most}, got {value}")
    };
    Err(Error::argument(field, message))
}
