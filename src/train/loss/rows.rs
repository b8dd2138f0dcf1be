//! What a model's step records of a loss: a number for each row whose mean is the reduced loss.

use crate::nn::Activation;
use crate::op::{Form, OneHot};
use crate::{DType, Error, Tensor};

use super::{Loss, LossSettings, Reads, Reduction, Span, Takes};

/// What keeps a count of kept rows away from 0, as in Keras.
pub(super) const EPSILON: f32 = 1e-7;

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
            _ => target.reshape(dims),
        };
        let numbers = rows(&values.reshape(dims), &target);
        numbers.sum_over(1).scale(1.0 / self.positions as f32)
    }
}

/// Which rows a reduction is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The rows of a batch that is computed in this many parts of one size, of which they are one.
    Part(u32),
    /// All rows of a data set, whatever batches they are computed in.
    All,
}

/// Weighted rows by the mean of their weights; zeros where no row weighs anything.
pub(super) fn over(weighted: &Tensor, weight: &Tensor) -> Tensor {
    let least = weight.graph().constant([1], &[f32::MIN_POSITIVE]);
    weighted.div(&weight.reshape([1]).maximum(&least))
}

/// Labels as shares of classes, a share of each spread over all, and zeros for rows of the ignored class.
#[track_caller]
pub(super) fn shares_of_labels(
    labels: &Tensor,
    classes: usize,
    smoothing: f32,
    ignored: Option<i32>,
) -> Tensor {
    let op = OneHot {
        classes,
        smoothing,
        ignored: ignored.map(i32::cast_unsigned),
    };
    labels.graph().apply_one(op, &[labels])
}

/// A one for each row, and a zero for each with the label that is left out.
#[track_caller]
pub(super) fn kept(ignored: i32, y: &Tensor, labels: &Tensor) -> Tensor {
    let (_, classes) = y.shape().rows_and_columns();
    shares_of_labels(labels, classes, 0.0, Some(ignored)).sum_over(-1)
}

/// The share of each row's positions that have another label than the one that is left out.
pub(crate) fn kept_of(ignored: i32, output: &Output, labels: &Tensor) -> Tensor {
    output.by_position(&output.after, labels, |y, labels| kept(ignored, y, labels))
}

