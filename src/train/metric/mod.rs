//! What is reported beside the loss.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | [`Metric`]: names, defaults |
//! | `direction` | which way a metric gets better |
//! | `settings` | the settings of metrics that have several |
//! | `names` | metrics by Keras' names |
//! | `measurement` | which numbers of a batch a metric needs: means of rows, or a tally |
//! | `tally` | the numbers of an epoch as the device counted them: [`Tally`] |
//! | `value` | the formulas: a tally to a metric's value |
//! | `curve` | areas under curves and points on them |
//! | `agreement` | what a confusion matrix tells: [`ConfusionMatrix`] |
//! | `stream` | metrics over batches from the host: [`Streaming`] |
//! | `exact` | what needs all predictions at once, on the host |
//! | `gauges` | the metrics of an output: what they record, and what they report |
//! | `board` | those of all outputs of a model, side by side |

mod agreement;
mod board;
mod curve;
mod direction;
mod exact;
mod gauges;
mod measurement;
mod names;
mod settings;
mod stream;
mod tally;
mod value;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::loss::Loss;

pub use agreement::ConfusionMatrix;
pub(crate) use board::{Board, Column};
pub use exact::{average_precision, median_absolute_error, roc_auc};
pub(crate) use gauges::{Gauges, Layout, Setting, TallyInputs};
pub use settings::{
    Auc, Average, ClassAggregation, Classes, Curve, Decision, FBeta, Point, R2, Summation,
};
pub use stream::Streaming;
pub use tally::{ColumnMoments, Tally, ThresholdTally};

