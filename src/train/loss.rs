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

use std::panic::Location;
use std::sync::Arc;

use crate::nn::Activation;
use crate::nn::Config;
use crate::op::Form;
use crate::{Error, Result, Tensor};

use super::held::Held;

pub use entropy::{BinaryFocalCrossentropy, CategoricalFocalCrossentropy};
pub(super) use function::RowFormula;
pub use function::{RowFunction, Span, Takes};
pub use reduction::Reduction;
pub(crate) use rows::{Output, Scope, kept_of};

use serde::{Deserialize, Serialize};

/// Which values of the last layer a cross-entropy reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reads {
    /// The logits where the last activation matches the loss (sigmoid, softmax), else probabilities.
    #[default]
    Auto,
    /// The model's output holds logits.
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
    pub(super) settings: LossSettings,
    /// Where a closure was given.
    location: Option<&'static Location<'static>>,
}

/// The settings that every loss has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct LossSettings {
    pub reads: Reads,
    /// The share of every target that is spread over the classes.
    pub label_smoothing: f32,
    /// The label of rows that do not count.
    pub ignore_class: Option<i32>,
    pub reduction: Reduction,
}

impl LossSettings {
    const DEFAULT: Self = LossSettings {
        reads: Reads::Auto,
        label_smoothing: 0.0,
        ignore_class: None,
        reduction: Reduction::SumOverBatchSize,
    };
}

impl Default for LossSettings {
    fn default() -> Self {
        LossSettings::DEFAULT
    }
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
        same_function && self.settings == other.settings
    }
}

impl Loss {
    const fn of(function: Held<dyn RowFunction>) -> Self {
        Loss {
            function,
            settings: LossSettings::DEFAULT,
            location: None,
        }
    }

    /// A built-in function without settings.
    pub(super) const fn formula(formula: &'static RowFormula) -> Self {
        Loss::of(Held::Static(formula))
    }

    /// A loss of one's own: a closure from outputs and targets to a number for each row, `[batch]`. Both are `[batch,
    /// columns]`, all positions of an output side by side. What is no number for each row is refused by `compile`, with the
    /// closure's line. A closure that several calls need is a [`RowFunction`] with a
    /// type of its own. Model files cannot keep it.
    ///
    /// ```
    /// use kiln::train::Loss;
    ///
    /// let cubed = Loss::from_fn("cubed", |y, target| y.sub(target).abs().mul(&y.sub(target).square()).sum_over(1));
    /// ```
    #[track_caller]
    pub fn from_fn(
        name: impl Into<String>,
        rows: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        let formula = RowFormula {
            name: name.into(),
            takes: Takes::Any,
            span: Span::Row,
            logits_of: None,
            rows: move |y: &Tensor, target: &Tensor, _: Form| rows(y, target),
            config: || None,
        };
        Loss {
            location: Some(Location::caller()),
            ..Loss::from(formula)
        }
    }

    /// Takes the output as logits: Keras' `from_logits=True`. By default a cross-entropy takes the logits before the last
    /// activation where that matches the loss (sigmoid, softmax), and else the output as probabilities.
    pub fn from_logits(mut self) -> Self {
        self.settings.reads = Reads::Logits;
        self
    }

    /// Takes the output as probabilities, even after a sigmoid or softmax: what Keras does on JAX.
    pub fn from_probabilities(mut self) -> Self {
        self.settings.reads = Reads::Probabilities;
        self
    }

    /// Takes y*·(1 − s) + s/C for the targets y* of a cross-entropy over C classes, two for a binary one. PyTorch's
    /// `CrossEntropyLoss` has the same.
    pub fn label_smoothing(mut self, share: f32) -> Self {
        self.settings.label_smoothing = share;
        self
    }

    /// Leaves out the rows with this label, which need not be that of an output and may be negative, as PyTorch's
    /// `ignore_index` of −100 is: their loss is 0, and they count neither in the mean over a batch nor in the metrics of the
    /// output. For losses that take labels.
    pub fn ignore_class(mut self, class: i32) -> Self {
        self.settings.ignore_class = Some(class);
        self
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
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.settings.reduction = reduction;
        self
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
    pub(crate) fn takes_labels(&self) -> bool {
        self.takes() == Takes::Labels
    }

    /// The settings of the function itself; none for functions that a file cannot keep.
    pub(super) fn config(&self) -> Option<Config> {
        self.function.config()
    }

    /// Whether its outputs are shares of classes, or their logits.
    pub(crate) fn is_over_classes(&self) -> bool {
        self.function.logits_of() == Some(Activation::Softmax)
    }

    /// Whether the function stands in the table, so that a model file can keep the loss.
    pub(crate) fn is_built_in(&self) -> bool {
        crate::train::table::is_listed::<Loss>(self.name(), self.config().as_ref())
    }

    /// The loss of each row: the last dimension of `y` is a row, and is dropped. A cross-entropy takes `y` for
    /// probabilities unless it is told that they are logits.
    ///
    /// Labels have a number for each row, other targets the shape of `y`. Rows with the ignored class are 0.
    #[track_caller]
    pub fn each_row(&self, y: &Tensor, target: &Tensor) -> Tensor {
        let form = match self.settings.reads {
            Reads::Logits => Form::Logits,
            Reads::Auto | Reads::Probabilities => Form::Probabilities,
        };
        self.rows_of(y, form, target)
    }

    /// The loss of a batch: that of [each row](Self::each_row), times the row's weight where there are weights, as the
    /// [reduction](Self::reduction) has it: one number, or with [`Reduction::None`] a number for each row.
    #[track_caller]
    pub fn of_batch(&self, y: &Tensor, target: &Tensor, weights: Option<&Tensor>) -> Tensor {
        let rows = self.each_row(y, target);
        let kept = self.kept(y, target);
        self.settings.reduction.apply(&rows, weights, kept.as_ref())
    }

    /// A one for each row that counts and a zero for each that is left out, if a class is ignored.
    #[track_caller]
    fn kept(&self, y: &Tensor, target: &Tensor) -> Option<Tensor> {
        let ignored = self.settings.ignore_class?;
        Some(rows::kept(ignored, y, target))
    }

    /// Refuses settings out of their range, and settings that the loss does not have.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] with the setting's name.
    pub fn validate(&self) -> Result<()> {
        self.function.validate()?;
        let settings = &self.settings;
        let refused = |field, kinds: &str| {
            let message = format!("must be left alone with {}: {kinds}", self.name());
            Err(Error::argument(field, message))
        };
        let reads_logits = self.function.logits_of().is_some();
        if settings.reads != Reads::Auto && !reads_logits {
            return refused(
                "reads",
                "only a cross-entropy reads logits or probabilities",
            );
        }
        between("label_smoothing", settings.label_smoothing, 0.0, 1.0)?;
        if settings.label_smoothing != 0.0 && !reads_logits && !self.takes_labels() {
            return refused("label_smoothing", "only a cross-entropy smooths targets");
        }
        if settings.reduction == Reduction::None {
            let message = "must make one number of a batch's losses, which None does not; Sum has the gradients of a vector";
            return Err(Error::argument("reduction", message));
        }
        if settings.reduction != Reduction::default() && self.function.span() == Span::Batch {
            return refused("reduction", "it is one number for a batch as it is");
        }
        if settings.ignore_class.is_some() && !self.takes_labels() {
            return refused("ignore_class", "only a loss of integer labels ignores one");
        }
        Ok(())
    }
}

/// Refuses a setting below `least` or above `most`, which may be infinite, and one that is no number.
pub(super) fn between(field: &'static str, value: f32, least: f32, most: f32) -> Result<()> {
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
