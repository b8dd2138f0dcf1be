//! A loss with what it is told beside its own settings, and the rows it makes.

use serde::{Deserialize, Serialize};

use crate::nn::Activation;
use crate::op::{Form, OneHot, Penalty, Similarity};
use crate::{DType, Error, Result, Tensor};

use super::{Loss, Reduction, Takes};

/// Keras' epsilon in Dice and Tversky.
const EPSILON: f32 = 1e-7;

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

/// A loss with what it is told beside its own settings. A [`Loss`] becomes one by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossSpec {
    /// The loss.
    pub loss: Loss,
    /// What a cross-entropy reads.
    #[serde(default)]
    pub reads: Reads,
    /// The share s of every target that is spread over the classes; 0 by default.
    #[serde(default)]
    pub label_smoothing: f32,
    /// The label of rows that do not count; none by default.
    #[serde(default)]
    pub ignore_class: Option<u32>,
    /// What becomes of the losses of a batch's rows; their mean by default.
    #[serde(default)]
    pub reduction: Reduction,
}

impl From<Loss> for LossSpec {
    fn from(loss: Loss) -> Self {
        LossSpec {
            loss,
            reads: Reads::Auto,
            label_smoothing: 0.0,
            ignore_class: None,
            reduction: Reduction::default(),
        }
    }
}

/// The last layer's values that losses and metrics read, `[batch, positions·columns]`.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Before the activation.
    pub before: Tensor,
    /// After it: what `predict` returns.
    pub after: Tensor,
    pub activation: Activation,
    /// Positions of a row, each with columns of its own: 1 where the output has one dimension.
    pub positions: usize,
}

impl Output {
    /// A number for each row from what `rows` makes of values and target: where the output has several positions these are its
    /// rows, `[batch, positions, columns]`, whose numbers are averaged.
    pub fn by_position(
        &self,
        values: &Tensor,
        target: &Tensor,
        rows: impl FnOnce(&Tensor, &Tensor) -> Tensor,
    ) -> Tensor {
        if self.positions == 1 {
            return rows(values, target);
        }
        let (batch, columns) = values.shape().rows_and_columns();
        let dims = [batch, self.positions, columns / self.positions];
        let target = match target.dtype() {
            DType::U32 => target.clone(),
            DType::F32 | DType::F16 => target.reshape(dims),
        };
        let numbers = rows(&values.reshape(dims), &target);
        numbers.sum_over(1).scale(1.0 / self.positions as f32)
    }
}

/// Which rows a reduction is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// Those of a batch that is computed in so many parts, of which this is one.
    Part(u32),
    /// All, whatever batches they are computed in.
    All,
}

/// Weighted rows by the mean of their weights; zeros where no row weighs anything.
fn over(weighted: &Tensor, weight: &Tensor) -> Tensor {
    let least = weight.graph().constant([1], &[f32::MIN_POSITIVE]);
    weighted.div(&weight.reshape([1]).maximum(&least))
}

impl LossSpec {
    /// Takes the output as logits.
    pub fn from_logits(self) -> Self {
        let reads = Reads::Logits;
        LossSpec { reads, ..self }
    }

    /// Takes the output as probabilities, even behind a sigmoid or softmax.
    pub fn from_probabilities(self) -> Self {
        let reads = Reads::Probabilities;
        LossSpec { reads, ..self }
    }

    /// Takes y*·(1 − s) + s/C for the targets y* of a cross-entropy over C classes, two for a binary one. PyTorch's
    /// `CrossEntropyLoss` has the same.
    pub fn label_smoothing(self, share: f32) -> Self {
        LossSpec {
            label_smoothing: share,
            ..self
        }
    }

    /// Leaves out the rows with this label, which need not be that of an output: their loss is 0, and they do not count
    /// in the mean over a batch. For losses that take labels.
    pub fn ignore_class(self, class: u32) -> Self {
        LossSpec {
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
        LossSpec { reduction, ..self }
    }

    /// The loss of each row: the last dimension of `y` is a row, and is dropped. A cross-entropy takes `y` for
    /// probabilities unless it is told that they are logits.
    ///
    /// Labels have a number for each row, other targets the shape of `y`. Rows with the ignored class are 0; a
    /// [`Reduction`](super::Reduction) gets to know them from [`LossSpec::kept`].
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
        let plain = LossSpec {
            label_smoothing: 0.0,
            ..*self
        };
        let shares = plain.shares_of_labels(target, classes);
        Some(shares.sum_over(target.shape().rank()))
    }

