//! What a metric has the device count: the mean of a number for each row, or counts and sums of a whole epoch.

use crate::graph::Role;
use crate::nn::Activation;
use crate::op::{self, Confusion, Feed, Moments, Says, Select, Tallied, ThresholdCounts};
use crate::train::loss::{Loss, Output, Reduction, Takes, between};
use crate::{DType, Error, Initial, Result, Tensor, TensorType};

use super::below;
use super::{Classes, ColumnMoments, ConfusionMatrix, MetricSetting, Tally, ThresholdTally};

/// What a metric has the device count. Equal counters are kept once.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter(pub(super) Counted);

/// The kinds of counters.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Counted {
    /// A number for each row, summed into the ring.
    Mean(Loss),
    /// Counts or sums of the epoch.
    Epoch(EpochCounter),
}

/// Counts or sums of an epoch, in a variable that a call a step adds to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EpochCounter {
    count: EpochCount,
    /// Whether they are of the values before the last activation.
    before: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum EpochCount {
    /// By these thresholds, ascending.
    Thresholds(ThresholdCounts, Vec<f32>),
    Confusion(Confusion),
    Moments,
}

/// Positive answers that are to be counted.
pub(super) struct Positives {
    /// An answer is positive above the threshold; counts are kept for each.
    pub thresholds: Vec<f32>,
    /// Which outputs of a row can be positive answers.
    pub select: Select,
    /// The one class that counts; all together without one.
    pub class_id: Option<usize>,
    /// Whether outputs are logits, and thresholds are of their sigmoids.
    pub logits: bool,
}

impl Positives {
    /// Answers above any of the thresholds, of all classes together.
    pub fn above(thresholds: Vec<f32>) -> Self {
        Positives {
            thresholds,
            select: Select::All,
            class_id: None,
            logits: false,
        }
    }
}

impl Counter {
    /// The mean over rows of a function, as [`Tally::Mean`].
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for settings out of range, for an ignored class and for a reduction.
    pub fn mean(rows: impl Into<Loss>) -> Result<Self> {
        let loss = rows.into();
        loss.validate()?;
        if loss.settings.ignore_class.is_some() {
            let message = "must be left alone in a metric: its mean is over all rows";
            return Err(Error::argument("ignore_class", message));
        }
        if loss.settings.reduction != Reduction::default() {
            let message = "must be left alone in a metric: it is a mean over rows";
            return Err(Error::argument("reduction", message));
        }
        Ok(Counter(Counted::Mean(loss)))
    }

    /// Right and wrong answers on both sides of these thresholds, which are between 0 and 1, as [`Tally::Thresholds`].
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for a threshold out of range, and for none.
    pub fn thresholds(thresholds: &[f32], setting: &MetricSetting) -> Result<Self> {
        in_range(thresholds)?;
        Self::positives(Positives::above(thresholds.to_vec()), setting)
    }

    /// Right and wrong answers.
    pub(super) fn positives(positives: Positives, setting: &MetricSetting) -> Result<Self> {
        let Positives {
            mut thresholds,
            mut select,
            class_id,
            logits,
        } = positives;
        if let Some(class) = class_id {
            below("class_id", class, setting.columns, "outputs")?;
        }
        thresholds.sort_by(f32::total_cmp);
        // With a sigmoid or a softmax its inputs are compared, which the step has at hand: a sigmoid keeps the order, so
        // that the thresholds' logits will do.
        let softmax = !logits && setting.activation == Activation::Softmax;
        let sigmoid = !logits && setting.activation == Activation::Sigmoid;
        let before = softmax || sigmoid;
        if let (Select::Largest { floor }, true) = (&mut select, before) {
            *floor = -1.0;
        } else if sigmoid || logits {
            thresholds
                .iter_mut()
                .for_each(|threshold| *threshold = logit(*threshold));
        }
        let op = ThresholdCounts {
            softmax: softmax && !matches!(select, Select::Largest { .. }),
            select,
            column: class_id,
            ignored: setting.ignored.map(i32::cast_unsigned),
        };
        let count = EpochCount::Thresholds(op, thresholds);
        Ok(Counter(Counted::Epoch(EpochCounter { count, before })))
    }

