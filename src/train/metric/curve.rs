//! Areas under curves and points on them, from counts at ascending thresholds. Formulas as Keras 3 has them.

use serde::{Deserialize, Serialize};

use crate::train::loss::between;
use crate::{Error, Result};

use super::counter::Positives;
use super::tally::ratio;
use super::{Counter, Metric, MetricSetting, Outcomes, Tally, ThresholdTally};

/// Which curve an area lies under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Curve {
    /// Recall over the share of false alarms: the receiver operating characteristic.
    #[default]
    #[serde(rename = "ROC")]
    Roc,
    /// Precision over recall.
    #[serde(rename = "PR")]
    Pr,
}

/// How the area between two thresholds is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Summation {
    /// A trapezoid; under precision over recall the interpolation of Davis and Goadrich (2006).
    #[default]
    Interpolation,
    /// The lower of both heights.
    Minoring,
    /// The greater of both heights.
    Majoring,
}

/// The settings of an area under a curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auc {
    /// Thresholds, evenly spread from 0 to 1, default 200. As in Keras, predictions below 0 count as 0 and those above 1 as 1,
    /// every prediction exceeds the lowest threshold, and none exceeds the highest.
    pub num_thresholds: usize,
    /// Which curve; default ROC.
    pub curve: Curve,
    /// How areas are taken; default by interpolation.
    pub summation: Summation,
    /// An area for each output column, averaged; by default all columns make one curve.
    pub multi_label: bool,
    /// The weights of the columns in that average; by default all weigh the same.
    pub label_weights: Option<Vec<f32>>,
    /// Whether outputs are logits; default false.
    pub from_logits: bool,
}

impl Default for Auc {
    fn default() -> Self {
        Curve::Roc.into()
    }
}

impl From<Curve> for Auc {
    fn from(curve: Curve) -> Self {
        Auc {
            num_thresholds: 200,
            curve,
            summation: Summation::Interpolation,
            multi_label: false,
            label_weights: None,
            from_logits: false,
        }
    }
}

/// A point on a curve: the best of one quantity where another is at least `at`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// What the other quantity must reach, between 0 and 1.
    pub at: f32,
    /// Thresholds, evenly spread from 0 to 1; default 200.
    pub num_thresholds: usize,
    /// The one class that counts; by default all do, together.
    pub class_id: Option<usize>,
}

/// Where the other quantity is at least this.
impl From<f32> for Point {
    fn from(at: f32) -> Self {
        Point {
            at,
            num_thresholds: 200,
            class_id: None,
        }
    }
}

#[expect(non_snake_case, reason = "metrics are spelled as Keras' classes are")]
impl Metric {
    /// The area under the curve of recall over false alarms (ROC), or of precision over recall. A curve alone stands for the
    /// settings: `Metric::Auc(Curve::Roc)`.
    pub fn Auc(auc: impl Into<Auc>) -> Metric {
        let values = |auc: &Auc, tally: &Tally| Ok(vec![area(auc, tally.thresholds()?)]);
        Metric::composed("auc", auc.into(), true, area_counter, values)
    }

    /// The greatest sensitivity (recall) among thresholds at which the specificity is at least this.
    pub fn SensitivityAtSpecificity(point: impl Into<Point>) -> Metric {
        best_point(
            "sensitivity_at_specificity",
            point,
            Outcomes::specificity,
            Outcomes::recall,
        )
    }

    /// The greatest specificity among thresholds at which the sensitivity is at least this.
    pub fn SpecificityAtSensitivity(point: impl Into<Point>) -> Metric {
        best_point(
            "specificity_at_sensitivity",
            point,
            Outcomes::recall,
            Outcomes::specificity,
        )
    }

    /// The greatest precision among thresholds at which the recall is at least this.
    pub fn PrecisionAtRecall(point: impl Into<Point>) -> Metric {
        best_point(
            "precision_at_recall",
            point,
            Outcomes::recall,
            Outcomes::precision,
        )
    }

    /// The greatest recall among thresholds at which the precision is at least this.
    pub fn RecallAtPrecision(point: impl Into<Point>) -> Metric {
        best_point(
            "recall_at_precision",
            point,
            Outcomes::precision,
            Outcomes::recall,
        )
    }
}

fn area_counter(auc: &Auc, setting: &MetricSetting) -> Result<Counter> {
    check_count(auc.num_thresholds, 2)?;
    let weights = auc.label_weights.as_ref().map(Vec::len);
    if weights.is_some() && (!auc.multi_label || weights != Some(setting.columns)) {
        let message = format!(
            "must be one for each of the {} outputs of a multi_label area, got {}",
            setting.columns,
            weights.unwrap_or(0)
        );
        return Err(Error::argument("label_weights", message));
    }
    let positives = Positives {
        logits: auc.from_logits,
        ..Positives::above(evenly(auc.num_thresholds))
    };
    Counter::positives(positives, setting)
}

