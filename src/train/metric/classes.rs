//! Metrics of a confusion matrix.

use serde::{Deserialize, Serialize};

use super::{ConfusionMatrix, Counter, Metric, MetricSetting, Tally};

/// How a row's class is read.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// The number of classes where outputs and targets are class numbers, one a row. By default the class of several output
    /// columns is the largest, and that of a single one whether it exceeds one half.
    pub num_classes: Option<usize>,
    /// Rows of this class do not count. Where targets are labels it need not be that of an output and may be negative.
    pub ignore_class: Option<i32>,
}

/// Outputs and targets are the numbers of that many classes.
impl From<usize> for Classes {
    fn from(classes: usize) -> Self {
        Classes {
            num_classes: Some(classes),
            ignore_class: None,
        }
    }
}

#[expect(non_snake_case, reason = "metrics are spelled as Keras' classes are")]
impl Metric {
    /// The mean over classes of TP/(TP + FP + FN); classes that neither occur nor are said do not count. Keras cuts the
    /// weights of rows to whole numbers before it counts them; here they count as they are.
    pub fn MeanIou(classes: impl Into<Classes>) -> Metric {
        by_classes("mean_io_u", classes, ConfusionMatrix::mean_iou)
    }

    /// Cohen's κ = (pₒ − pₑ)/(1 − pₑ): agreement beyond that of chance. Not in Keras; as scikit-learn has it.
    pub fn CohenKappa(classes: impl Into<Classes>) -> Metric {
        by_classes("cohen_kappa", classes, ConfusionMatrix::cohen_kappa)
    }

    /// Matthews' correlation, of two classes or more (Gorodkin, 2004). Not in Keras; as scikit-learn has it.
    pub fn MatthewsCorrelation(classes: impl Into<Classes>) -> Metric {
        by_classes(
            "matthews_correlation",
            classes,
            ConfusionMatrix::matthews_correlation,
        )
    }

    /// The mean recall over the classes that occur. Not in Keras; as scikit-learn has it.
    pub fn BalancedAccuracy(classes: impl Into<Classes>) -> Metric {
        by_classes(
            "balanced_accuracy",
            classes,
            ConfusionMatrix::balanced_accuracy,
        )
    }
}

/// A value of the confusion matrix.
fn by_classes(
    name: &'static str,
    classes: impl Into<Classes>,
    value: fn(&ConfusionMatrix) -> f64,
) -> Metric {
    let counter = |classes: &Classes, setting: &MetricSetting| Counter::classes(*classes, setting);
    let values = move |_: &Classes, tally: &Tally| Ok(vec![value(tally.confusion()?)]);
    Metric::composed(name, classes.into(), true, counter, values)
}
