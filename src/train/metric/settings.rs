//! The settings of metrics that have several, with Keras' defaults.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

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
        Decision {
            thresholds: vec![0.5],
            top_k: None,
            class_id: None,
        }
    }
}

impl Decision {
    /// Above this.
    pub fn threshold(threshold: f32) -> Self {
        Decision::thresholds([threshold])
    }

    /// Above each of these, for a value of each.
    pub fn thresholds(thresholds: impl IntoIterator<Item = f32>) -> Self {
        Decision {
            thresholds: thresholds.into_iter().collect(),
            ..Decision::default()
        }
    }

    /// Among the `k` largest outputs of its row, whatever its size, as Keras has it where no threshold is given.
    pub fn top_k(k: usize) -> Self {
        Decision {
            thresholds: vec![-1e10],
            top_k: Some(k),
            class_id: None,
        }
    }

    /// Of this class alone.
    pub fn class_id(mut self, class: usize) -> Self {
        self.class_id = Some(class);
        self
    }
}

/// How values of classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
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
    pub average: Average,
    /// How many times as much recall weighs as precision; default 1.
    pub beta: f32,
    /// Above it an output is a positive answer; by default the largest of each row is.
    pub threshold: Option<f32>,
}

impl Default for FBeta {
    fn default() -> Self {
        FBeta {
            average: Average::None,
            beta: 1.0,
            threshold: None,
        }
    }
}

impl FBeta {
    /// Sets the average.
    pub fn average(mut self, average: Average) -> Self {
        self.average = average;
        self
    }

    /// Sets β.
    pub fn beta(mut self, beta: f32) -> Self {
        self.beta = beta;
        self
    }

    /// Sets the threshold, for several positive answers a row.
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = Some(threshold);
        self
    }
}

/// Which curve an area lies under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    /// Thresholds, evenly spread from 0 to 1, both ends a little outside; default 200.
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
        Auc {
            num_thresholds: 200,
            curve: Curve::Roc,
            summation: Summation::Interpolation,
            multi_label: false,
            label_weights: None,
            from_logits: false,
        }
    }
}

impl Auc {
    /// Under precision over recall.
    pub fn pr() -> Self {
        Auc {
            curve: Curve::Pr,
            ..Auc::default()
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

impl Point {
    /// Where the other quantity is at least `at`.
    pub fn at(at: f32) -> Self {
        Point {
            at,
            num_thresholds: 200,
            class_id: None,
        }
    }
}

/// How a row's class is read.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classes {
    /// The number of classes where outputs and targets are class numbers, one a row. By default the class of several output
    /// columns is the largest, and that of a single one whether it exceeds one half.
    pub num_classes: Option<usize>,
    /// Rows of this class do not count.
    pub ignore_class: Option<u32>,
}

impl Classes {
    /// Outputs and targets are the numbers of so many classes.
    pub fn of(classes: usize) -> Self {
        Classes {
            num_classes: Some(classes),
            ignore_class: None,
        }
    }
}

/// How values of output columns become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassAggregation {
    /// Not at all: a value of each column.
    None,
    /// Their mean.
    #[default]
    UniformAverage,
    /// Their mean, each weighing as much as its targets vary.
    VarianceWeightedAverage,
}

/// The settings of R².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct R2 {
    /// How columns are averaged; default uniformly.
    pub class_aggregation: ClassAggregation,
    /// The number of predictors for the adjusted R² = 1 − (1 − R²)·(n − 1)/(n − p − 1); default 0, not adjusted.
    pub num_regressors: usize,
}

/// A share.
pub(super) fn between_0_and_1(name: &'static str, value: f32) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    let message = format!("must be between 0 and 1, got {value}");
    Err(Error::argument(name, message))
}

/// Something counted from 0 below `end`.
pub(super) fn below(name: &'static str, value: usize, end: usize, what: &str) -> Result<()> {
    if value < end {
        return Ok(());
    }
    let message = format!("must be below the number of {what}, {end}, got {value}");
    Err(Error::argument(name, message))
}