/// The greatest `wanted` where `given` is at least that of the point; 0 where it never is.
fn best_point(
    name: &'static str,
    point: impl Into<Point>,
    given: fn(Outcomes) -> f64,
    wanted: fn(Outcomes) -> f64,
) -> Metric {
    let counter = |point: &Point, setting: &MetricSetting| {
        between("at", point.at, 0.0, 1.0)?;
        check_count(point.num_thresholds, 1)?;
        let positives = Positives {
            class_id: point.class_id,
            ..Positives::above(evenly(point.num_thresholds))
        };
        Counter::positives(positives, setting)
    };
    let values = move |point: &Point, tally: &Tally| {
        let outcomes = from_all(tally.thresholds()?.all()).into_iter();
        let reached = outcomes.filter(|&outcomes| reaches(given(outcomes), point.at));
        Ok(vec![reached.map(wanted).fold(0.0, f64::max)])
    };
    Metric::composed(name, point.into(), true, counter, values)
}

/// Whether a quotient of counts or weights is at least `at`. A decimal of up to six digits is what the user wrote, and not the
/// f32 beside it: 4 of 5 reaches 0.8, and 79 999 999 of 10^8 does not. One of more digits was computed in f32, such as 1.0 / 3.0,
/// which 1 of 3 reaches, and is compared in it.
fn reaches(quotient: f64, at: f32) -> bool {
    let text = at.to_string();
    let digits = text.trim_start_matches(['0', '.']).len();
    match text.parse::<f64>() {
        // Weights add up in f64, so that a share may be off by its rounding.
        Ok(decimal) if digits <= 6 => quotient >= decimal - 1e-12,
        _ => quotient as f32 >= at,
    }
}

/// Thresholds that a metric takes, at most: each has counts on the device.
const MAX_THRESHOLDS: usize = 1 << 24;

fn check_count(thresholds: usize, least: usize) -> Result<()> {
    if (least..=MAX_THRESHOLDS).contains(&thresholds) {
        return Ok(());
    }
    let message = if thresholds < least {
        format!("must be at least {least}, got {thresholds}")
    } else {
        format!("must be at most {MAX_THRESHOLDS}, got {thresholds}")
    };
    Err(Error::argument("num_thresholds", message))
}

/// Thresholds evenly spread from 0 to 1; one alone is one half. Keras clips predictions to [0, 1] and counts those of 0 as above
/// the lowest threshold, so that every prediction exceeds it, and none the highest.
fn evenly(count: usize) -> Vec<f32> {
    if count == 1 {
        return vec![0.5];
    }
    let at = |i: usize| match i {
        0 => f32::MIN,
        _ if i + 1 == count => f32::INFINITY,
        _ => (i as f64 / (count - 1) as f64) as f32,
    };
    (0..count).map(at).collect()
}

/// Counts at thresholds that are [evenly] spread, of which every prediction exceeds the lowest: one of −∞ too, which exceeds no
/// number.
fn from_all(mut counts: Vec<Outcomes>) -> Vec<Outcomes> {
    if let [lowest, _, ..] = &mut counts[..] {
        *lowest = Outcomes {
            tp: lowest.tp + lowest.fn_,
            fp: lowest.fp + lowest.tn,
            tn: 0.0,
            fn_: 0.0,
        };
    }
    counts
}

fn area(auc: &Auc, tally: &ThresholdTally) -> f64 {
    if !auc.multi_label {
        return area_of(auc, &from_all(tally.all()));
    }
    let columns = &tally.columns;
    let areas = columns
        .iter()
        .map(|column| area_of(auc, &from_all(column.clone())));
    match &auc.label_weights {
        None => areas.sum::<f64>() / columns.len() as f64,
        Some(weights) => {
            let weights = weights.iter().map(|&weight| f64::from(weight));
            let sum: f64 = areas.zip(weights.clone()).map(|(area, w)| area * w).sum();
            ratio(sum, weights.sum())
        }
    }
}

fn area_of(auc: &Auc, counts: &[Outcomes]) -> f64 {
    let steps = counts.windows(2).map(|pair| (pair[0], pair[1]));
    if auc.curve == Curve::Pr && auc.summation == Summation::Interpolation {
        return steps.map(|(low, high)| interpolated(low, high)).sum();
    }
    let point = |counts: Outcomes| match auc.curve {
        Curve::Roc => (ratio(counts.fp, counts.fp + counts.tn), counts.recall()),
        Curve::Pr => (counts.recall(), counts.precision()),
    };
    let step = |(low, high)| {
        let ((x_low, y_low), (x_high, y_high)) = (point(low), point(high));
        let height = match auc.summation {
            Summation::Interpolation => (y_low + y_high) / 2.0,
            Summation::Minoring => y_low.min(y_high),
            Summation::Majoring => y_low.max(y_high),
        };
        (x_low - x_high) * height
    };
    steps.map(step).sum()
}

/// The area under precision over recall between two thresholds, where true and false positives grow in proportion.
fn interpolated(low: Outcomes, high: Outcomes) -> f64 {
    let (p_low, p_high) = (low.tp + low.fp, high.tp + high.fp);
    let dtp = low.tp - high.tp;
    let slope = ratio(dtp, (p_low - p_high).max(0.0));
    let intercept = high.tp - slope * p_high;
    let growth = if p_low > 0.0 && p_high > 0.0 {
        p_low / p_high
    } else {
        1.0
    };
    ratio(
        slope * (dtp + intercept * growth.ln()),
        (high.tp + high.fn_).max(0.0),
    )
}