    /// Rows by the class that was wanted and the class that was said, as [`Tally::Confusion`].
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] for another number of classes than that of the outputs, and for an ignored class that there is
    /// not.
    pub fn classes(settings: Classes, setting: &MetricSetting) -> Result<Self> {
        let (says, classes) = match (settings.num_classes, setting.columns) {
            (Some(0), _) => {
                return Err(Error::argument("num_classes", "must be at least 1, got 0"));
            }
            (Some(classes), 1) => (Says::Class, classes),
            (None, 1) if setting.activation == Activation::Sigmoid => (Says::Above(0.0), 2),
            (None, 1) => (Says::Above(0.5), 2),
            (Some(classes), columns) if classes != columns => {
                let message = format!("must be that of the outputs, {columns}, got {classes}");
                return Err(Error::argument("num_classes", message));
            }
            (_, columns) => (Says::Largest, columns),
        };
        let known = |class: &i32| usize::try_from(*class).is_ok_and(|class| class < classes);
        if let Some(class) = settings
            .ignore_class
            .filter(|class| !known(class) && !setting.labels)
        {
            let message = format!(
                "must be one of {classes} classes where targets are not labels, got {class}"
            );
            return Err(Error::argument("ignore_class", message));
        }
        let softmax = setting.activation == Activation::Softmax;
        let before = says == Says::Above(0.0) || (says == Says::Largest && softmax);
        let count = EpochCount::Confusion(Confusion {
            says,
            classes,
            ignored: settings
                .ignore_class
                .or(setting.ignored)
                .map(i32::cast_unsigned),
        });
        Ok(Counter(Counted::Epoch(EpochCounter { count, before })))
    }

    /// Sums of targets, errors and their squares in each column, as [`Tally::Moments`]. For targets that are numbers.
    pub fn moments() -> Self {
        Counter(Counted::Epoch(EpochCounter {
            count: EpochCount::Moments,
            before: false,
        }))
    }

    /// What the targets must be.
    pub(super) fn takes(&self) -> Takes {
        match &self.0 {
            Counted::Mean(loss) => loss.takes(),
            Counted::Epoch(counter) if counter.count == EpochCount::Moments => Takes::Numbers,
            Counted::Epoch(_) => Takes::Any,
        }
    }
}

/// ln(t/(1 − t)); the ends of the numbers outside of (0, 1).
pub(super) fn logit(threshold: f32) -> f32 {
    let threshold = f64::from(threshold);
    match threshold {
        t if t <= 0.0 => f32::MIN,
        t if t >= 1.0 => f32::INFINITY,
        t => (t / (1.0 - t)).ln() as f32,
    }
}

/// Refuses thresholds that are no shares, and none at all.
pub(super) fn in_range(thresholds: &[f32]) -> Result<()> {
    if thresholds.is_empty() {
        let message = "must be at least one, got none";
        return Err(Error::argument("thresholds", message));
    }
    thresholds
        .iter()
        .try_for_each(|&threshold| between("thresholds", threshold, 0.0, 1.0))
}

/// Where a batch's targets and weights come from.
#[derive(Debug, Clone)]
pub(crate) struct TallyInputs {
    /// The clock's cursor.
    pub cursor: Tensor,
    /// The batch's targets, or with `indices` a data set's.
    pub target: Tensor,
    /// The rows of the data set that make the batch.
    pub indices: Option<Tensor>,
    /// A weight for each row of `target`.
    pub weights: Option<Tensor>,
}

