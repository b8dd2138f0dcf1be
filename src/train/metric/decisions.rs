//! Metrics of positive answers above thresholds: precision, recall, and the four counts themselves.

use serde::{Deserialize, Serialize};

use crate::op::Select;

use super::counter::{Positives, in_range};
use super::{Counter, Metric, MetricSetting, Outcomes, Tally, among_outputs};

/// When an answer is positive: above a threshold, or among the row's largest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// A value is reported for each; default 0.5, with `top_k` none at all.
    pub thresholds: Vec<f32>,
    /// Only the k largest outputs of a row can be positive answers; default none.
    pub top_k: Option<usize>,
    /// The one class that counts; by default all do, together.
    pub class_id: Option<usize>,
}

impl Default for Decision {
    fn default() -> Self {
        0.5.into()
    }
}

impl Decision {
    /// Among the `k` largest outputs of its row, whatever its size, as Keras has it where no threshold is given.
    pub fn top_k(k: usize) -> Self {
        Decision {
            thresholds: vec![-1e10],
            top_k: Some(k),
            class_id: None,
        }
    }
}

/// Above each of these, for a value of each.
impl From<Vec<f32>> for Decision {
    fn from(thresholds: Vec<f32>) -> Self {
        Decision {
            thresholds,
            top_k: None,
            class_id: None,
        }
    }
}

/// Above each of these, for a value of each.
impl<const N: usize> From<[f32; N]> for Decision {
    fn from(thresholds: [f32; N]) -> Self {
        thresholds.to_vec().into()
    }
}

/// Above this.
impl From<f32> for Decision {
    fn from(threshold: f32) -> Self {
        [threshold].into()
    }
}

#[expect(non_snake_case, reason = "metrics are spelled as Keras' classes are")]
impl Metric {
    /// TP/(TP + FP): the share of positive answers that are right. 0 where there is no positive answer. A threshold alone
    /// stands for a [`Decision`]: `Metric::Precision(0.5)`.
    pub fn Precision(decision: impl Into<Decision>) -> Metric {
        decided("precision", decision, Outcomes::precision)
    }

    /// TP/(TP + FN): the share of positives that are found. 0 where there are none.
    pub fn Recall(decision: impl Into<Decision>) -> Metric {
        decided("recall", decision, Outcomes::recall)
    }

    /// TN/(TN + FP): the share of negatives that are left alone. Not in Keras.
    pub fn Specificity(decision: impl Into<Decision>) -> Metric {
        decided("specificity", decision, Outcomes::specificity)
    }

    /// Positives that were found, at each of these thresholds: `Metric::TruePositives([0.5])`.
    pub fn TruePositives(thresholds: impl IntoIterator<Item = f32>) -> Metric {
        counted("true_positives", thresholds, true, |outcomes| outcomes.tp)
    }

    /// Negatives that were taken for positive, at each of these thresholds.
    pub fn FalsePositives(thresholds: impl IntoIterator<Item = f32>) -> Metric {
        counted("false_positives", thresholds, false, |outcomes| outcomes.fp)
    }

    /// Negatives that were left alone, at each of these thresholds.
    pub fn TrueNegatives(thresholds: impl IntoIterator<Item = f32>) -> Metric {
        counted("true_negatives", thresholds, true, |outcomes| outcomes.tn)
    }

    /// Positives that were missed, at each of these thresholds.
    pub fn FalseNegatives(thresholds: impl IntoIterator<Item = f32>) -> Metric {
        counted("false_negatives", thresholds, false, |outcomes| {
            outcomes.fn_
        })
    }
}

/// A value of the outcomes at each threshold of a decision.
fn decided(
    name: &'static str,
    decision: impl Into<Decision>,
    value: fn(Outcomes) -> f64,
) -> Metric {
    let decision = decision.into();
    at_thresholds(name, decision.clone(), true, decision, value)
}

/// A value of the outcomes at each threshold, of all classes together.
fn counted(
    name: &'static str,
    thresholds: impl IntoIterator<Item = f32>,
    rises: bool,
    value: fn(Outcomes) -> f64,
) -> Metric {
    let thresholds: Vec<f32> = thresholds.into_iter().collect();
    at_thresholds(name, thresholds.clone(), rises, thresholds.into(), value)
}

/// The same, where model files keep `settings` of it.
fn at_thresholds(
    name: &'static str,
    settings: impl Serialize + Send + Sync + 'static,
    rises: bool,
    decision: Decision,
    value: fn(Outcomes) -> f64,
) -> Metric {
    let thresholds = decision.thresholds.clone();
    let counter = move |_: &_, setting: &MetricSetting| {
        let select = if let Some(k) = decision.top_k {
            among_outputs("top_k", k, setting)?;
            Select::Top(k)
        } else {
            in_range(&decision.thresholds)?;
            Select::All
        };
        let positives = Positives {
            select,
            class_id: decision.class_id,
            ..Positives::above(decision.thresholds.clone())
        };
        Counter::positives(positives, setting)
    };
    let values = move |_: &_, tally: &Tally| {
        let outcomes = tally.thresholds()?.all();
        let mut sorted = thresholds.clone();
        sorted.sort_by(f32::total_cmp);
        let rank = |threshold: &f32| sorted.partition_point(|other| other < threshold);
        let value = |threshold| value(outcomes[rank(threshold)]);
        Ok(thresholds.iter().map(value).collect())
    };
    Metric::composed(name, settings, rises, counter, values)
}
