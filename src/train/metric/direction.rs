//! Which way a metric gets better.

use super::Metric;

impl Metric {
    /// Whether it gets better as it rises, as accuracies do; errors and losses get better as they fall.
    ///
    /// [`Mode::Auto`](crate::train::Mode::Auto) goes by this.
    pub fn rises(&self) -> bool {
        // Every metric by name: a new one does not compile until it says.
        match self {
            Metric::Accuracy
            | Metric::BinaryAccuracy(_)
            | Metric::CategoricalAccuracy
            | Metric::SparseCategoricalAccuracy
            | Metric::TopKCategoricalAccuracy(_)
            | Metric::SparseTopKCategoricalAccuracy(_)
            | Metric::EqualAccuracy
            | Metric::CosineSimilarity
            | Metric::PearsonCorrelation
            | Metric::ConcordanceCorrelation
            | Metric::Precision(_)
            | Metric::Recall(_)
            | Metric::TruePositives(_)
            | Metric::TrueNegatives(_)
            | Metric::Specificity(_)
            | Metric::F1Score(_)
            | Metric::FBetaScore(_)
            | Metric::Auc(_)
            | Metric::SensitivityAtSpecificity(_)
            | Metric::SpecificityAtSensitivity(_)
            | Metric::PrecisionAtRecall(_)
            | Metric::RecallAtPrecision(_)
            | Metric::MeanIou(_)
            | Metric::CohenKappa(_)
            | Metric::MatthewsCorrelation(_)
            | Metric::BalancedAccuracy(_)
            | Metric::R2Score(_)
            | Metric::ExplainedVariance(_) => true,
            Metric::MeanSquaredError
            | Metric::RootMeanSquaredError
            | Metric::MeanAbsoluteError
            | Metric::MeanAbsolutePercentageError
            | Metric::MeanSquaredLogarithmicError
            | Metric::LogCoshError
            | Metric::KlDivergence
            | Metric::Poisson
            | Metric::Hinge
            | Metric::SquaredHinge
            | Metric::CategoricalHinge
            | Metric::Loss(_)
            | Metric::FalsePositives(_)
            | Metric::FalseNegatives(_) => false,
            Metric::Named { metric, .. } => metric.rises(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Classes, Decision, Point, R2};
    use super::*;
    use crate::train::{Average, FBeta, Loss};

    #[test]
    fn every_metric_has_the_direction_that_it_gets_better_in() {
        let rising = [
            Metric::Accuracy,
            Metric::BinaryAccuracy(0.5),
            Metric::CategoricalAccuracy,
            Metric::SparseCategoricalAccuracy,
            Metric::TopKCategoricalAccuracy(5),
            Metric::SparseTopKCategoricalAccuracy(5),
            Metric::EqualAccuracy,
            Metric::CosineSimilarity,
            Metric::PearsonCorrelation,
            Metric::ConcordanceCorrelation,
            Metric::precision(),
            Metric::recall(),
            Metric::TruePositives(vec![0.5]),
            Metric::TrueNegatives(vec![0.5]),
            Metric::Specificity(Decision::default()),
            Metric::f1_score(Average::Macro),
            Metric::FBetaScore(FBeta::default()),
            Metric::auc(),
            Metric::SensitivityAtSpecificity(Point::at(0.5)),
            Metric::SpecificityAtSensitivity(Point::at(0.5)),
            Metric::PrecisionAtRecall(Point::at(0.5)),
            Metric::RecallAtPrecision(Point::at(0.5)),
            Metric::MeanIou(Classes::of(2)),
            Metric::CohenKappa(Classes::of(2)),
            Metric::MatthewsCorrelation(Classes::of(2)),
            Metric::BalancedAccuracy(Classes::of(2)),
            Metric::r2_score(),
            Metric::ExplainedVariance(R2::default()),
        ];
        let falling = [
            Metric::MeanSquaredError,
            Metric::RootMeanSquaredError,
            Metric::MeanAbsoluteError,
            Metric::MeanAbsolutePercentageError,
            Metric::MeanSquaredLogarithmicError,
            Metric::LogCoshError,
            Metric::KlDivergence,
            Metric::Poisson,
            Metric::Hinge,
            Metric::SquaredHinge,
            Metric::CategoricalHinge,
            Metric::FalsePositives(vec![0.5]),
            Metric::FalseNegatives(vec![0.5]),
        ];
        for (metrics, rises) in [(&rising[..], true), (&falling[..], false)] {
            for metric in metrics {
                assert_eq!(metric.rises(), rises, "{metric}");
                assert_eq!(metric.clone().named("loss or not").rises(), rises);
            }
        }
        // The loss of that name is the metric with the other sign.
        assert!(!Metric::from(Loss::CosineSimilarity).rises());
        // None is left out above: those that have a name of their own are as many.
        let own_names = include_str!("mod.rs")
            .lines()
            .filter(|line| line.trim().starts_with("Metric::") && line.contains("=> \""))
            .count();
        assert_eq!(rising.len() + falling.len(), own_names);
    }
}
