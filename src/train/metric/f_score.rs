//! F-scores: precision and recall in one number.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::op::Select;

use super::counter::Positives;
use super::{Counter, Metric, MetricSetting, Outcomes, Tally, ThresholdTally};

/// What Keras adds to the divisors of F-scores.
const EPSILON: f64 = 1e-7;

/// How values of classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Averaging {
    /// Not at all: a value of each class.
    #[default]
    None,
    /// From the counts of all classes together.
    Micro,
    /// The mean over classes.
    Macro,
    /// The mean over classes, each weighing as much as it occurs.
    Weighted,
}

/// The settings of an F-score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FBeta {
    /// How classes are averaged; default: a value of each.
    pub average: Averaging,
    /// How many times as much recall weighs as precision; default 1.
    pub beta: f32,
    /// Above it an output is a positive answer; by default the largest of each row is.
    pub threshold: Option<f32>,
}

impl Default for FBeta {
    fn default() -> Self {
        Averaging::None.into()
    }
}

impl From<Averaging> for FBeta {
    fn from(average: Averaging) -> Self {
        FBeta {
            average,
            beta: 1.0,
            threshold: None,
        }
    }
}

#[expect(non_snake_case, reason = "metrics are spelled as Keras' classes are")]
impl Metric {
    /// F₁ = 2·P·R/(P + R) of precision P and recall R: [`Metric::FBetaScore`] with β = 1. An average alone stands for its
    /// settings: `Metric::F1Score(Averaging::Macro)`.
    pub fn F1Score(settings: impl Into<FBeta>) -> Metric {
        scored("f1_score", settings)
    }

    /// Fᵦ = (1 + β²)·P·R/(β²·P + R) of precision P and recall R, of each class or averaged over classes.
    pub fn FBetaScore(settings: impl Into<FBeta>) -> Metric {
        scored("fbeta_score", settings)
    }
}

/// [`Metric::FBetaScore`] under one of two names.
fn scored(name: &'static str, settings: impl Into<FBeta>) -> Metric {
    let counter = |settings: &FBeta, setting: &MetricSetting| {
        let beta = settings.beta;
        if !(beta > 0.0 && beta.is_finite()) {
            let message = format!("must be above 0, got {beta}");
            return Err(Error::argument("beta", message));
        }
        match settings.threshold {
            Some(threshold) => Counter::thresholds(&[threshold], setting),
            None => {
                let positives = Positives {
                    select: Select::Largest { floor: 1e-9 },
                    ..Positives::above(vec![0.5])
                };
                Counter::positives(positives, setting)
            }
        }
    };
    let values = |settings: &FBeta, tally: &Tally| Ok(f_score(*settings, tally.thresholds()?));
    Metric::composed(name, settings.into(), true, counter, values)
}

fn f_score(settings: FBeta, tally: &ThresholdTally) -> Vec<f64> {
    let square = f64::from(settings.beta) * f64::from(settings.beta);
    let score = |counts: Outcomes| {
        let precision = counts.tp / (counts.tp + counts.fp + EPSILON);
        let recall = counts.tp / (counts.tp + counts.fn_ + EPSILON);
        (1.0 + square) * precision * recall / (square * precision + recall + EPSILON)
    };
    let classes: Vec<Outcomes> = tally.columns.iter().map(|class| class[0]).collect();
    let scores = || classes.iter().map(|&counts| score(counts));
    match settings.average {
        Averaging::None => scores().collect(),
        Averaging::Micro => vec![score(tally.all()[0])],
        Averaging::Macro => vec![scores().sum::<f64>() / classes.len() as f64],
        Averaging::Weighted => {
            let weights = classes.iter().map(|counts| counts.tp + counts.fn_);
            let sum: f64 = scores()
                .zip(weights.clone())
                .map(|(score, w)| score * w)
                .sum();
            vec![sum / (weights.sum::<f64>() + EPSILON)]
        }
    }
}
