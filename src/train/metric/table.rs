//! Metrics by name, with Keras' defaults, and in model files.

use serde::de::{self, Deserializer};
use serde::ser::{self, Serializer};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::nn::Config;
use crate::train::loss::Loss;
use crate::train::table::{self, Listed, Listing, Tagged};

use super::{Auc, Classes, Decision, FBeta, Metric, Point, R2};

/// The entry of a metric with settings of a type, made from these by default.
macro_rules! with {
    ($make:path, $settings:ty = $default:expr $(, $short:literal)*) => {
        Listing {
            example: || $make($default),
            read: Some(|config| config.read::<$settings>().map($make)),
            short: &[$($short),*],
            has_default: true,
        }
    };
}

/// The entry of a metric whose settings have no default.
macro_rules! without_default {
    ($make:path, $settings:ty = $example:expr) => {
        Listing {
            has_default: false,
            ..with!($make, $settings = $example)
        }
    };
}

impl Listed for Metric {
    const WHAT: &'static str = "metric";
    const TABLE: &'static [Listing<Self>] = &[
        Listing::new(|| Metric::Accuracy, &["acc"]),
        with!(Metric::BinaryAccuracy, f32 = 0.5),
        Listing::new(|| Metric::CategoricalAccuracy, &[]),
        Listing::new(|| Metric::SparseCategoricalAccuracy, &[]),
        with!(Metric::TopKCategoricalAccuracy, usize = 5),
        with!(Metric::SparseTopKCategoricalAccuracy, usize = 5),
        Listing::new(|| Metric::EqualAccuracy, &[]),
        Listing::new(|| Metric::MeanSquaredError, &["mse"]),
        Listing::new(|| Metric::RootMeanSquaredError, &["rmse"]),
        Listing::new(|| Metric::MeanAbsoluteError, &["mae"]),
        Listing::new(|| Metric::MeanAbsolutePercentageError, &["mape"]),
        Listing::new(|| Metric::MeanSquaredLogarithmicError, &["msle"]),
        Listing::new(|| Metric::LogCoshError, &["log_cosh_error", "log_cosh"]),
        Listing::new(|| Metric::CosineSimilarity, &[]),
        Listing::new(|| Metric::KlDivergence, &[]),
        Listing::new(|| Metric::Poisson, &[]),
        Listing::new(|| Metric::Hinge, &[]),
        Listing::new(|| Metric::SquaredHinge, &[]),
        Listing::new(|| Metric::CategoricalHinge, &[]),
        Listing::new(|| Metric::PearsonCorrelation, &[]),
        Listing::new(|| Metric::ConcordanceCorrelation, &[]),
        with!(Metric::Precision, Decision = Decision::default()),
        with!(Metric::Recall, Decision = Decision::default()),
        with!(Metric::TruePositives, Vec<f32> = vec![0.5]),
        with!(Metric::FalsePositives, Vec<f32> = vec![0.5]),
        with!(Metric::TrueNegatives, Vec<f32> = vec![0.5]),
        with!(Metric::FalseNegatives, Vec<f32> = vec![0.5]),
        with!(Metric::Specificity, Decision = Decision::default()),
        with!(Metric::F1Score, FBeta = FBeta::default()),
        with!(Metric::FBetaScore, FBeta = FBeta::default()),
        with!(Metric::Auc, Auc = Auc::default()),
        with!(Metric::MeanIou, Classes = Classes::default(), "mean_iou"),
        with!(Metric::CohenKappa, Classes = Classes::default()),
        with!(Metric::MatthewsCorrelation, Classes = Classes::default()),
        with!(Metric::BalancedAccuracy, Classes = Classes::default()),
        with!(Metric::R2Score, R2 = R2::default()),
        with!(Metric::ExplainedVariance, R2 = R2::default()),
        without_default!(Metric::SensitivityAtSpecificity, Point = Point::from(0.5)),
        without_default!(Metric::SpecificityAtSensitivity, Point = Point::from(0.5)),
        without_default!(Metric::PrecisionAtRecall, Point = Point::from(0.5)),
        without_default!(Metric::RecallAtPrecision, Point = Point::from(0.5)),
        without_default!(Metric::from, Loss = Loss::MeanSquaredError),
    ];

    fn listed_name(&self) -> &str {
        self.listed.unwrap_or(self.function.name())
    }
}

impl Metric {
    /// Every metric that has a setting for all it needs, with Keras' defaults; losses aside, which are metrics too.
    pub fn all() -> Vec<Metric> {
        let complete = Self::TABLE.iter().filter(|entry| entry.has_default);
        complete.map(|entry| (entry.example)()).collect()
    }