/// What is reported beside the loss, over all rows of an epoch or a data set. Names, defaults and results are those of
/// Keras 3 where it has the metric.
///
/// Everything is accumulated on the device: a mean as a sum a step, the others as counts or sums of a whole epoch, one call
/// a step for each kind of them; metrics that need the same counts share them. The host reads them once an epoch.
///
/// A network of up to some 700 parameters takes its steps in one call, hundreds of them in a dispatch, if its metrics are
/// [`Accuracy`](Metric::Accuracy), [`BinaryAccuracy`](Metric::BinaryAccuracy),
/// [`CategoricalAccuracy`](Metric::CategoricalAccuracy) and
/// [`SparseCategoricalAccuracy`](Metric::SparseCategoricalAccuracy) alone. Any other metric, top-k accuracies and those of
/// one's own among them, leaves every step to dispatches of its own: for the 8-10-8-1 of the examples 16 to 21 dispatches a step and less than a
/// tenth of the steps a second on lavapipe; two thirds of them on the CPU session. Where speed counts, train
/// with accuracies, and measure the rest once with [`Streaming`] over predictions. [`Model::inspect`](super::Model::inspect)
/// shows which form a plan has.
///
/// Class labels stand for one-hot targets wherever a metric reads numbers of zeros and ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// The share of right answers, in the form that suits targets and outputs, as Keras 3 chooses: sparse for integer
    /// labels, binary for a single output column, else categorical. The loss does not count: for several yes-or-no
    /// outputs, ask for [`Metric::BinaryAccuracy`].
    Accuracy,
    /// The share of outputs on the right side of the threshold; Keras' default is 0.5.
    BinaryAccuracy(f32),
    /// The share of rows whose largest output is that of the one-hot target.
    CategoricalAccuracy,
    /// The share of rows whose largest output is that of the label.
    SparseCategoricalAccuracy,
    /// The share of rows whose wanted class is among the k largest outputs, by one-hot targets; Keras' default is 5.
    TopKCategoricalAccuracy(usize),
    /// The share of rows whose wanted class is among the k largest outputs, by labels; Keras' default is 5.
    SparseTopKCategoricalAccuracy(usize),
    /// The share of outputs that equal the target to the bit: Keras' class `Accuracy`, whose name there stands for
    /// [`Metric::Accuracy`].
    EqualAccuracy,
    /// The mean of (y − y*)².
    MeanSquaredError,
    /// The root of the mean of (y − y*)² over all rows.
    RootMeanSquaredError,
    /// The mean of |y − y*|.
    MeanAbsoluteError,
    /// The mean of 100·|y − y*|/max(|y*|, 1e-7).
    MeanAbsolutePercentageError,
    /// The mean of (ln(1 + y) − ln(1 + y*))².
    MeanSquaredLogarithmicError,
    /// The mean of ln cosh(y − y*).
    LogCoshError,
    /// The mean cosine of the angle between a row of outputs and its targets: 1 for the same direction. The loss of that
    /// name has the other sign.
    CosineSimilarity,
    /// Σ y*·ln(y*/y) of a row, both kept between 1e-7 and 1.
    KlDivergence,
    /// The mean of y − y*·ln(y + 1e-7).
    Poisson,
    /// The mean of max(1 − y*·y, 0), a target of 0 taken as −1.
    Hinge,
    /// The mean of max(1 − y*·y, 0)², a target of 0 taken as −1.
    SquaredHinge,
    /// max(1 + max (1 − y*)·y − Σ y*·y, 0) of a row.
    CategoricalHinge,
    /// Any loss with its settings, averaged over rows: the cross-entropies, of logits or of probabilities.
    Loss(Loss),
    /// Pearson's correlation between a row of outputs and its targets, averaged over rows, as Keras has it over the last
    /// axis. 0 for a row that does not vary.
    PearsonCorrelation,
    /// Lin's concordance between a row of outputs and its targets, averaged over rows, as Keras has it over the last axis.
    ConcordanceCorrelation,
    /// TP/(TP + FP): the share of positive answers that are right. 0 where there is no positive answer.
    Precision(Decision),
    /// TP/(TP + FN): the share of positives that are found. 0 where there are none.
    Recall(Decision),
    /// Positives that were found, at each of these thresholds.
    TruePositives(Vec<f32>),
    /// Negatives that were taken for positive, at each of these thresholds.
    FalsePositives(Vec<f32>),
    /// Negatives that were left alone, at each of these thresholds.
    TrueNegatives(Vec<f32>),
    /// Positives that were missed, at each of these thresholds.
    FalseNegatives(Vec<f32>),
    /// TN/(TN + FP): the share of negatives that are left alone. Not in Keras.
    Specificity(Decision),
    /// F₁ = 2·P·R/(P + R) of precision P and recall R: [`Metric::FBetaScore`] with β = 1.
    F1Score(FBeta),
    /// Fᵦ = (1 + β²)·P·R/(β²·P + R) of precision P and recall R, of each class or averaged over classes.
    FBetaScore(FBeta),
    /// The area under the curve of recall over false alarms (ROC), or of precision over recall.
    Auc(Auc),
    /// The greatest sensitivity (recall) among thresholds at which the specificity is at least this.
    SensitivityAtSpecificity(Point),
    /// The greatest specificity among thresholds at which the sensitivity is at least this.
    SpecificityAtSensitivity(Point),
    /// The greatest precision among thresholds at which the recall is at least this.
    PrecisionAtRecall(Point),
    /// The greatest recall among thresholds at which the precision is at least this.
    RecallAtPrecision(Point),
    /// The mean over classes of TP/(TP + FP + FN); classes that neither occur nor are said do not count. Keras cuts the
    /// weights of rows to whole numbers before it counts them; here they count as they are.
    MeanIou(Classes),
    /// Cohen's κ = (pₒ − pₑ)/(1 − pₑ): agreement beyond that of chance. Not in Keras; as scikit-learn has it.
    CohenKappa(Classes),
    /// Matthews' correlation, of two classes or more (Gorodkin, 2004). Not in Keras; as scikit-learn has it.
    MatthewsCorrelation(Classes),
    /// The mean recall over the classes that occur. Not in Keras; as scikit-learn has it.
    BalancedAccuracy(Classes),
    /// R² = 1 − Σ(y − y*)²/Σ(y* − ȳ*)², of each output column or averaged.
    R2Score(R2),
    /// 1 − Var(y − y*)/Var y*: R² that forgives a constant error. Not in Keras; as scikit-learn has it.
    ExplainedVariance(R2),
    /// A metric under another name.
    Named {
        /// The name in histories and reports.
        name: String,
        /// The metric.
        metric: Box<Metric>,
    },
}

impl Metric {
    /// Precision above one half.
    pub fn precision() -> Self {
        Metric::Precision(Decision::default())
    }

    /// Recall above one half.
    pub fn recall() -> Self {
        Metric::Recall(Decision::default())
    }

    /// F₁ of each class, or of the class that an average is taken of: see [`FBeta`].
    pub fn f1_score(average: Average) -> Self {
        Metric::F1Score(FBeta::default().average(average))
    }

    /// The area under the ROC curve by 200 thresholds.
    pub fn auc() -> Self {
        Metric::Auc(Auc::default())
    }

    /// R², averaged over output columns.
    pub fn r2_score() -> Self {
        Metric::R2Score(R2::default())
    }

