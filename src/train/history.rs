//! What a training run reports.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gpu::Counters;
use crate::{Error, Result};

use super::figures;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Stop {
    /// The number of epochs asked for was done.
    Epochs(u64),
    /// The maximum of steps was reached, as [`Fit::max_steps`](super::Fit::max_steps) or [`Fit::steps`](super::Fit::steps) gave
    /// it: whole batches, also where they were computed in parts.
    Steps(u64),
    /// An epoch's loss came down to the threshold.
    Loss {
        /// The loss of that epoch.
        #[serde(with = "bits")]
        loss: f64,
        /// The threshold.
        #[serde(with = "bits")]
        threshold: f64,
    },
    /// A callback ended it, for this reason.
    Callback(String),
    /// A budget for this call was used up; a run resumed from here goes on.
    Paused(String),
    /// An [`Interrupt`](super::Interrupt) was raised.
    Interrupted,
    /// The iterator that batches came from ended.
    Data,
}

/// Numbers that may be infinite, which JSON has not, as their bits.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.to_bits())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

impl<R: Into<String>> From<R> for Stop {
    fn from(reason: R) -> Self {
        Stop::Callback(reason.into())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Epochs(epochs) => write!(f, "the maximum of {epochs} epochs was reached"),
            Stop::Steps(steps) => write!(f, "the maximum of {steps} steps was reached"),
            Stop::Loss { loss, threshold } => {
                write!(f, "the loss {loss:.6} reached the threshold {threshold}")
            }
            Stop::Callback(reason) | Stop::Paused(reason) => f.write_str(reason),
            Stop::Interrupted => f.write_str("it was interrupted"),
            Stop::Data => f.write_str("there were no more batches"),
        }
    }
}

/// The figures of one epoch. A run that ends within an epoch reports the part that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// The mean loss over the epoch's samples, each measured before its batch's update, as Keras reports it.
    pub loss: f64,
    /// Metrics by name, in the order of `compile`.
    pub metrics: Vec<(String, f64)>,
    /// Loss on the validation data after the epoch.
    pub val_loss: Option<f64>,
    /// Metrics on the validation data after the epoch.
    pub val_metrics: Vec<(String, f64)>,
    /// Samples seen.
    pub samples: u64,
    /// Time from the end of the epoch before, validation included. Epochs so short that the device tells of several at once have
    /// equal shares of the time.
    pub time: Duration,
}

impl Epoch {
    /// A figure by Keras' name: `loss`, `accuracy`, `val_loss`, `val_accuracy` …
    pub fn get(&self, name: &str) -> Option<f64> {
        match name.strip_prefix("val_") {
            Some("loss") => self.val_loss,
            Some(metric) => find(&self.val_metrics, metric),
            None if name == "loss" => Some(self.loss),
            None => find(&self.metrics, name),
        }
    }

    /// All figures by name: the loss, the metrics, and those on validation data.
    pub fn figures(&self) -> impl Iterator<Item = (String, f64)> {
        let val_loss = self.val_loss.map(|loss| ("val_loss".to_string(), loss));
        let validation = self.val_metrics.iter();
        let validation = validation.map(|(name, value)| (format!("val_{name}"), *value));
        std::iter::once(("loss".to_string(), self.loss))
            .chain(self.metrics.iter().cloned())
            .chain(val_loss)
            .chain(validation)
    }
}

/// A figure of an epoch, as [`Epoch::get`] finds it, which must be there.
pub(super) fn figure(epoch: Option<&Epoch>, name: &str) -> Result<f64> {
    let found = epoch.and_then(|epoch| epoch.get(name));
    found.ok_or_else(|| {
        Error::not_found(
            "figure of an epoch",
            name,
            epoch
                .into_iter()
                .flat_map(Epoch::figures)
                .map(|(name, _)| name),
        )
    })
}

/// A record of every epoch, and why the run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The epochs of this run, in order.
    pub epochs: Vec<Epoch>,
    /// Why it ended.
    pub stop: Stop,
    /// Steps of this run: its batches, or their [parts](super::Fit::micro_batches).
    pub steps: u64,
    /// The loss of every step, in order: the mean over its batch before the update.
    pub step_losses: Vec<f64>,
    /// Time from the call of `fit` to the end of the first submission: compilation and uploads included.
    pub first_step: Duration,
    /// Events of the run, a sentence each: from where it was resumed, which checkpoint was damaged.
    pub notes: Vec<String>,
    /// What the run's steps asked of the GPU, counted after the data was uploaded; zero on the CPU. Where the device was lost
    /// on the way, what had been asked before, and what making all of it again took, count too.
    pub counters: Counters,
}

