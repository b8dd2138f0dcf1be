//! A figure that callbacks watch, and which way it gets better.

use crate::train::{Metric, Model, Objective};
use crate::{Error, Result};

use super::Moment;

/// Which way a figure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Keras' way: a figure whose name ends in `loss` falls, and a metric of the model is asked by
    /// [`MetricFunction::rises`](crate::train::MetricFunction::rises). A metric of one's own, which cannot tell, is refused
    /// when the run begins.
    #[default]
    Auto,
    /// Lower is better.
    Min,
    /// Higher is better.
    Max,
}

/// A figure of every epoch that a callback watches, and which way it gets better. A name alone makes one with [`Mode::Auto`]:
/// `EarlyStopping::new("val_loss", 5)`, `EarlyStopping::new(Monitor::new("val_gain").mode(Mode::Max), 5)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    pub(in crate::train) name: String,
    mode: Mode,
    /// How much better than the best another must be.
    pub(super) min_delta: f64,
    /// The best so far.
    pub(super) best: Option<f64>,
    /// Whether higher is better: known when a run has begun.
    pub(super) rises: bool,
}

impl<N: Into<String>> From<N> for Monitor {
    fn from(name: N) -> Self {
        Monitor::new(name)
    }
}

impl Monitor {
    /// Watches the figure of that name, such as `val_loss`.
    pub fn new(name: impl Into<String>) -> Self {
        Monitor {
            name: name.into(),
            mode: Mode::Auto,
            min_delta: 0.0,
            best: None,
            rises: false,
        }
    }

    /// Which way the figure gets better; default: told by the metric, see [`Mode::Auto`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether `value` is better than `other` by more than the least difference.
    pub(crate) fn is_better(&self, value: f64, other: f64) -> bool {
        let gain = if self.rises {
            value - other
        } else {
            other - value
        };
        // As f32 too, so that 0.8 is better than 0.7 by 0.1 and not by more.
        gain > self.min_delta && gain as f32 > self.min_delta as f32
    }

    /// Whether `value` is better by more than the least difference than a number that the user wrote: whole numbers compared as
    /// they are, others as f32.
    pub(super) fn beats(&self, value: f64, written: f64) -> bool {
        let limit = if self.rises {
            written + self.min_delta
        } else {
            written - self.min_delta
        };
        let (value, limit) = if are_whole(value, limit) {
            (value, limit)
        } else {
            (f64::from(value as f32), f64::from(limit as f32))
        };
        if self.rises {
            value > limit
        } else {
            value < limit
        }
    }

    /// Whether `value` is at a number that the user wrote, or beyond it.
    pub(super) fn reaches(&self, value: f64, written: f64) -> bool {
        is_same(value, written)
            || if self.rises {
                value >= written
            } else {
                value <= written
            }
    }

    /// Takes the epoch's figure; whether it is the best so far.
    pub(super) fn improves(&mut self, moment: &Moment<'_>) -> Result<bool> {
        let value = moment.figure(&self.name)?;
        let best = self.best;
        let better = best.map_or(!value.is_nan(), |best| self.is_better(value, best));
        if better {
            self.best = Some(value);
        }
        Ok(better)
    }

    /// The bits of the best figure so far, which may be infinite.
    pub(super) fn bits(&self) -> Option<u64> {
        self.best.map(f64::to_bits)
    }

    /// Learns which way the figure gets better in a run of this model. Refuses a figure that no epoch of the run will have; the
    /// best so far stays.
    pub(crate) fn begin(&mut self, validates: bool, model: &Model) -> Result<()> {
        if figure_names(true, model)?.contains(&self.name) {
            return self.resolve_direction(validates, &model.objectives);
        }
        let known = figure_names(validates, model)?;
        Err(Error::not_found("figure of an epoch", &self.name, known))
    }

    /// Learns which way the figure gets better from what the model measures. Refuses a validation figure in a run without
    /// validation, a difference below 0, and a metric of one's own without a mode.
    fn resolve_direction(&mut self, validates: bool, objectives: &[Objective]) -> Result<()> {
        if self.name.starts_with("val_") && !validates {
            return Err(Error::argument(
                "monitor",
                format!(
                    "`{}` is measured on validation data, and this run has none: give `Fit` a `validation` or a \
                     `validation_split`",
                    self.name
                ),
            ));
        }
        not_below_zero("min_delta", self.min_delta)?;
        self.rises = match self.mode {
            Mode::Auto => self.told(objectives)?,
            mode => mode == Mode::Max,
        };
        Ok(())
    }

    /// Whether the figure gets better as it rises; not where no output of the model has it.
    fn told(&self, objectives: &[Objective]) -> Result<bool> {
        let figure = self.name.strip_prefix("val_").unwrap_or(&self.name);
        if figure.ends_with("loss") {
            return Ok(false);
        }
        for objective in objectives {
            // With several outputs their names stand before those of their metrics.
            let name = match objectives {
                [_] => Some(figure),
                _ => figure
                    .strip_prefix(objective.output.as_str())
                    .and_then(|rest| rest.strip_prefix('_')),
            };
            let Some(name) = name else { continue };
            let weighted = objective.weighted();
            let metrics = || objective.metrics.iter().chain(&weighted);
            let exact = metrics().find(|metric| metric.name() == name);
            if let Some(metric) = exact.or_else(|| metrics().find(|metric| is_part(name, metric))) {
                let message = || {
                    format!(
                        "`{}` is a metric of your own, which may rise or fall as it gets better: say which by `mode`",
                        self.name
                    )
                };
                let rises = metric.rises();
                return rises.ok_or_else(|| Error::argument("monitor", message()));
            }
        }
        Ok(false)
    }
}