impl Loss {
    /// The values that the loss reads, and their form.
    fn read<'a>(&self, output: &'a Output) -> (&'a Tensor, Form) {
        match self.settings.reads {
            Reads::Auto if self.function.logits_of() == Some(output.activation) => {
                (&output.before, Form::Logits)
            }
            Reads::Auto | Reads::Probabilities => (&output.after, Form::Probabilities),
            Reads::Logits => (&output.after, Form::Logits),
        }
    }

    /// As [`rows`](Self::rows), but 0 where a label is the one that is left out, whatever the function makes of it.
    pub(crate) fn rows_without(
        &self,
        ignored: i32,
        output: &Output,
        labels: &Tensor,
        cursor: &Tensor,
    ) -> Tensor {
        if self.function.span() == Span::Position {
            let (values, form) = self.read(output);
            return output.by_position(values, labels, |y, labels| {
                let kept = kept(ignored, y, labels);
                kept.choose(&self.rows_of(y, form, labels), &kept)
            });
        }
        let kept = kept_of(ignored, output, labels);
        let rows = self.rows(output, labels, cursor).mul(&kept);
        kept.choose(&rows, &kept)
    }

    /// What the mean over a batch's own rows, which `cursor` counts, makes the mean loss of: the loss of each row of a model's
    /// output. A function of the batch has its number in every row. Where rows are left out, those that are kept weigh more, but
    /// where another [`reduction`](Self::reduced) sees to them. A number that is not one for each row is an error of the graph.
    pub(crate) fn rows(&self, output: &Output, target: &Tensor, cursor: &Tensor) -> Tensor {
        let (values, form) = self.read(output);
        let batch = values.shape().dims().first().copied().unwrap_or(1);
        let rows = match self.function.span() {
            Span::Batch => self.told(values, &[batch], || {
                self.function.batch(values, target, cursor)
            }),
            Span::Row => self.rows_of(values, form, target),
            Span::Position => {
                output.by_position(values, target, |y, target| self.rows_of(y, form, target))
            }
        };
        if self.settings.ignore_class.is_none() || !self.settings.reduction.is_mean() {
            return rows;
        }
        let kept = self.kept_of(output, target);
        // ε for the sum of the batch's labels, as Keras has it, is so much less for their mean.
        let epsilon = EPSILON / target.shape().elements() as f32;
        rows.div(&kept.batch_mean(cursor).offset(epsilon))
    }

    /// The share of each row that counts.
    fn kept_of(&self, output: &Output, target: &Tensor) -> Tensor {
        output.by_position(&output.after, target, |y, target| {
            self.kept(y, target).unwrap_or_else(|| target.clone())
        })
    }

    /// Weighted rows whose mean over a batch's own rows is the reduced loss of the rows that `scope` names. For all rows of
    /// a data set, in evaluation, the weights carry the divisor: see [`Model::prepare_evaluation`](crate::train::Model).
    pub(crate) fn reduced(
        &self,
        rows: &Tensor,
        weights: Option<&Tensor>,
        (output, target): (&Output, &Tensor),
        cursor: &Tensor,
        scope: Scope,
    ) -> Tensor {
        let weighted = weights.map_or(rows.clone(), |weights| rows.mul(weights));
        let (graph, room) = (rows.graph(), rows.shape().elements() as usize);
        match (self.settings.reduction, scope) {
            (Reduction::Sum, Scope::Part(parts)) => {
                // The mean of a one and zeros is 1/n.
                let first: Vec<f32> = (0..room).map(|r| f32::from(u8::from(r == 0))).collect();
                let share = graph.constant([room], &first).batch_mean(cursor);
                weighted.div(&share.scale(1.0 / parts as f32))
            }
            (Reduction::MeanWithSampleWeight, _) if self.settings.ignore_class.is_some() => {
                let kept = self.kept_of(output, target);
                let all = weights.map_or(kept.clone(), |weights| kept.mul(weights));
                over(&weighted, &all.batch_mean(cursor))
            }
            (Reduction::MeanWithSampleWeight, Scope::Part(_)) => match weights {
                Some(weights) => over(&weighted, &weights.batch_mean(cursor)),
                None => weighted,
            },
            _ => weighted,
        }
    }

    /// The function's numbers, of targets that are smoothed and without the ignored class.
    #[track_caller]
    pub(super) fn rows_of(&self, y: &Tensor, form: Form, target: &Tensor) -> Tensor {
        let shape = y.shape();
        let target = self.prepared(target, shape.rows_and_columns().1);
        let kept = shape.rank().saturating_sub(1);
        self.told(y, &shape.dims()[..kept], || {
            self.function.rows(y, &target, form)
        })
    }

    /// What the function records, which must be of this shape. One that is not is refused with the line that recorded its last
    /// op.
    fn told(&self, y: &Tensor, shape: &[usize], record: impl FnOnce() -> Tensor) -> Tensor {
        let graph = y.graph();
        let before = graph.lock().records.len();
        let rows = graph.naming(self.name(), record);
        if !graph.owns(&rows) || graph.check().is_err() {
            return rows;
        }
        if rows.shape().dims() == shape && rows.dtype() == DType::F32 {
            return rows;
        }
        let told = |dims: &[usize]| {
            let rest = dims.iter().skip(1).map(usize::to_string);
            let batch = dims.first().map(|_| "batch".to_string());
            let dims: Vec<String> = batch.into_iter().chain(rest).collect();
            format!("[{}]", dims.join(", "))
        };
        let message = format!(
            "must give a number for each row of {}, {}, got {} {}; `sum_over(-1)` adds up what each column has",
            told(y.shape().dims()),
            told(shape),
            rows.dtype(),
            told(rows.shape().dims())
        );
        let node = rows.id().node;
        let recorded = graph.lock().origins[node].location;
        match recorded.filter(|_| node >= before).or(self.location) {
            Some(location) => graph.refuse_at(self.name(), message, location),
            None => {
                let message = format!("`{}` {message}", self.name());
                graph.refuse_with(Error::argument("loss", message));
                rows
            }
        }
    }

    /// The targets as the function takes them: smoothed, and labels as shares where labels alone do not tell.
    #[track_caller]
    fn prepared(&self, target: &Tensor, columns: usize) -> Tensor {
        let LossSettings {
            label_smoothing,
            ignore_class,
            ..
        } = self.settings;
        let smoothing = f64::from(label_smoothing);
        if smoothing == 0.0 && ignore_class.is_none() {
            return target.clone();
        }
        if self.takes() == Takes::Labels {
            return shares_of_labels(target, columns, label_smoothing, ignore_class);
        }
        let classes = match self.function.logits_of() {
            Some(Activation::Sigmoid) => 2,
            _ => columns,
        };
        let own = target.scale((1.0 - smoothing) as f32);
        own.offset((smoothing / classes as f64) as f32)
    }
}