impl History {
    /// The history of a run that has not begun.
    pub(super) fn new(stop: Stop) -> Self {
        History {
            epochs: Vec::new(),
            stop,
            steps: 0,
            step_losses: Vec::new(),
            first_step: Duration::ZERO,
            notes: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The same without what it lists, which grows with the run.
    pub(super) fn without_lists(&self) -> Self {
        History {
            stop: self.stop.clone(),
            notes: self.notes.clone(),
            epochs: Vec::new(),
            step_losses: Vec::new(),
            ..*self
        }
    }

    /// How many epochs and losses of steps it lists.
    pub(super) fn lengths(&self) -> (usize, usize) {
        (self.epochs.len(), self.step_losses.len())
    }

    /// Lists what a later one of the same run did when it was of these [lengths](Self::lengths).
    pub(super) fn list_as(&mut self, later: &History, (epochs, losses): (usize, usize)) {
        self.epochs = later.epochs.iter().take(epochs).cloned().collect();
        let losses = later.step_losses.iter().take(losses);
        self.step_losses = losses.copied().collect();
    }

    /// The loss of every epoch.
    pub fn loss(&self) -> Vec<f64> {
        self.epochs.iter().map(|epoch| epoch.loss).collect()
    }

    /// The series of a metric by Keras' name: `loss`, `accuracy`, `val_loss`, `val_accuracy` …; empty where the run has no
    /// epochs.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] with the names that there are.
    pub fn get(&self, name: &str) -> Result<Vec<f64>> {
        let measured = self.epochs.iter().filter_map(|epoch| epoch.get(name));
        let series: Vec<f64> = measured.collect();
        if series.is_empty() && !self.epochs.is_empty() {
            figure(self.epochs.last(), name)?;
        }
        Ok(series)
    }
}

/// The pixels of a plot, across and down.
#[cfg(feature = "plot")]
const PLOT: (f64, f64) = (430.0, 340.0);

#[cfg(feature = "plot")]
impl History {
    /// Draws loss and metrics over the epochs, a plot for each with what was measured on validation data beside it, to an SVG file,
    /// which appears whole or not at all. Needs the feature `plot`.
    ///
    /// ```no_run
    /// # use kiln::prelude::*;
    /// # fn draw(model: &mut Model, data: &Dataset) -> Result<()> {
    /// let history = model.fit(data, Fit::epochs(20).validation_split(0.2))?;
    /// history.plot("curves.svg")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where no epoch was done, [`Error::Io`] where the file cannot be written.
    pub fn plot(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        use crate::formats::chart::{Plot, PlotSeries, Style, svg};
        let Some(first) = self.epochs.first() else {
            return Err(Error::data("there is no epoch to plot"));
        };
        let series = |name: String, label: &str| PlotSeries {
            label: label.into(),
            points: (1..)
                .map(f64::from)
                .zip(self.epochs.iter().filter_map(|epoch| epoch.get(&name)))
                .collect(),
            style: Style::Line,
        };
        let metrics = first.metrics.iter().map(|(name, _)| name.clone());
        let plots = std::iter::once("loss".to_string()).chain(metrics);
        let plots: Vec<Plot> = plots
            .map(|name| {
                let mut drawn = vec![
                    series(name.clone(), "training"),
                    series(format!("val_{name}"), "validation"),
                ];
                drawn.retain(|series| !series.points.is_empty());
                Plot {
                    title: name,
                    x: "epoch",
                    series: drawn,
                    ..Plot::default()
                }
            })
            .collect();
        crate::formats::write(&crate::formats::System, path, [svg(PLOT, &plots)])
    }
}

/// The figure of that name.
pub(super) fn find(figures: &[(String, f64)], name: &str) -> Option<f64> {
    let found = figures.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| *value)
}

impl fmt::Display for History {
    /// One line an epoch, several where they would have more than 100 columns, then why the run ended.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, epoch) in self.epochs.iter().enumerate() {
            let head = format!("epoch {:>4}", number + 1);
            writeln!(f, "{}", figures::lines(head, epoch.figures(), None))?;
        }
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        write!(f, "stopped after {} steps: {}", self.steps, self.stop)
    }
}
