//! What is reported beside the loss.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | [`Metric`] and [`MetricFunction`], the trait of all metrics |
//! | `means`, `decisions`, `f_score`, `curve`, `classes`, `variance` | the metrics, by what they are computed from |
//! | `table` | the metrics by name and in model files |
//! | `counter` | what a metric has the device count: [`Counter`] |
//! | `tally` | the numbers of an epoch as the device counted them: [`Tally`] |
//! | `confusion_matrix` | what a confusion matrix tells: [`ConfusionMatrix`] |
//! | `report`, `variable` | the metrics of a model: what they record, where, and what they report |
//! | `names` | each figure by a name of its own |
//! | `stream` | metrics over batches from the host: [`Streaming`] |
//! | `exact` | what needs all predictions at once, on the host |

mod classes;
mod confusion_matrix;
mod counter;
mod curve;
mod decisions;
mod exact;
mod f_score;
mod means;
mod names;
mod report;
mod stream;
mod table;
mod tally;
mod variable;
mod variance;

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::nn::{Activation, Config};
use crate::{Error, Result, Tensor};

use super::held::Held;
use super::loss::{Loss, Takes};
use super::table::{Listed, is_listed};

pub use classes::Classes;
pub use confusion_matrix::ConfusionMatrix;
pub use counter::Counter;
pub(crate) use counter::TallyInputs;
pub use curve::{Auc, Curve, Point, Summation};
pub use decisions::Decision;
pub use exact::{average_precision, median_absolute_error, roc_auc};
pub use f_score::{Averaging, FBeta};
use means::mean;
pub(crate) use report::{ModelMetrics, OutputMetrics, RingLayout};
pub use stream::Streaming;
pub use tally::{ColumnMoments, Outcomes, Tally, ThresholdTally};
pub(crate) use variable::with_whole_tallies;
pub use variance::{ClassAggregation, R2};

/// What metrics are applied to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetricSetting {
    /// Output columns, those of a position where there are several.
    pub columns: usize,
    /// Whether targets are integer labels.
    pub labels: bool,
    /// The last activation.
    pub activation: Activation,
    /// The loss's name, for messages.
    pub loss: String,
    /// The label whose rows the loss leaves out.
    pub(super) ignored: Option<i32>,
}

/// A metric: what the device counts of it, and what the counts of an epoch tell. Built-in metrics are of this trait, and so
/// are those of a user's own.
///
/// ```
/// use kiln::prelude::*;
/// use kiln::train::{Counter, MetricFunction, MetricSetting, Tally};
///
/// /// √(recall·specificity) above one half.
/// #[derive(Debug)]
/// struct GeometricMean;
///
/// impl MetricFunction for GeometricMean {
///     fn name(&self) -> &str {
///         "geometric_mean"
///     }
///
///     fn counter(&self, setting: &MetricSetting) -> Result<Counter> {
///         Counter::thresholds(&[0.5], setting)
///     }
///
///     fn values(&self, tally: &Tally) -> Result<Vec<f64>> {
///         let outcomes = tally.thresholds()?.all()[0];
///         Ok(vec![(outcomes.recall() * outcomes.specificity()).sqrt()])
///     }
///
///     fn rises(&self) -> Option<bool> {
///         Some(true)
///     }
/// }
///
/// let metrics = [Accuracy, GeometricMean.into()];
/// let model = Sequential::new(2).dense(1, Sigmoid).compile(BinaryCrossentropy, Adam::default(), metrics)?;
/// # Ok::<(), kiln::Error>(())
/// ```
pub trait MetricFunction: fmt::Debug + Send + Sync {
    /// The name in reports, in `snake_case`.
    fn name(&self) -> &str;

    /// What the device counts, of outputs and targets as `setting` tells. Metrics with equal counters share one.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] that names the field: settings out of range, a class that there is not.
    fn counter(&self, setting: &MetricSetting) -> Result<Counter>;

    /// The values over a tally of that counter: one, or one for each threshold, class or column that is not averaged.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where the tally is of another kind than the metric needs.
    fn values(&self, tally: &Tally) -> Result<Vec<f64>>;

