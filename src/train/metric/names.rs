//! Metrics by Keras' names, with Keras' defaults.

use crate::nn::plain;
use crate::train::loss::Loss;
use crate::{Error, Result};

use super::{Average, Classes, FBeta, Metric, R2};

/// Names that Keras knows a metric by beside its own.
const SHORT: &[(&str, &str)] = &[
    ("acc", "accuracy"),
    ("mse", "mean_squared_error"),
    ("rmse", "root_mean_squared_error"),
    ("mae", "mean_absolute_error"),
    ("mape", "mean_absolute_percentage_error"),
    ("msle", "mean_squared_logarithmic_error"),
    ("log_cosh_error", "logcosh"),
    ("log_cosh", "logcosh"),
    ("mean_iou", "mean_io_u"),
];

impl Metric {
    /// Every metric that has a setting for all it needs, with Keras' defaults; losses aside, which are metrics too.
    pub fn all() -> Vec<Metric> {
        let half = || vec![0.5];
        vec![
            Metric::Accuracy,
            Metric::BinaryAccuracy(0.5),
            Metric::CategoricalAccuracy,
            Metric::SparseCategoricalAccuracy,
            Metric::TopKCategoricalAccuracy(5),
            Metric::SparseTopKCategoricalAccuracy(5),
            Metric::EqualAccuracy,
            Metric::MeanSquaredError,
            Metric::RootMeanSquaredError,
            Metric::MeanAbsoluteError,
            Metric::MeanAbsolutePercentageError,
            Metric::MeanSquaredLogarithmicError,
            Metric::LogCoshError,
            Metric::CosineSimilarity,
            Metric::KlDivergence,
            Metric::Poisson,
            Metric::Hinge,
            Metric::SquaredHinge,
            Metric::CategoricalHinge,
            Metric::PearsonCorrelation,
            Metric::ConcordanceCorrelation,
            Metric::precision(),
            Metric::recall(),
            Metric::TruePositives(half()),
            Metric::FalsePositives(half()),
            Metric::TrueNegatives(half()),
            Metric::FalseNegatives(half()),
            Metric::Specificity(super::Decision::default()),
            Metric::f1_score(Average::None),
            Metric::FBetaScore(FBeta::default()),
            Metric::auc(),
            Metric::MeanIou(Classes::default()),
            Metric::CohenKappa(Classes::default()),
            Metric::MatthewsCorrelation(Classes::default()),
            Metric::BalancedAccuracy(Classes::default()),
            Metric::r2_score(),
            Metric::ExplainedVariance(R2::default()),
        ]
    }

    /// The metric of that name with Keras' defaults: the name of Keras' function (`mean_squared_error`), of its class
    /// (`MeanSquaredError`) or a short one (`mse`, `acc`); a [loss](Loss::from_name) that is no metric by that name is one too.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are. Points on a curve, such as
    /// [`Metric::PrecisionAtRecall`], have no default.
    ///
    /// ```
    /// use kiln::train::{Loss, Metric};
    ///
    /// assert_eq!(Metric::by_name("mae")?, Metric::MeanAbsoluteError);
    /// assert_eq!(Metric::by_name("AUC")?, Metric::auc());
    /// assert_eq!(Metric::by_name("binary_crossentropy")?, Loss::BinaryCrossentropy.into());
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn by_name(name: &str) -> Result<Metric> {
        let wanted = plain(name);
        let short = SHORT.iter().find(|(short, _)| plain(short) == wanted);
        let wanted = short.map_or(wanted, |(_, name)| plain(name));
        let mut all = Self::all();
        if let Some(found) = all.iter().position(|known| plain(known.name()) == wanted) {
            return Ok(all.swap_remove(found));
        }
        let loss = Loss::from_name(name).map(Metric::from);
        // That there is no such loss says nothing to who asks for a metric.
        loss.map_err(|_loss| Error::NotFound {
            what: "metric",
            name: name.into(),
            known: all.iter().map(|known| known.name().into()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_metric_and_losses_are_metrics() {
        for metric in Metric::all() {
            assert_eq!(Metric::by_name(metric.name()).ok(), Some(metric));
        }
        for (short, name) in SHORT {
            assert_eq!(Metric::by_name(short).unwrap().name(), *name);
        }
        for loss in Loss::all() {
            assert!(Metric::by_name(loss.name()).is_ok(), "{}", loss.name());
        }
        let unknown = Metric::by_name("accurcy").unwrap_err().to_string();
        assert!(
            unknown.contains("metric") && unknown.contains("accuracy"),
            "{unknown}"
        );
    }
}
