//! Metrics that are the mean of a number for each row: accuracies, errors, correlations, and any loss.

use crate::nn::{Activation, Config};
use crate::op::{Correlation, Form, Hits};
use crate::train::held::Held;
use crate::train::loss::{Loss, RowFormula, Span, Takes, between};
use crate::{Result, Tensor, op};

use super::counter::logit;
use super::{Composed, Counter, Metric, MetricSetting, Tally, among_outputs};

/// Whether the largest output of a row is that of the one-hot target. A softmax keeps the order, so that its inputs tell
/// as much.
const LARGEST: Loss = Loss::formula(
    &RowFormula::new("categorical_accuracy", Takes::Shares, |y, target, _| {
        y.accuracy(target, op::Accuracy::Categorical)
    })
    .by_position()
    .logits_of(Activation::Softmax),
);

/// Whether the largest output of a row is that of the label.
const LARGEST_BY_LABEL: Loss = Loss::formula(
    &RowFormula::new(
        "sparse_categorical_accuracy",
        Takes::Labels,
        |y, target, _| y.accuracy(target, op::Accuracy::Sparse),
    )
    .by_position()
    .logits_of(Activation::Softmax),
);

const EQUAL: Loss = Loss::formula(&RowFormula::new(
    "equal_accuracy",
    Takes::Numbers,
    |y, target, _| y.hits(target, Hits::Equal),
));

const PEARSON: Loss = Loss::formula(
    &RowFormula::new("pearson_correlation", Takes::Numbers, |y, target, _| {
        y.correlation(target, Correlation::Pearson)
    })
    .by_position(),
);

const CONCORDANCE: Loss = Loss::formula(
    &RowFormula::new("concordance_correlation", Takes::Numbers, |y, target, _| {
        y.correlation(target, Correlation::Concordance)
    })
    .by_position(),
);

/// Metrics without settings, a constant of [`Metric`] for each: its name, whether it rises, the rows, and what the mean
/// becomes, if that is another number.
macro_rules! means {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $rises:literal, $rows:expr $(, $value:expr)?;)*) => {
        #[expect(non_upper_case_globals, reason = "metrics are spelled as Keras' classes are")]
        impl Metric {
            $($(#[$doc])*
            pub const $name: Metric = Metric::of(Held::Static(&Composed::<&str> {
                name: $text,
                settings: (),
                rises: Some($rises),
                counter: |(), setting| Counter::mean(($rows as fn(&MetricSetting) -> Loss)(setting)),
                values: |(), tally| {
                    let values = mean(&(), tally)?.into_iter();
                    Ok(values$(.map($value))?.collect())
                },
            }));)*
        }
    };
}

means! {
    /// The share of right answers, in the form that suits targets and outputs, as Keras 3 chooses: sparse for integer
    /// labels, binary for a single output column, else categorical. The loss does not count: for several yes-or-no
    /// outputs, ask for [`Metric::BinaryAccuracy`].
    Accuracy = "accuracy", true, fitting;

    /// The share of rows whose largest output is that of the one-hot target.
    CategoricalAccuracy = "categorical_accuracy", true, |_| LARGEST;

    /// The share of rows whose largest output is that of the label.
    SparseCategoricalAccuracy = "sparse_categorical_accuracy", true, |_| LARGEST_BY_LABEL;

    /// The share of outputs that equal the target to the bit: Keras' class `Accuracy`, whose name there stands for
    /// [`Metric::Accuracy`].
    EqualAccuracy = "equal_accuracy", true, |_| EQUAL;

    /// The mean of (y − y*)².
    MeanSquaredError = "mean_squared_error", false, |_| Loss::MeanSquaredError;

    /// The root of the mean of (y − y*)² over all rows.
    RootMeanSquaredError = "root_mean_squared_error", false, |_| Loss::MeanSquaredError, f64::sqrt;

    /// The mean of |y − y*|.
    MeanAbsoluteError = "mean_absolute_error", false, |_| Loss::MeanAbsoluteError;

    /// The mean of 100·|y − y*|/max(|y*|, 1e-7).
    MeanAbsolutePercentageError = "mean_absolute_percentage_error", false,
        |_| Loss::MeanAbsolutePercentageError;

    /// The mean of (ln(1 + y) − ln(1 + y*))².
    MeanSquaredLogarithmicError = "mean_squared_logarithmic_error", false,
        |_| Loss::MeanSquaredLogarithmicError;

    /// The mean of ln cosh(y − y*).
    LogCoshError = "logcosh", false, |_| Loss::LogCosh;

    /// The mean cosine of the angle between a row of outputs and its targets: 1 for the same direction. The loss of that
    /// name has the other sign.
    CosineSimilarity = "cosine_similarity", true, |_| Loss::CosineSimilarity, |mean: f64| 0.0 - mean;

    /// Σ y*·ln(y*/y) of a row, both kept between 1e-7 and 1.
    KlDivergence = "kl_divergence", false, |_| Loss::KlDivergence;

    /// The mean of y − y*·ln(y + 1e-7).
    Poisson = "poisson", false, |_| Loss::Poisson;

    /// The mean of max(1 − y*·y, 0), a target of 0 taken as −1.
    Hinge = "hinge", false, |_| Loss::Hinge;

    /// The mean of max(1 − y*·y, 0)², a target of 0 taken as −1.
    SquaredHinge = "squared_hinge", false, |_| Loss::SquaredHinge;

    /// max(1 + max (1 − y*)·y − Σ y*·y, 0) of a row.
    CategoricalHinge = "categorical_hinge", false, |_| Loss::CategoricalHinge;

    /// Pearson's correlation between a row of outputs and its targets, averaged over rows, as Keras has it over the last
    /// axis. 0 for a row that does not vary.
    PearsonCorrelation = "pearson_correlation", true, |_| PEARSON;

    /// Lin's concordance between a row of outputs and its targets, averaged over rows, as Keras has it over the last axis.
    ConcordanceCorrelation = "concordance_correlation", true, |_| CONCORDANCE;
}

