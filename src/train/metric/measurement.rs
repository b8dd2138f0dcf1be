//! Which numbers of a batch a metric needs: a number for each row, or counts and sums of a whole epoch.

use crate::nn::Activation;
use crate::op::{Confusion, Correlation, Feed, Hits, Moments, Says, Select, ThresholdCounts};
use crate::train::loss::{Loss, Output, Reduction, Takes};
use crate::{DType, Error, Initial, Result, Role, Tensor, TensorType, op};

use super::gauges::{Setting, TallyInputs};
use super::settings::{Classes, Decision, Point, below, between_0_and_1};
use super::tally::{ColumnMoments, Tally, ThresholdTally};
use super::{ConfusionMatrix, Metric, curve};

/// What a metric has the device compute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Measurement {
    /// A number for each row, summed into the ring.
    Mean(Row),
    /// Counts or sums of the epoch.
    Tally(TallySpec),
}

/// A number for each row, of the values before or after the last activation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Accuracy { kind: op::Accuracy, before: bool },
    Hits { kind: Hits, before: bool },
    Correlation(Correlation),
    Loss(Loss),
}

impl Row {
    pub fn of(&self, output: &Output, target: &Tensor, cursor: &Tensor) -> Tensor {
        let y = |before: bool| {
            if before {
                &output.before
            } else {
                &output.after
            }
        };
        let apart = |y: &Tensor, rows: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
            output.by_position(y, target, rows)
        };
        match *self {
            // Shares of all columns, wherever these stand.
            Row::Accuracy {
                kind: kind @ op::Accuracy::Binary { .. },
                before,
            } => y(before).accuracy(target, kind),
            Row::Hits {
                kind: Hits::Equal,
                before,
            } => y(before).hits(target, Hits::Equal),
            Row::Accuracy { kind, before } => apart(y(before), &|y, t| y.accuracy(t, kind)),
            Row::Hits { kind, before } => apart(y(before), &|y, t| y.hits(t, kind)),
            Row::Correlation(kind) => apart(&output.after, &|y, t| y.correlation(t, kind)),
            Row::Loss(ref loss) => loss.rows(output, target, cursor),
        }
    }
}

/// Counts or sums of an epoch. Equal ones are kept once.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TallySpec {
    Thresholds {
        op: ThresholdCounts,
        /// Ascending.
        thresholds: Vec<f32>,
        before: bool,
    },
    Confusion {
        op: Confusion,
        before: bool,
    },
    Moments,
}

impl Metric {
    /// Whether it is computed from a mean of rows.
    pub(super) fn is_mean(&self) -> bool {
        let others = matches!(
            self,
            Metric::Accuracy
                | Metric::BinaryAccuracy(_)
                | Metric::CategoricalAccuracy
                | Metric::SparseCategoricalAccuracy
                | Metric::TopKCategoricalAccuracy(_)
                | Metric::SparseTopKCategoricalAccuracy(_)
                | Metric::EqualAccuracy
                | Metric::PearsonCorrelation
                | Metric::ConcordanceCorrelation
        );
        others || self.loss().is_some()
    }

    /// Whether it is computed from a confusion matrix.
    pub(super) fn is_by_classes(&self) -> bool {
        self.classes().is_some()
    }

    /// Whether it is computed from counts by thresholds.
    pub(super) fn is_by_thresholds(&self) -> bool {
        let by_moments = matches!(self, Metric::R2Score(_) | Metric::ExplainedVariance(_));
        !self.is_mean() && !self.is_by_classes() && !by_moments
    }

    fn classes(&self) -> Option<Classes> {
        match *self {
            Metric::MeanIou(classes)
            | Metric::CohenKappa(classes)
            | Metric::MatthewsCorrelation(classes)
            | Metric::BalancedAccuracy(classes) => Some(classes),
            _ => None,
        }
    }