    /// Whether the metric gets better as it rises, which [`Mode::Auto`](crate::train::Mode::Auto) goes by; none, the default,
    /// for one that does not say.
    fn rises(&self) -> Option<bool> {
        None
    }

    /// The settings as model files keep them; none, the default, for metrics that only the program itself knows.
    fn config(&self) -> Option<Config> {
        None
    }
}

/// What is reported beside the loss, over all rows of an epoch or a data set. Names, defaults and results are those of
/// Keras 3 where it has the metric. A metric of one's own is a [`MetricFunction`]; any [`Loss`] is a metric too, its mean
/// over rows, and so is a [closure](Metric::from_fn).
///
/// Everything is accumulated on the device: a mean as a sum a step, the others as counts or sums of a whole epoch, one call
/// a step for each kind of them; metrics that need the same counts share them. The host reads them once an epoch. Counts are
/// exact up to 2^48, and sums are those of f64 but for the rounding of each row's term to f32.
///
/// A network of up to some 700 parameters takes its steps in one call, hundreds of them in a dispatch, if its metrics are
/// [`Accuracy`](Metric::Accuracy), [`BinaryAccuracy`](Metric::BinaryAccuracy),
/// [`CategoricalAccuracy`](Metric::CategoricalAccuracy) and
/// [`SparseCategoricalAccuracy`](Metric::SparseCategoricalAccuracy) alone. Any other metric, top-k accuracies and those of
/// one's own among them, leaves every step to dispatches of its own: for the 8-10-8-1 of the examples 16 to 21 dispatches a
/// step and less than a tenth of the steps a second on lavapipe; two thirds of them on the CPU session. Where speed counts,
/// train with accuracies, and measure the rest once with [`Streaming`] over predictions.
/// [`Model::inspect`](super::Model::inspect) shows which form a plan has.
///
/// Class labels stand for one-hot targets wherever a metric reads numbers of zeros and ones.
#[derive(Clone)]
pub struct Metric {
    function: Held<dyn MetricFunction>,
    name: Option<String>,
    /// The name in model files, where it is not that of reports.
    listed: Option<&'static str>,
}

impl<F: MetricFunction + 'static> From<F> for Metric {
    fn from(function: F) -> Self {
        Metric::of(Held::Shared(Arc::new(function)))
    }
}

/// The mean of a loss over rows, under the loss's name.
impl From<Loss> for Metric {
    fn from(loss: Loss) -> Self {
        let (name, rises) = (loss.name().to_string(), loss.is_built_in().then_some(false));
        let counter = |loss: &Loss, _: &MetricSetting| Counter::mean(loss.clone());
        Metric {
            listed: Some("loss"),
            ..Metric::composed(name, loss, rises, counter, mean)
        }
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        let (own, others) = (&self.function, &other.function);
        let same_function = match (own.config(), others.config()) {
            (Some(config), Some(other)) => own.name() == others.name() && config == other,
            _ => own.is(others),
        };
        same_function && self.name == other.name
    }
}

impl Metric {
    const fn of(function: Held<dyn MetricFunction>) -> Self {
        Metric {
            function,
            name: None,
            listed: None,
        }
    }