impl EpochCounter {
    /// The numbers that an epoch's tally has, for this many output columns.
    pub fn cells(&self, columns: usize) -> usize {
        match &self.count {
            EpochCount::Thresholds(op, thresholds) => op.buckets(columns, thresholds.len()),
            EpochCount::Confusion(op) => op.classes.saturating_mul(op.classes),
            EpochCount::Moments => columns.saturating_mul(op::MOMENTS),
        }
    }

    /// Whether rows with this label do not count.
    pub fn leaves_out(&self, label: i32) -> bool {
        match &self.count {
            EpochCount::Confusion(op) => op.ignored == Some(label.cast_unsigned()),
            EpochCount::Thresholds(op, _) => op.ignored == Some(label.cast_unsigned()),
            EpochCount::Moments => false,
        }
    }

    /// What is counted, and how much of it there is, for a message.
    pub fn told(&self, columns: usize) -> String {
        let cells = self.cells(columns);
        match &self.count {
            EpochCount::Thresholds(_, at) => {
                format!("{cells} counts, by {} thresholds", at.len())
            }
            EpochCount::Confusion(op) => {
                let classes = op.classes;
                format!("a confusion matrix of {classes} by {classes} classes, {cells} cells")
            }
            EpochCount::Moments => format!("{cells} sums of {columns} columns"),
        }
    }

    pub fn is_confusion(&self) -> bool {
        matches!(self.count, EpochCount::Confusion(_))
    }

    /// Adds a batch to the tally, a variable of that name.
    pub fn record(
        &self,
        name: &str,
        slots: usize,
        output: &Output,
        inputs: &TallyInputs,
    ) -> Tensor {
        let (batch, columns) = output.after.shape().rows_and_columns();
        let (each, columns) = (output.positions, columns / output.positions);
        let graph = inputs.target.graph();
        let kind = TensorType::f32([2 * slots, self.cells(columns)]);
        let tally = graph.variable_as(Role::Progress, name, kind, Initial::Zeros);
        let feed = Feed {
            gather: inputs.indices.is_some(),
            weighted: inputs.weights.is_some(),
            each,
        };
        // Positions are rows of their own, with the weight of theirs.
        let rows = |x: &Tensor| match (each, x.dtype()) {
            (1, _) => x.clone(),
            (_, DType::U32) => x.reshape([batch * each]),
            _ => x.reshape([batch * each, columns]),
        };
        let weights = inputs.weights.as_ref().map(|weights| match each {
            1 => weights.clone(),
            _ => {
                let ones = graph.constant([batch, each], &vec![1.0; batch * each]);
                let table = ones.mul(&weights.reshape([batch, 1]));
                table.reshape([batch * each])
            }
        });
        let y = if self.before {
            &output.before
        } else {
            &output.after
        };
        let (y, target) = (rows(y), rows(&inputs.target));
        let thresholds = match &self.count {
            EpochCount::Thresholds(_, at) => Some(graph.constant([at.len()], at)),
            _ => None,
        };
        let optional = [&inputs.indices, &weights, &thresholds].into_iter();
        let operands = [&tally, &inputs.cursor, &y, &target].into_iter();
        let operands: Vec<&Tensor> = operands.chain(optional.flatten()).collect();
        match self.count {
            EpochCount::Thresholds(count, _) => graph.apply_one(Tallied { feed, count }, &operands),
            EpochCount::Confusion(count) => graph.apply_one(Tallied { feed, count }, &operands),
            EpochCount::Moments => {
                let count = Moments;
                graph.apply_one(Tallied { feed, count }, &operands)
            }
        }
    }

    /// An epoch's tally from its cells.
    pub fn read(&self, cells: &[f64]) -> Tally {
        match &self.count {
            EpochCount::Thresholds(_, thresholds) => {
                Tally::Thresholds(ThresholdTally::new(thresholds.len(), cells))
            }
            EpochCount::Confusion(op) => Tally::Confusion(ConfusionMatrix::new(op.classes, cells)),
            EpochCount::Moments => Tally::Moments(ColumnMoments::read(cells)),
        }
    }
}