    /// What it has the device compute of outputs and targets as `setting` tells.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] that names the field: settings out of range, a class that there is not, targets that it cannot
    /// read.
    pub(super) fn measurement(&self, setting: &Setting) -> Result<Measurement> {
        let metric = self.plain();
        if let Some(classes) = metric.classes() {
            return Ok(Measurement::Tally(by_classes(classes, setting)?));
        }
        if let Some(loss) = metric.loss() {
            return Ok(Measurement::Mean(self.of_loss(loss, setting)?));
        }
        match metric {
            Metric::Accuracy if setting.labels => {
                Metric::SparseCategoricalAccuracy.measurement(setting)
            }
            Metric::Accuracy if setting.columns == 1 => {
                Metric::BinaryAccuracy(0.5).measurement(setting)
            }
            Metric::Accuracy => Metric::CategoricalAccuracy.measurement(setting),
            &Metric::BinaryAccuracy(threshold) => {
                between_0_and_1("threshold", threshold)?;
                self.reads(setting, false)?;
                let before = setting.activation == Activation::Sigmoid;
                let threshold = if before { logit(threshold) } else { threshold };
                let kind = op::Accuracy::Binary { threshold };
                Ok(Measurement::Mean(Row::Accuracy { kind, before }))
            }
            Metric::CategoricalAccuracy => self.of_largest(setting, op::Accuracy::Categorical),
            Metric::SparseCategoricalAccuracy => self.of_largest(setting, op::Accuracy::Sparse),
            &Metric::TopKCategoricalAccuracy(k) => self.of_top(setting, k, false),
            &Metric::SparseTopKCategoricalAccuracy(k) => self.of_top(setting, k, true),
            Metric::EqualAccuracy => {
                self.reads(setting, false)?;
                Ok(Measurement::Mean(Row::Hits {
                    kind: Hits::Equal,
                    before: false,
                }))
            }
            Metric::PearsonCorrelation | Metric::ConcordanceCorrelation => {
                self.reads(setting, false)?;
                let kind = match metric {
                    Metric::PearsonCorrelation => Correlation::Pearson,
                    _ => Correlation::Concordance,
                };
                Ok(Measurement::Mean(Row::Correlation(kind)))
            }
            Metric::R2Score(_) | Metric::ExplainedVariance(_) => {
                self.reads(setting, false)?;
                Ok(Measurement::Tally(TallySpec::Moments))
            }
            _ => Ok(Measurement::Tally(metric.by_thresholds(setting)?)),
        }
    }

    /// Softmax keeps the order, so that its inputs tell as much.
    fn of_largest(&self, setting: &Setting, kind: op::Accuracy) -> Result<Measurement> {
        self.reads(setting, kind == op::Accuracy::Sparse)?;
        let before = setting.activation == Activation::Softmax;
        Ok(Measurement::Mean(Row::Accuracy { kind, before }))
    }

    fn of_top(&self, setting: &Setting, k: usize, labels: bool) -> Result<Measurement> {
        self.reads(setting, labels)?;
        if !(1..=setting.columns).contains(&k) {
            let message = format!(
                "must be between 1 and the {} outputs, got {k}",
                setting.columns
            );
            return Err(Error::argument("k", message));
        }
        Ok(Measurement::Mean(Row::Hits {
            kind: Hits::Top(k),
            before: setting.activation == Activation::Softmax,
        }))
    }

    fn of_loss(&self, loss: Loss, setting: &Setting) -> Result<Row> {
        loss.validate()?;
        if loss.ignore_class.is_some() {
            let message = "must be left alone in a metric: its mean is over all rows";
            return Err(Error::argument("ignore_class", message));
        }
        if loss.reduction != Reduction::default() {
            let message = "must be left alone in a metric: it is a mean over rows";
            return Err(Error::argument("reduction", message));
        }
        self.reads(setting, loss.takes() == Takes::Labels)?;
        Ok(Row::Loss(loss))
    }

    /// Refuses targets of the other form.
    fn reads(&self, setting: &Setting, labels: bool) -> Result<()> {
        if labels == setting.labels {
            return Ok(());
        }
        let form = |labels: bool| if labels { "integer labels" } else { "numbers" };
        Err(Error::argument(
            "metrics",
            format!(
                "{} reads {}, but {} takes {} for targets; `Accuracy` takes what the loss takes",
                self.name(),
                form(labels),
                setting.loss,
                form(setting.labels)
            ),
        ))
    }