    /// What the mean over a batch's own rows, which `cursor` counts, makes the mean loss of: the loss of each row of a model's
    /// output. An overlap is that of the batch, in every row. Where rows are left out, those that are kept weigh more, but
    /// where another [`reduction`](Self::reduced) sees to them.
    pub(crate) fn rows(self, output: &Output, target: &Tensor, cursor: &Tensor) -> Tensor {
        let matching = match self.loss {
            Loss::BinaryCrossentropy | Loss::BinaryFocalCrossentropy { .. } => Activation::Sigmoid,
            _ => Activation::Softmax,
        };
        let (values, form) = match self.reads {
            Reads::Auto if self.loss.reads_logits() && output.activation == matching => {
                (&output.before, Form::Logits)
            }
            Reads::Auto | Reads::Probabilities => (&output.after, Form::Probabilities),
            Reads::Logits => (&output.after, Form::Logits),
        };
        match self.loss {
            Loss::Dice => return overlap(values, target, cursor, (0.5, 0.5), 0.5 * EPSILON),
            Loss::Tversky { alpha, beta } => {
                return overlap(values, target, cursor, (alpha, beta), EPSILON);
            }
            _ => {}
        }
        if !self.loss.is_by_rows() {
            return self.rows_of(values, form, target);
        }
        let rows = output.by_position(values, target, |y, target| self.rows_of(y, form, target));
        if self.ignore_class.is_none() || !self.reduction.is_mean() {
            return rows;
        }
        let kept = self.kept_of(output, target);
        rows.div(&kept.batch_mean(cursor).offset(EPSILON))
    }

    /// The share of each row that counts.
    fn kept_of(&self, output: &Output, target: &Tensor) -> Tensor {
        output.by_position(&output.after, target, |y, target| {
            self.kept(y, target).unwrap_or_else(|| target.clone())
        })
    }

    /// Weighted rows whose mean over a batch's own rows is the reduced loss, for a batch that is one of `parts`.
    ///
    /// Where `whole` is not given, in evaluation, weights carry the divisor of all rows: see
    /// [`Model::prepare_evaluation`](crate::train::Model).
    pub(crate) fn reduced(
        &self,
        rows: &Tensor,
        weights: Option<&Tensor>,
        (output, target): (&Output, &Tensor),
        cursor: &Tensor,
        batch: Batch,
    ) -> Tensor {
        let weighted = weights.map_or(rows.clone(), |weights| rows.mul(weights));
        let (graph, room) = (rows.graph(), rows.shape().elements() as usize);
        match (self.reduction, batch) {
            (Reduction::Sum, Batch::Part(parts)) => {
                // The mean of a one and zeros is 1/n.
                let first: Vec<f32> = (0..room).map(|r| f32::from(u8::from(r == 0))).collect();
                let share = graph.constant([room], &first).batch_mean(cursor);
                weighted.div(&share.scale(1.0 / parts as f32))
            }
            (Reduction::MeanWithSampleWeight, _) if self.ignore_class.is_some() => {
                let kept = self.kept_of(output, target);
                let all = weights.map_or(kept.clone(), |weights| kept.mul(weights));
                over(&weighted, &all.batch_mean(cursor))
            }
            (Reduction::MeanWithSampleWeight, Batch::Part(_)) => match weights {
                Some(weights) => over(&weighted, &weights.batch_mean(cursor)),
                None => weighted,
            },
            _ => weighted,
        }
    }