    /// The same metric under a name of its own; two metrics of a model must differ in name.
    pub fn named(self, name: impl Into<String>) -> Self {
        let metric = match self {
            Metric::Named { metric, .. } => metric,
            other => Box::new(other),
        };
        Metric::Named {
            name: name.into(),
            metric,
        }
    }

    /// Keras' name of it, or the one that it was given.
    pub fn name(&self) -> &str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::BinaryAccuracy(_) => "binary_accuracy",
            Metric::CategoricalAccuracy => "categorical_accuracy",
            Metric::SparseCategoricalAccuracy => "sparse_categorical_accuracy",
            Metric::TopKCategoricalAccuracy(_) => "top_k_categorical_accuracy",
            Metric::SparseTopKCategoricalAccuracy(_) => "sparse_top_k_categorical_accuracy",
            Metric::EqualAccuracy => "equal_accuracy",
            Metric::MeanSquaredError => "mean_squared_error",
            Metric::RootMeanSquaredError => "root_mean_squared_error",
            Metric::MeanAbsoluteError => "mean_absolute_error",
            Metric::MeanAbsolutePercentageError => "mean_absolute_percentage_error",
            Metric::MeanSquaredLogarithmicError => "mean_squared_logarithmic_error",
            Metric::LogCoshError => "logcosh",
            Metric::CosineSimilarity => "cosine_similarity",
            Metric::KlDivergence => "kl_divergence",
            Metric::Poisson => "poisson",
            Metric::Hinge => "hinge",
            Metric::SquaredHinge => "squared_hinge",
            Metric::CategoricalHinge => "categorical_hinge",
            Metric::Loss(loss) => loss.name(),
            Metric::PearsonCorrelation => "pearson_correlation",
            Metric::ConcordanceCorrelation => "concordance_correlation",
            Metric::Precision(_) => "precision",
            Metric::Recall(_) => "recall",
            Metric::TruePositives(_) => "true_positives",
            Metric::FalsePositives(_) => "false_positives",
            Metric::TrueNegatives(_) => "true_negatives",
            Metric::FalseNegatives(_) => "false_negatives",
            Metric::Specificity(_) => "specificity",
            Metric::F1Score(_) => "f1_score",
            Metric::FBetaScore(_) => "fbeta_score",
            Metric::Auc(_) => "auc",
            Metric::SensitivityAtSpecificity(_) => "sensitivity_at_specificity",
            Metric::SpecificityAtSensitivity(_) => "specificity_at_sensitivity",
            Metric::PrecisionAtRecall(_) => "precision_at_recall",
            Metric::RecallAtPrecision(_) => "recall_at_precision",
            Metric::MeanIou(_) => "mean_io_u",
            Metric::CohenKappa(_) => "cohen_kappa",
            Metric::MatthewsCorrelation(_) => "matthews_correlation",
            Metric::BalancedAccuracy(_) => "balanced_accuracy",
            Metric::R2Score(_) => "r2_score",
            Metric::ExplainedVariance(_) => "explained_variance",
            Metric::Named { name, .. } => name,
        }
    }

    /// The loss whose mean it is, up to a root or a sign.
    fn loss(&self) -> Option<Loss> {
        let loss = match self {
            Metric::Loss(loss) => loss.clone(),
            Metric::MeanSquaredError | Metric::RootMeanSquaredError => Loss::MeanSquaredError,
            Metric::MeanAbsoluteError => Loss::MeanAbsoluteError,
            Metric::MeanAbsolutePercentageError => Loss::MeanAbsolutePercentageError,
            Metric::MeanSquaredLogarithmicError => Loss::MeanSquaredLogarithmicError,
            Metric::LogCoshError => Loss::LogCosh,
            Metric::CosineSimilarity => Loss::CosineSimilarity,
            Metric::KlDivergence => Loss::KlDivergence,
            Metric::Poisson => Loss::Poisson,
            Metric::Hinge => Loss::Hinge,
            Metric::SquaredHinge => Loss::SquaredHinge,
            Metric::CategoricalHinge => Loss::CategoricalHinge,
            _ => return None,
        };
        Some(loss)
    }

    /// The metric without its given name.
    pub fn plain(&self) -> &Metric {
        match self {
            Metric::Named { metric, .. } => metric.plain(),
            other => other,
        }
    }
}

impl From<Loss> for Metric {
    fn from(loss: Loss) -> Self {
        Metric::Loss(loss)
    }
}

impl fmt::Display for Metric {
    /// Its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