    /// The metric of that name with Keras' defaults: the name of Keras' function (`mean_squared_error`), of its class
    /// (`MeanSquaredError`) or a short one (`mse`, `acc`); a [loss](Loss::from_name) that is no metric by that name is one
    /// too.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound) with the names that there are. Points on a curve, such as
    /// [`Metric::PrecisionAtRecall`], have no default.
    ///
    /// ```
    /// use kiln::train::{Curve, Loss, Metric};
    ///
    /// assert_eq!(Metric::from_name("mae")?, Metric::MeanAbsoluteError);
    /// assert_eq!(Metric::from_name("AUC")?, Metric::Auc(Curve::Roc));
    /// assert_eq!(Metric::from_name("binary_crossentropy")?, Loss::BinaryCrossentropy.into());
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn from_name(name: &str) -> Result<Metric> {
        let listed = table::by_default::<Metric>(name);
        // The error of the loss look-up would name losses alone.
        listed.or_else(|unknown| {
            Loss::from_name(name)
                .map(Metric::from)
                .map_err(|_loss| unknown)
        })
    }
}

/// The key of a metric under another name in model files.
const NAMED: &str = "named";

/// A metric under another name in a model file.
#[derive(Serialize, Deserialize)]
struct Renamed {
    name: String,
    metric: Tagged,
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let metric = Tagged::new::<Metric>(self.listed_name(), self.function.config());
        let metric = metric.map_err(ser::Error::custom)?;
        let Some(name) = self.name.clone() else {
            return metric.serialize(serializer);
        };
        let config = Config::of(&Renamed { name, metric });
        let config = config.ok_or_else(|| ser::Error::custom("a name that is no text"))?;
        Tagged::settings(NAMED, config).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let tagged = Tagged::deserialize(deserializer)?;
        let read = || match tagged.under(NAMED) {
            Some(config) => {
                let renamed: Renamed = config.read()?;
                Ok(renamed.metric.read::<Metric>()?.with_name(renamed.name))
            }
            None => tagged.read(),
        };
        read().map_err(|error: crate::Error| de::Error::custom(error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Averaging;
    use super::*;

    #[test]
    fn every_name_means_one_metric_and_losses_are_metrics() {
        assert_eq!(Metric::all().len(), 37);
        for metric in Metric::all() {
            assert_eq!(Metric::from_name(metric.name()).ok(), Some(metric));
        }
        for entry in Metric::TABLE {
            for short in entry.short {
                let own = (entry.example)();
                assert_eq!(Metric::from_name(short).unwrap().name(), own.name());
            }
        }
        for loss in Loss::all() {
            assert!(Metric::from_name(loss.name()).is_ok(), "{}", loss.name());
        }
        for unknown in ["accurcy", "precision_at_recall", "loss"] {
            let unknown = Metric::from_name(unknown).unwrap_err().to_string();
            assert!(
                unknown.contains("metric") && unknown.contains("accuracy"),
                "{unknown}"
            );
        }
    }

    #[test]
    fn a_metric_comes_back_from_its_description() {
        let examples = || Metric::TABLE.iter().map(|entry| (entry.example)());
        let renamed = examples().map(|metric| metric.with_name("another"));
        for metric in examples().chain(renamed) {
            let text = serde_json::to_string(&metric).unwrap();
            let read: Metric = serde_json::from_str(&text).unwrap();
            assert_eq!(read, metric, "{text}");
        }
        // Forms that earlier versions wrote.
        for (text, metric) in [
            ("\"log_cosh_error\"", Metric::LogCoshError),
            (r#"{"binary_accuracy":0.25}"#, Metric::BinaryAccuracy(0.25)),
            (
                r#"{"f_beta_score":{"average":"macro","beta":2.0,"threshold":null}}"#,
                Metric::FBetaScore(FBeta {
                    beta: 2.0,
                    ..Averaging::Macro.into()
                }),
            ),
            (
                r#"{"named":{"name":"iou","metric":{"mean_iou":{"num_classes":3,"ignore_class":null}}}}"#,
                Metric::MeanIou(3).with_name("iou"),
            ),
            (
                r#"{"loss":{"loss":"hinge","reads":"auto"}}"#,
                Metric::from(Loss::Hinge),
            ),
        ] {
            assert_eq!(
                serde_json::from_str::<Metric>(text).unwrap(),
                metric,
                "{text}"
            );
        }
        let own = Metric::from_fn("own", |y, target| y.sub(target));
        assert!(serde_json::to_string(&own).is_err());
    }

    #[test]
    fn every_built_in_metric_says_whether_it_rises() {
        let falling = [
            "mean_squared_error",
            "root_mean_squared_error",
            "mean_absolute_error",
            "mean_absolute_percentage_error",
            "mean_squared_logarithmic_error",
            "logcosh",
            "kl_divergence",
            "poisson",
            "hinge",
            "squared_hinge",
            "categorical_hinge",
            "false_positives",
            "false_negatives",
        ];
        for entry in Metric::TABLE {
            let metric = (entry.example)();
            let rises = Some(!falling.contains(&metric.name()));
            assert_eq!(metric.rises(), rises, "{metric}");
            assert_eq!(metric.with_name("loss or not").rises(), rises);
        }
        // The loss of that name is the metric with the other sign.
        assert_eq!(Metric::from(Loss::CosineSimilarity).rises(), Some(false));
        let own = Metric::from_fn("own", |y, target| y.sub(target));
        assert_eq!(own.rises(), None);
    }
}