/// Whether two numbers are counts, which are exact beyond what f32 holds.
fn are_whole(a: f64, b: f64) -> bool {
    a.fract() == 0.0 && b.fract() == 0.0
}

/// Whether a figure is a number that the user wrote, to the precision of the rows that it comes from: the mean of rows that are
/// all 0.1f32 is 0.1. Counts are the same where all their digits are.
pub(in crate::train) fn is_same(value: f64, written: f64) -> bool {
    if are_whole(value, written) {
        return value == written;
    }
    (value as f32).is_normal() && value as f32 == written as f32
}

/// The names of the figures that every epoch of a run of this model has, in their order.
pub(super) fn figure_names(validates: bool, model: &Model) -> Result<Vec<String>> {
    let mut known = vec!["loss".to_string()];
    known.extend(model.recipe().metrics()?.names()?);
    if validates {
        let validated: Vec<String> = known.iter().map(|name| format!("val_{name}")).collect();
        known.extend(validated);
    }
    Ok(known)
}

/// Whether the name is that of one value of a metric that has several, such as `recall_1`.
fn is_part(name: &str, metric: &Metric) -> bool {
    let number = name
        .strip_prefix(metric.name())
        .and_then(|rest| rest.strip_prefix('_'));
    number.is_some_and(|digits| digits.parse::<usize>().is_ok())
}

/// Refuses what is not a number from 0.
pub(super) fn not_below_zero(name: &'static str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::argument(
        name,
        format!("must be at least 0 and finite, got {value}"),
    ))
}

pub(in crate::train) fn at_least_one(name: &'static str, value: u64) -> Result<()> {
    if value >= 1 {
        return Ok(());
    }
    Err(Error::argument(name, "must be at least 1, got 0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Loss, R2};

    fn rises(figure: &str, objectives: &[Objective]) -> bool {
        let mut monitor = Monitor::new(figure);
        monitor.resolve_direction(true, objectives).unwrap();
        monitor.rises
    }

    #[test]
    fn counts_beyond_what_f32_holds_are_told_apart() {
        assert!(!is_same(20_000_000.0, 20_000_001.0) && is_same(20_000_001.0, 20_000_001.0));
        let mut monitor = Monitor::new("true_positives");
        monitor.rises = true;
        assert!(!monitor.reaches(20_000_000.0, 20_000_001.0));
        assert!(monitor.beats(20_000_001.0, 20_000_000.0));
        // The mean of rows of 0.1f32 is 0.1, which is not beaten by it.
        let mean = f64::from(0.1f32);
        assert!(is_same(mean, 0.1) && !monitor.beats(mean, 0.1));
    }

    #[test]
    fn the_direction_is_the_metrics_and_not_that_of_a_part_of_a_name() {
        let one = [Objective::new("y", Loss::CosineSimilarity)
            .metric(Metric::MeanIou(2))
            .metric(Metric::ExplainedVariance(R2::default()))
            .metric(Metric::MeanAbsoluteError.with_name("inaccuracy"))
            .metric(Metric::TruePositives(vec![0.2, 0.8]))
            .metric(Metric::Accuracy)
            .weighted_metric(Metric::Accuracy)];
        for figure in [
            "mean_io_u",
            "val_mean_io_u",
            "explained_variance",
            "true_positives_1",
            "val_accuracy",
            "weighted_accuracy",
        ] {
            assert!(rises(figure, &one), "{figure}");
        }
        for figure in ["loss", "val_loss", "inaccuracy", "val_inaccuracy"] {
            assert!(!rises(figure, &one), "{figure}");
        }
        let of = |loss: Loss| [Objective::new("y", Loss::MeanSquaredError).metric(loss)];
        assert!(!rises("cosine_similarity", &of(Loss::CosineSimilarity)));
        let cosine = [Objective::new("y", Loss::Hinge).metric(Metric::CosineSimilarity)];
        assert!(rises("cosine_similarity", &cosine));
    }

    #[test]
    fn outputs_names_say_nothing_about_the_direction() {
        let objective = |name: &str| {
            Objective::new(name, Loss::MeanSquaredError)
                .metric(Metric::MeanSquaredError)
                .metric(Metric::R2Score(R2::default()))
        };
        let several = [
            objective("acceleration"),
            objective("previous"),
            objective("loss"),
        ];
        for output in ["acceleration", "previous", "loss"] {
            for (metric, expected) in [
                ("loss", false),
                ("mean_squared_error", false),
                ("r2_score", true),
            ] {
                let figure = format!("{output}_{metric}");
                assert_eq!(rises(&figure, &several), expected, "{figure}");
                assert_eq!(rises(&format!("val_{figure}"), &several), expected);
            }
        }
    }

    #[test]
    fn a_mode_overrides_and_a_metric_of_ones_own_needs_one() {
        let own = [Objective::new("y", Loss::MeanSquaredError)
            .metric(Metric::from_fn("gain", |y, _| y.clone()))];
        let refusal = Monitor::new("val_gain")
            .resolve_direction(true, &own)
            .unwrap_err();
        assert!(refusal.to_string().contains("`mode`"), "{refusal}");
        for (mode, rises) in [(Mode::Max, true), (Mode::Min, false)] {
            for figure in ["gain", "loss"] {
                let mut monitor = Monitor::new(figure).mode(mode);
                monitor.resolve_direction(true, &own).unwrap();
                assert_eq!(monitor.rises, rises, "{figure} {mode:?}");
            }
        }
    }
}
