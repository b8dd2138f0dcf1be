//! What training makes small and reports: a loss, its weight and metrics for each output.

use crate::nn::Functional;
use crate::{Error, Result};

use super::loss::{Loss, Takes};
use super::metric::Metric;

/// How one output is trained and measured, for [`Functional::compile_with`].
///
/// ```
/// use kiln::prelude::*;
///
/// let (a, b) = (Input::named("a", 3), Input::named("b", 2));
/// let x = Concatenate::default().on([&a, &b]);
/// let price = Dense::new(1).named("price").on(&x);
/// let kind = Dense::new(4).activation(Softmax).named("kind").on(&x);
/// let objectives = [
///     Objective::new("price", MeanSquaredError).weight(0.5),
///     Objective::new("kind", SparseCategoricalCrossentropy).metric(Accuracy),
/// ];
/// let network = Functional::new([&a, &b], [&price, &kind]);
/// let model = network.compile_with(&Device::cpu(), objectives, Adam::default())?;
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Objective {
    pub(crate) output: String,
    pub(crate) loss: Loss,
    pub(crate) weight: f32,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) weighted_metrics: Vec<Metric>,
}

impl Objective {
    /// A loss for the output of that name; one of a user's own is a [`Loss::from_fn`].
    pub fn new(output: impl Into<String>, loss: impl Into<Loss>) -> Self {
        Objective {
            output: output.into(),
            loss: loss.into(),
            weight: 1.0,
            metrics: Vec::new(),
            weighted_metrics: Vec::new(),
        }
    }

    /// What the loss is multiplied by in the total, Keras' `loss_weights`; default 1.
    pub fn weight(mut self, weight: f32) -> Self {
        self.weight = weight;
        self
    }

    /// Adds a metric.
    pub fn metric(mut self, metric: impl Into<Metric>) -> Self {
        self.metrics.push(metric.into());
        self
    }

    /// Adds a metric in which rows count by their weights, those of [samples](crate::Dataset::with_weights) and of
    /// [classes](super::Fit::class_weight): Keras' `weighted_metrics`. A mean is Σ w·m / Σ w.
    ///
    /// It has the metric's own name, with `weighted_` before it where an unweighted metric has that name.
    pub fn weighted_metric(mut self, metric: Metric) -> Self {
        self.weighted_metrics.push(metric);
        self
    }

    /// The weighted metrics under the names that they are told by.
    pub(crate) fn weighted(&self) -> Vec<Metric> {
        let taken = |name: &str| self.metrics.iter().any(|known| known.name() == name);
        let told = |metric: &Metric| {
            let name = metric.name();
            if taken(name) {
                metric.clone().with_name(format!("weighted_{name}"))
            } else {
                metric.clone()
            }
        };
        self.weighted_metrics.iter().map(told).collect()
    }

    pub(crate) fn validate(&self) -> Result<()> {
        self.loss.validate()?;
        if !(self.weight.is_finite() && self.weight >= 0.0) {
            let message = format!("must be at least 0 and finite, got {}", self.weight);
            return Err(Error::argument("loss_weights", message));
        }
        Ok(())
    }

    /// Whether its targets are integer labels.
    pub(crate) fn takes_labels(&self) -> bool {
        self.loss.takes_labels()
    }
}

/// Refuses objectives that the outputs do not have, twice or not at all, and settings out of range.
pub(crate) fn check_objectives(architecture: &Functional, objectives: &[Objective]) -> Result<()> {
    if objectives.is_empty() {
        let message = "must be given for at least one output";
        return Err(Error::argument("objectives", message));
    }
    for (index, objective) in objectives.iter().enumerate() {
        objective.validate()?;
        let name = &objective.output;
        let names = architecture.outputs.iter().map(|output| &output.name);
        let Some(place) = names.clone().position(|output| output == name) else {
            return Err(Error::not_found("output", name, names));
        };
        let over_classes = objective.loss.is_over_classes();
        if over_classes && architecture.places_of(place).1 == 1 {
            let message = format!(
                "{} is over classes, and the output `{name}` has one unit, whose share of their sum is always 1, so that nothing is \
                 learned; for two classes take BinaryCrossentropy over one unit, or Softmax over two",
                objective.loss.name()
            );
            return Err(Error::argument("loss", message));
        }
        let numbers = matches!(objective.loss.takes(), Takes::Numbers | Takes::Any);
        if !numbers && architecture.scaler_of(name).is_some() {
            let message = format!(
                "is for targets that are numbers, but the loss of `{name}`, {}, is of classes",
                objective.loss.name()
            );
            return Err(Error::argument("target_scaling", message));
        }
        let mut earlier = objectives[..index].iter();
        if earlier.any(|other| other.output == *name) {
            let message = format!("name the output `{name}` twice");
            return Err(Error::argument("objectives", message));
        }
    }
    Ok(())
}

/// The losses, with the outputs' names and weights where there are several.
pub(crate) fn titles(objectives: &[Objective]) -> String {
    let [only] = objectives else {
        let told = objectives.iter().map(|objective| {
            let (title, weight) = (objective.loss.to_string(), objective.weight);
            let times = if weight == 1.0 {
                String::new()
            } else {
                format!("{weight}·")
            };
            format!("{times}{title} of {}", objective.output)
        });
        return told.collect::<Vec<_>>().join(" + ");
    };
    only.loss.to_string()
}