    fn by_thresholds(&self, setting: &Setting) -> Result<TallySpec> {
        let mut logits = false;
        let mut select = Select::All;
        let mut column = None;
        let mut thresholds = match self {
            Metric::Precision(decision)
            | Metric::Recall(decision)
            | Metric::Specificity(decision) => {
                let Decision {
                    thresholds,
                    top_k,
                    class_id,
                } = decision;
                if let Some(k) = *top_k {
                    if !(1..=setting.columns).contains(&k) {
                        let message = format!(
                            "must be between 1 and the {} outputs, got {k}",
                            setting.columns
                        );
                        return Err(Error::argument("top_k", message));
                    }
                    select = Select::Top(k);
                }
                column = *class_id;
                if top_k.is_none() {
                    in_range(thresholds)?;
                }
                thresholds.clone()
            }
            Metric::TruePositives(thresholds)
            | Metric::FalsePositives(thresholds)
            | Metric::TrueNegatives(thresholds)
            | Metric::FalseNegatives(thresholds) => {
                in_range(thresholds)?;
                thresholds.clone()
            }
            Metric::F1Score(settings) | Metric::FBetaScore(settings) => {
                if !(settings.beta > 0.0 && settings.beta.is_finite()) {
                    let message = format!("must be above 0, got {}", settings.beta);
                    return Err(Error::argument("beta", message));
                }
                match settings.threshold {
                    Some(threshold) => {
                        in_range(&[threshold])?;
                        vec![threshold]
                    }
                    None => {
                        select = Select::Largest { floor: 1e-9 };
                        vec![0.5]
                    }
                }
            }
            Metric::Auc(auc) => {
                if auc.num_thresholds < 2 {
                    let message = format!("must be at least 2, got {}", auc.num_thresholds);
                    return Err(Error::argument("num_thresholds", message));
                }
                let weights = auc.label_weights.as_ref().map(Vec::len);
                if weights.is_some() && (!auc.multi_label || weights != Some(setting.columns)) {
                    let message = format!(
                        "must be one for each of the {} outputs of a multi_label area, got {}",
                        setting.columns,
                        weights.unwrap_or(0)
                    );
                    return Err(Error::argument("label_weights", message));
                }
                logits = auc.from_logits;
                curve::thresholds(auc.num_thresholds)
            }
            Metric::SensitivityAtSpecificity(point)
            | Metric::SpecificityAtSensitivity(point)
            | Metric::PrecisionAtRecall(point)
            | Metric::RecallAtPrecision(point) => {
                let &Point {
                    at,
                    num_thresholds,
                    class_id,
                } = point;
                between_0_and_1("at", at)?;
                if num_thresholds == 0 {
                    return Err(Error::argument(
                        "num_thresholds",
                        "must be at least 1, got 0",
                    ));
                }
                column = class_id;
                curve::evenly(num_thresholds)
            }
            _ => Vec::new(),
        };
        if let Some(class) = column {
            below("class_id", class, setting.columns, "outputs")?;
        }
        thresholds.sort_by(f32::total_cmp);
        // Behind a sigmoid or a softmax the inputs are compared, which the step has at hand: a sigmoid keeps the order, so
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
            feed: Feed::default(),
            softmax: softmax && !matches!(select, Select::Largest { .. }),
            select,
            column,
        };
        Ok(TallySpec::Thresholds {
            op,
            thresholds,
            before,
        })
    }
}

/// ln(t/(1 − t)); the ends of the numbers outside of (0, 1).
fn logit(threshold: f32) -> f32 {
    let threshold = f64::from(threshold);
    match threshold {
        t if t <= 0.0 => f32::MIN,
        t if t >= 1.0 => f32::INFINITY,
        t => (t / (1.0 - t)).ln() as f32,
    }
}

fn in_range(thresholds: &[f32]) -> Result<()> {
    if thresholds.is_empty() {
        return Err(Error::argument(
            "thresholds",
            "must be at least one, got none",
        ));
    }
    thresholds
        .iter()
        .try_for_each(|&threshold| between_0_and_1("thresholds", threshold))
}