    /// A metric with settings, which model files keep where they serialise.
    fn composed<S: Serialize + Send + Sync + 'static>(
        name: impl Into<String>,
        settings: S,
        rises: impl Into<Option<bool>>,
        counter: impl Fn(&S, &MetricSetting) -> Result<Counter> + Send + Sync + 'static,
        values: impl Fn(&S, &Tally) -> Result<Vec<f64>> + Send + Sync + 'static,
    ) -> Self {
        Metric::from(Composed::<String, _, _, _> {
            name: name.into(),
            settings,
            rises: rises.into(),
            counter,
            values,
        })
    }

    /// A metric of one's own, which is averaged over rows: a closure from the output, `[batch, columns]`, and the target to
    /// a number for each row, `[batch]`. The target is as the loss takes it: `[batch, columns]`, but of a loss of labels u32,
    /// `[batch]`, or `[batch, positions]` where a row has several. Model files cannot keep it.
    #[track_caller]
    pub fn from_fn(
        name: impl Into<String>,
        rows: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        Loss::from_fn(name, rows).into()
    }

    /// The same metric under another name; two metrics of a model must differ in name, and none may be called as what else is told of
    /// an epoch: `loss`, `epoch`, `step`, `seconds` and names that begin with `val_`.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Metric {
            name: Some(name.into()),
            ..self
        }
    }

    /// Whether the function stands in the table, so that a model file can keep the metric.
    pub(crate) fn is_built_in(&self) -> bool {
        let config = self.function.config();
        is_listed::<Metric>(self.listed_name(), config.as_ref())
    }

    /// Keras' name of the metric, or the one that it was given.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.function.name())
    }

    /// Whether the metric gets better as it rises, as accuracies do; errors and losses get better as they fall. None for
    /// a metric of one's own that does not say.
    pub(crate) fn rises(&self) -> Option<bool> {
        self.function.rises()
    }

    /// The metric's values over a tally: NaN where a prediction, a target or a weight was one.
    fn values(&self, tally: &Tally) -> Result<Vec<f64>> {
        let mut values = self.function.values(tally)?;
        if tally.is_lost() {
            values.fill(f64::NAN);
        }
        Ok(values)
    }

    /// What the metric has the device count, where it can read the targets.
    fn counter(&self, setting: &MetricSetting) -> Result<Counter> {
        let counter = self.function.counter(setting)?;
        let labels = match counter.takes() {
            Takes::Any => return Ok(counter),
            Takes::Labels => true,
            Takes::Shares | Takes::Numbers => false,
        };
        if labels == setting.labels {
            return Ok(counter);
        }
        let form = |labels: bool| if labels { "integer labels" } else { "numbers" };
        Err(Error::argument(
            "metrics",
            format!(
                "{} reads {}, but {} takes {} for targets; `Accuracy` takes what the loss takes",
                self.name(),
                form(labels),
                setting.loss,
                form(setting.labels)
            ),
        ))
    }
}

/// A metric by what it consists of; by default without settings.
struct Composed<
    N = String,
    S = (),
    C = fn(&S, &MetricSetting) -> Result<Counter>,
    V = fn(&S, &Tally) -> Result<Vec<f64>>,
> {
    name: N,
    settings: S,
    rises: Option<bool>,
    counter: C,
    values: V,
}

impl<N: AsRef<str>, S, C, V> fmt::Debug for Composed<N, S, C, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_ref())
    }
}

impl<N, S, C, V> MetricFunction for Composed<N, S, C, V>
where
    N: AsRef<str> + Send + Sync,
    S: Serialize + Send + Sync,
    C: Fn(&S, &MetricSetting) -> Result<Counter> + Send + Sync,
    V: Fn(&S, &Tally) -> Result<Vec<f64>> + Send + Sync,
{
    fn name(&self) -> &str {
        self.name.as_ref()
    }

    fn counter(&self, setting: &MetricSetting) -> Result<Counter> {
        (self.counter)(&self.settings, setting)
    }

    fn values(&self, tally: &Tally) -> Result<Vec<f64>> {
        (self.values)(&self.settings, tally)
    }

    fn rises(&self) -> Option<bool> {
        self.rises
    }

    fn config(&self) -> Option<Config> {
        Config::of(&self.settings)
    }
}

impl fmt::Display for Metric {
    /// The name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Metric {
    /// The name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Refuses a number, counted from 0, that is not below `end`.
fn below(name: &'static str, value: usize, end: usize, what: &str) -> Result<()> {
    if value < end {
        return Ok(());
    }
    let message = format!("must be below the number of {what}, {end}, got {value}");
    Err(Error::argument(name, message))
}

/// Refuses to look for the largest outputs where there are not as many.
fn among_outputs(name: &'static str, k: usize, setting: &MetricSetting) -> Result<()> {
    if (1..=setting.columns).contains(&k) {
        return Ok(());
    }
    let message = format!(
        "must be between 1 and the {} outputs, got {k}",
        setting.columns
    );
    Err(Error::argument(name, message))
}