    #[track_caller]
    fn rows_of(&self, y: &Tensor, form: Form, target: &Tensor) -> Tensor {
        let (_, columns) = y.shape().rows_and_columns();
        let target = &self.prepared(target, columns);
        let mean = 1.0 / columns as f32;
        let pointwise = |penalty| y.pointwise_loss(target, penalty, mean);
        match self.loss {
            Loss::HalfSquaredError => y.squared_error(target, 0.5),
            Loss::MeanSquaredError => y.squared_error(target, mean),
            Loss::MeanAbsoluteError => pointwise(Penalty::Absolute),
            Loss::MeanAbsolutePercentageError => pointwise(Penalty::AbsolutePercentage),
            Loss::MeanSquaredLogarithmicError => pointwise(Penalty::SquaredLogarithmic),
            Loss::Huber { delta } => pointwise(Penalty::Huber(delta)),
            Loss::LogCosh => pointwise(Penalty::LogCosh),
            Loss::BinaryCrossentropy => y.binary_cross_entropy(target, form),
            Loss::BinaryFocalCrossentropy { alpha, gamma } => pointwise(Penalty::BinaryFocal {
                form,
                gamma,
                weights: alpha.map_or([1.0; 2], |alpha| [alpha, 1.0 - alpha]),
            }),
            Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy => {
                y.cross_entropy(target, form)
            }
            Loss::CategoricalFocalCrossentropy { alpha, gamma } => {
                let penalty = Penalty::CategoricalFocal { alpha, gamma };
                shares_of_rows(y, form).pointwise_loss(target, penalty, 1.0)
            }
            Loss::NegativeLogLikelihood => y.pointwise_loss(target, Penalty::LogLikelihood, 1.0),
            Loss::KlDivergence => y.pointwise_loss(target, Penalty::KullbackLeibler, 1.0),
            Loss::Poisson => pointwise(Penalty::Poisson),
            Loss::Hinge => pointwise(Penalty::Hinge),
            Loss::SquaredHinge => pointwise(Penalty::SquaredHinge),
            Loss::CategoricalHinge => y.categorical_hinge(target),
            Loss::CosineSimilarity => y.similarity(target, Similarity::Cosine),
            Loss::Dice => {
                let half = Similarity::Tversky {
                    alpha: 0.5,
                    beta: 0.5,
                    epsilon: 0.5 * EPSILON,
                };
                y.similarity(target, half)
            }
            Loss::Tversky { alpha, beta } => {
                let epsilon = EPSILON;
                let kind = Similarity::Tversky {
                    alpha,
                    beta,
                    epsilon,
                };
                y.similarity(target, kind)
            }
        }
    }

    /// The targets as the loss's op takes them: smoothed, and labels as shares where labels alone do not tell.
    #[track_caller]
    fn prepared(&self, target: &Tensor, classes: usize) -> Tensor {
        let smoothing = f64::from(self.label_smoothing);
        let spread = |classes: usize| {
            let own = target.scale((1.0 - smoothing) as f32);
            own.offset((smoothing / classes as f64) as f32)
        };
        match self.loss {
            Loss::SparseCategoricalCrossentropy
                if smoothing == 0.0 && self.ignore_class.is_none() =>
            {
                target.clone()
            }
            loss if loss.takes_labels() => self.shares_of_labels(target, classes),
            _ if smoothing == 0.0 => target.clone(),
            Loss::BinaryCrossentropy | Loss::BinaryFocalCrossentropy { .. } => spread(2),
            _ => spread(classes),
        }
    }

    #[track_caller]
    fn shares_of_labels(&self, labels: &Tensor, classes: usize) -> Tensor {
        let op = OneHot {
            classes,
            smoothing: self.label_smoothing,
            ignored: self.ignore_class,
        };
        labels.graph().apply_one(op, &[labels])
    }

    /// Refuses settings out of their range, and such as the loss does not have.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] with the setting's name.
    pub fn validate(&self) -> Result<()> {
        let within = |field, value: f32, from: f32, to: f32| match value {
            value if (from..=to).contains(&value) && value.is_finite() => Ok(()),
            value if to.is_infinite() => {
                let message = format!("must be at least {from} and finite, got {value}");
                Err(Error::argument(field, message))
            }
            value => {
                let message = format!("must be between {from} and {to}, got {value}");
                Err(Error::argument(field, message))
            }
        };
        let most = f32::INFINITY;
        match self.loss {
            Loss::Huber { delta } if !(delta > 0.0 && delta.is_finite()) => {
                let message = format!("must be above 0 and finite, got {delta}");
                return Err(Error::argument("delta", message));
            }
            Loss::BinaryFocalCrossentropy { alpha, gamma } => {
                within("alpha", alpha.unwrap_or_default(), 0.0, 1.0)?;
                within("gamma", gamma, 0.0, most)?;
            }
            Loss::CategoricalFocalCrossentropy { alpha, gamma } => {
                within("alpha", alpha, 0.0, most)?;
                within("gamma", gamma, 0.0, most)?;
            }
            Loss::Tversky { alpha, beta } => {
                within("alpha", alpha, 0.0, most)?;
                within("beta", beta, 0.0, most)?;
            }
            _ => {}
        }
        let refused = |field, kinds: &str| {
            let message = format!("must be left alone with {}: {kinds}", self.loss.name());
            Err(Error::argument(field, message))
        };
        if self.reads != Reads::Auto && !self.loss.reads_logits() {
            return refused(
                "reads",
                "only a cross-entropy reads logits or probabilities",
            );
        }
        within("label_smoothing", self.label_smoothing, 0.0, 1.0)?;
        let smooths = self.loss.reads_logits() || self.loss.takes() == Takes::Labels;
        if self.label_smoothing != 0.0 && !smooths {
            return refused("label_smoothing", "only a cross-entropy smooths targets");
        }
        if self.reduction == Reduction::None {
            let message = "must make one number of a batch's losses, which None does not; Sum has the gradients of a vector";
            return Err(Error::argument("reduction", message));
        }
        let of_batch = matches!(self.loss, Loss::Dice | Loss::Tversky { .. });
        if self.reduction != Reduction::default() && of_batch {
            return refused("reduction", "it is one number for a batch as it is");
        }
        if self.ignore_class.is_some() && self.loss.takes() != Takes::Labels {
            return refused("ignore_class", "only a loss of integer labels ignores one");
        }
        Ok(())
    }
}