fn by_classes(settings: Classes, setting: &Setting) -> Result<TallySpec> {
    let (says, classes) = match (settings.num_classes, setting.columns) {
        (Some(0), _) => return Err(Error::argument("num_classes", "must be at least 1, got 0")),
        (Some(classes), 1) => (Says::Class, classes),
        (None, 1) if setting.activation == Activation::Sigmoid => (Says::Above(0.0), 2),
        (None, 1) => (Says::Above(0.5), 2),
        (Some(classes), columns) if classes != columns => {
            let message = format!("must be that of the outputs, {columns}, got {classes}");
            return Err(Error::argument("num_classes", message));
        }
        (_, columns) => (Says::Largest, columns),
    };
    if let Some(class) = settings.ignore_class {
        below("ignore_class", class as usize, classes, "classes")?;
    }
    let softmax = setting.activation == Activation::Softmax;
    Ok(TallySpec::Confusion {
        before: says == Says::Above(0.0) || (says == Says::Largest && softmax),
        op: Confusion {
            feed: Feed::default(),
            says,
            classes,
            ignored: settings.ignore_class,
        },
    })
}

impl TallySpec {
    /// Numbers that an epoch's tally has, for so many output columns.
    pub(super) fn cells(&self, columns: usize) -> usize {
        match self {
            TallySpec::Thresholds { op, thresholds, .. } => op.cells(columns, thresholds.len()),
            TallySpec::Confusion { op, .. } => op.classes * op.classes,
            TallySpec::Moments => columns * op::MOMENTS,
        }
    }

    /// Adds a batch to the tally, a variable of that name.
    pub(super) fn record(
        &self,
        name: &str,
        slots: usize,
        output: &Output,
        supply: &TallyInputs,
    ) -> Tensor {
        let (batch, columns) = output.after.shape().rows_and_columns();
        let (each, columns) = (output.positions, columns / output.positions);
        let graph = supply.target.graph();
        let kind = TensorType::f32([slots, self.cells(columns)]);
        let tally = graph.variable_as(Role::Progress, name, kind, Initial::Zeros);
        let feed = Feed {
            gather: supply.indices.is_some(),
            weighted: supply.weights.is_some(),
            each,
        };
        // Positions are rows of their own, with the weight of theirs.
        let rows = |x: &Tensor| match (each, x.dtype()) {
            (1, _) => x.clone(),
            (_, DType::U32) => x.reshape([batch * each]),
            _ => x.reshape([batch * each, columns]),
        };
        let weights = supply.weights.as_ref().map(|weights| match each {
            1 => weights.clone(),
            _ => {
                let ones = graph.constant([batch, each], &vec![1.0; batch * each]);
                let table = ones.mul(&weights.reshape([batch, 1]));
                table.reshape([batch * each])
            }
        });
        let (logits, after) = (rows(&output.before), rows(&output.after));
        let target = rows(&supply.target);
        let y = |before: bool| {
            if before { &logits } else { &after }
        };
        let operands = |before: bool| -> Vec<&Tensor> {
            let optional = [&supply.indices, &weights].into_iter().flatten();
            [&tally, &supply.cursor, y(before), &target]
                .into_iter()
                .chain(optional)
                .collect()
        };
        match self {
            TallySpec::Thresholds {
                op,
                thresholds,
                before,
            } => {
                let thresholds = graph.constant([thresholds.len()], thresholds);
                let mut operands = operands(*before);
                operands.push(&thresholds);
                graph.apply_one(ThresholdCounts { feed, ..*op }, &operands)
            }
            TallySpec::Confusion { op, before } => {
                graph.apply_one(Confusion { feed, ..*op }, &operands(*before))
            }
            TallySpec::Moments => graph.apply_one(Moments { feed }, &operands(false)),
        }
    }

    /// An epoch's tally from its cells.
    pub(super) fn read(&self, cells: &[f64]) -> Tally {
        match self {
            TallySpec::Thresholds { thresholds, .. } => {
                Tally::Thresholds(ThresholdTally::new(thresholds.len(), cells.to_vec()))
            }
            TallySpec::Confusion { op, .. } => {
                Tally::Confusion(ConfusionMatrix::new(op.classes, cells.to_vec()))
            }
            TallySpec::Moments => Tally::Moments(ColumnMoments::read(cells)),
        }
    }
}