#[expect(non_snake_case, reason = "metrics are spelled as Keras' classes are")]
impl Metric {
    /// The share of outputs on the right side of the threshold; Keras' default is 0.5.
    pub fn BinaryAccuracy(threshold: f32) -> Metric {
        let counter = |&threshold: &f32, _: &MetricSetting| {
            between("threshold", threshold, 0.0, 1.0)?;
            Counter::mean(on_the_right_side(threshold))
        };
        Metric::composed("binary_accuracy", threshold, true, counter, mean)
    }

    /// The share of rows whose wanted class is among the k largest outputs, by one-hot targets; Keras' default is 5.
    pub fn TopKCategoricalAccuracy(k: usize) -> Metric {
        top_k("top_k_categorical_accuracy", k, Takes::Shares)
    }

    /// The share of rows whose wanted class is among the k largest outputs, by labels; Keras' default is 5.
    pub fn SparseTopKCategoricalAccuracy(k: usize) -> Metric {
        top_k("sparse_top_k_categorical_accuracy", k, Takes::Labels)
    }
}

/// The mean of rows as it is.
pub(super) fn mean<S>(_: &S, tally: &Tally) -> Result<Vec<f64>> {
    Ok(vec![tally.mean()?])
}

/// The accuracy that suits targets and outputs.
fn fitting(setting: &MetricSetting) -> Loss {
    match setting.columns {
        _ if setting.labels => LARGEST_BY_LABEL,
        1 => on_the_right_side(0.5),
        _ => LARGEST,
    }
}

/// The share of a row's outputs on the right side of the threshold.
fn on_the_right_side(threshold: f32) -> Loss {
    Loss::from(RowFormula {
        name: "binary_accuracy",
        takes: Takes::Numbers,
        span: Span::Row,
        logits_of: Some(Activation::Sigmoid),
        rows: move |y: &Tensor, target: &Tensor, form: Form| {
            let threshold = match form {
                Form::Logits => logit(threshold),
                Form::Probabilities => threshold,
            };
            y.accuracy(target, op::Accuracy::Binary { threshold })
        },
        config: move || Config::of(&threshold),
    })
}

/// Whether a row's class is among the k largest outputs.
fn top_k(name: &'static str, k: usize, takes: Takes) -> Metric {
    let counter = move |&k: &usize, setting: &MetricSetting| {
        among_outputs("k", k, setting)?;
        Counter::mean(RowFormula {
            name,
            takes,
            span: Span::Position,
            logits_of: Some(Activation::Softmax),
            rows: move |y: &Tensor, target: &Tensor, _: Form| y.hits(target, Hits::Top(k)),
            config: move || Config::of(&k),
        })
    };
    Metric::composed(name, k, true, counter, mean)
}