impl Loss {
    /// Whether the numbers of a row belong together, such as those of classes: an output of several positions has a loss for
    /// each. Others are sums or means over all numbers, wherever these stand.
    fn is_by_rows(self) -> bool {
        match self {
            Loss::CategoricalCrossentropy
            | Loss::CategoricalFocalCrossentropy { .. }
            | Loss::SparseCategoricalCrossentropy
            | Loss::NegativeLogLikelihood
            | Loss::KlDivergence
            | Loss::CategoricalHinge
            | Loss::CosineSimilarity => true,
            Loss::HalfSquaredError
            | Loss::MeanSquaredError
            | Loss::MeanAbsoluteError
            | Loss::MeanAbsolutePercentageError
            | Loss::MeanSquaredLogarithmicError
            | Loss::Huber { .. }
            | Loss::LogCosh
            | Loss::BinaryCrossentropy
            | Loss::BinaryFocalCrossentropy { .. }
            | Loss::Poisson
            | Loss::Hinge
            | Loss::SquaredHinge
            | Loss::Dice
            | Loss::Tversky { .. } => false,
        }
    }

    /// Whether it is a cross-entropy that may be told to read logits.
    fn reads_logits(self) -> bool {
        matches!(
            self,
            Loss::BinaryCrossentropy
                | Loss::BinaryFocalCrossentropy { .. }
                | Loss::CategoricalCrossentropy
                | Loss::CategoricalFocalCrossentropy { .. }
                | Loss::SparseCategoricalCrossentropy
        )
    }
}

/// Probabilities as shares of their row's sum.
#[track_caller]
fn shares_of_rows(y: &Tensor, form: Form) -> Tensor {
    let p = match form {
        Form::Logits => y.softmax(),
        Form::Probabilities => y.clone(),
    };
    let (rows, columns) = y.shape().rows_and_columns();
    let table = p.reshape([rows, columns]);
    let sums = table.sum_over(1).reshape([rows, 1]);
    table.div(&sums).reshape(y.shape())
}

/// 1 − A/(A + α·Σ t·(1 − y) + β·Σ y·(1 − t) + ε) with A = Σ y·t over all rows of the batch, for each of its rows.
fn overlap(
    y: &Tensor,
    target: &Tensor,
    cursor: &Tensor,
    (alpha, beta): (f32, f32),
    epsilon: f32,
) -> Tensor {
    let (rows, columns) = y.shape().rows_and_columns();
    let mean = |values: Tensor| values.batch_mean(cursor);
    let rest = |values: &Tensor| values.neg().offset(1.0);
    let missed = mean(target.mul(&rest(y))).scale(alpha);
    let alarms = mean(y.mul(&rest(target))).scale(beta);
    // Means, not sums, so that ε is a share of the batch too.
    let mistakes = missed
        .add(&alarms)
        .offset(epsilon / (rows * columns) as f32);
    let loss = mistakes.div(&mean(y.mul(target)).add(&mistakes));
    let zeros = y.graph().constant([rows], &vec![0.0; rows]);
    loss.reshape([1]).add(&zeros)
}
