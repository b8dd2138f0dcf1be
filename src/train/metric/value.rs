//! The formulas: what an epoch's tally makes of a metric, in f64.

use crate::{Error, Result};

use super::settings::{Average, ClassAggregation, FBeta, R2};
use super::tally::{ColumnMoments, Counts, Tally, ThresholdTally};
use super::{ConfusionMatrix, Metric, curve};

/// What Keras adds to the divisors of F-scores.
const EPSILON: f64 = 1e-7;

impl Metric {
    /// The metric's values over a tally: one, or one for each threshold, class or column where it does not average them.
    ///
    /// NaN where a prediction, a target or a weight was one.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where the tally is of another kind than the metric needs.
    pub fn values(&self, tally: &Tally) -> Result<Vec<f64>> {
        let values = match (self.plain(), tally) {
            (metric, Tally::Mean { sum, weight }) if metric.is_mean() => {
                vec![metric.of_mean(sum / weight)]
            }
            (metric, Tally::Thresholds(tally)) if metric.is_by_thresholds() => {
                lost(metric.of_thresholds(tally), tally.is_lost())
            }
            (metric, Tally::Confusion(matrix)) if metric.is_by_classes() => {
                lost(vec![metric.of_matrix(matrix)], matrix.is_lost())
            }
            (Metric::R2Score(r2), Tally::Moments(columns)) => {
                of_columns(*r2, columns, |column| column.ee)
            }
            (Metric::ExplainedVariance(r2), Tally::Moments(columns)) => {
                of_columns(*r2, columns, ColumnMoments::error_spread)
            }
            _ => {
                let message = format!("{} is not computed from {tally:?}", self.name());
                return Err(Error::argument("tally", message));
            }
        };
        Ok(values)
    }

    /// The one value of a metric over a tally, or the first.
    ///
    /// # Errors
    ///
    /// Those of [`Metric::values`].
    pub fn value(&self, tally: &Tally) -> Result<f64> {
        Ok(self.values(tally)?.first().copied().unwrap_or(f64::NAN))
    }

    /// From a mean of rows.
    fn of_mean(&self, mean: f64) -> f64 {
        match self {
            Metric::RootMeanSquaredError => mean.sqrt(),
            Metric::CosineSimilarity => -mean,
            _ => mean,
        }
    }

    fn of_thresholds(&self, tally: &ThresholdTally) -> Vec<f64> {
        let each = |thresholds: &[f32], value: fn(Counts) -> f64| {
            let counts = tally.all();
            let mut sorted = thresholds.to_vec();
            sorted.sort_by(f32::total_cmp);
            let rank = |threshold: &f32| sorted.partition_point(|other| other < threshold);
            thresholds
                .iter()
                .map(|threshold| value(counts[rank(threshold)]))
                .collect()
        };
        match self {
            Metric::Precision(decision) => each(&decision.thresholds, Counts::precision),
            Metric::Recall(decision) => each(&decision.thresholds, Counts::recall),
            Metric::Specificity(decision) => each(&decision.thresholds, Counts::specificity),
            Metric::TruePositives(thresholds) => each(thresholds, |counts| counts.tp),
            Metric::FalsePositives(thresholds) => each(thresholds, |counts| counts.fp),
            Metric::TrueNegatives(thresholds) => each(thresholds, |counts| counts.tn),
            Metric::FalseNegatives(thresholds) => each(thresholds, |counts| counts.fn_),
            Metric::Auc(auc) => vec![curve::area(auc, tally)],
            Metric::SensitivityAtSpecificity(point) => {
                vec![curve::best(
                    &tally.all(),
                    point.at,
                    Counts::specificity,
                    Counts::recall,
                )]
            }
            Metric::SpecificityAtSensitivity(point) => {
                vec![curve::best(
                    &tally.all(),
                    point.at,
                    Counts::recall,
                    Counts::specificity,
                )]
            }
            Metric::PrecisionAtRecall(point) => {
                vec![curve::best(
                    &tally.all(),
                    point.at,
                    Counts::recall,
                    Counts::precision,
                )]
            }
            Metric::RecallAtPrecision(point) => {
                vec![curve::best(
                    &tally.all(),
                    point.at,
                    Counts::precision,
                    Counts::recall,
                )]
            }
            Metric::F1Score(settings) | Metric::FBetaScore(settings) => f_score(*settings, tally),
            _ => Vec::new(),
        }
    }

    fn of_matrix(&self, matrix: &ConfusionMatrix) -> f64 {
        match self {
            Metric::MeanIou(_) => matrix.mean_iou(),
            Metric::CohenKappa(_) => matrix.cohen_kappa(),
            Metric::MatthewsCorrelation(_) => matrix.matthews_correlation(),
            _ => matrix.balanced_accuracy(),
        }
    }
}

fn lost(values: Vec<f64>, lost: bool) -> Vec<f64> {
    let of = |value| if lost { f64::NAN } else { value };
    values.into_iter().map(of).collect()
}

fn f_score(settings: FBeta, tally: &ThresholdTally) -> Vec<f64> {
    let square = f64::from(settings.beta) * f64::from(settings.beta);
    let score = |counts: Counts| {
        let precision = counts.tp / (counts.tp + counts.fp + EPSILON);
        let recall = counts.tp / (counts.tp + counts.fn_ + EPSILON);
        (1.0 + square) * precision * recall / (square * precision + recall + EPSILON)
    };
    let classes: Vec<Counts> = (0..tally.columns())
        .map(|class| tally.column(class)[0])
        .collect();
    let scores = || classes.iter().map(|&counts| score(counts));
    match settings.average {
        Average::None => scores().collect(),
        Average::Micro => vec![score(tally.all()[0])],
        Average::Macro => vec![scores().sum::<f64>() / classes.len() as f64],
        Average::Weighted => {
            let weights = classes.iter().map(|counts| counts.tp + counts.fn_);
            let sum: f64 = scores()
                .zip(weights.clone())
                .map(|(score, w)| score * w)
                .sum();
            vec![sum / (weights.sum::<f64>() + EPSILON)]
        }
    }
}

/// 1 − residual/spread of each column, averaged. A column whose targets do not vary has 0 unless it is met exactly.
fn of_columns(r2: R2, columns: &[ColumnMoments], residual: fn(&ColumnMoments) -> f64) -> Vec<f64> {
    let score = |column: &ColumnMoments| {
        let raw = 1.0 - residual(column) / column.spread();
        if raw.is_infinite() { 0.0 } else { raw }
    };
    let scores: Vec<f64> = columns.iter().map(score).collect();
    let values = match r2.class_aggregation {
        ClassAggregation::None => scores,
        ClassAggregation::UniformAverage => {
            vec![scores.iter().sum::<f64>() / scores.len() as f64]
        }
        ClassAggregation::VarianceWeightedAverage => {
            let spreads = || columns.iter().map(ColumnMoments::spread);
            let sum: f64 = scores
                .iter()
                .zip(spreads())
                .map(|(score, s)| score * s)
                .sum();
            vec![sum / spreads().sum::<f64>()]
        }
    };
    let (p, n) = (
        r2.num_regressors as f64,
        columns.first().map_or(0.0, |c| c.rows),
    );
    // Keras leaves it unadjusted where there are too few rows.
    if r2.num_regressors == 0 || n - p - 1.0 <= 0.0 {
        return values;
    }
    let adjusted = |value| 1.0 - (1.0 - value) * (n - 1.0) / (n - p - 1.0);
    values.into_iter().map(adjusted).collect()
}
