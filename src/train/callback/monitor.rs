//! A figure that callbacks watch, and which way it gets better.

use crate::{Error, Result};

use super::Moment;

/// Which way a figure gets better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Losses and errors fall; accuracies, areas, precision, recall, F-scores, κ and R² rise: told by the name, as Keras does.
    #[default]
    Auto,
    /// Lower is better.
    Min,
    /// Higher is better.
    Max,
}

/// A figure of every epoch, the best of it so far, and how much better another must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    pub(super) name: String,
    mode: Mode,
    pub(super) min_delta: f64,
    best: Option<f64>,
}

/// Parts of the names of figures that get better as they rise.
const RISING: [&str; 15] = [
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "fbeta",
    "specificity",
    "sensitivity",
    "true_",
    "iou",
    "kappa",
    "matthews",
    "r2",
    "correlation",
    "cosine_similarity",
];

impl Monitor {
    /// Watches the figure of that name, such as `val_loss`.
    pub fn new(name: impl Into<String>) -> Self {
        Monitor {
            name: name.into(),
            mode: Mode::Auto,
            min_delta: 0.0,
            best: None,
        }
    }

    /// The figure's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    pub(super) fn rises(&self) -> bool {
        match self.mode {
            Mode::Auto => RISING.iter().any(|part| self.name.contains(part)),
            mode => mode == Mode::Max,
        }
    }

    /// Whether `value` is better than `other` by more than the least difference.
    pub(crate) fn is_better(&self, value: f64, other: f64) -> bool {
        match self.rises() {
            true => value - self.min_delta > other,
            false => value + self.min_delta < other,
        }
    }

    /// Takes the epoch's figure; whether it is the best so far.
    pub(super) fn improves(&mut self, moment: &Moment<'_>) -> Result<bool> {
        let value = moment.figure(&self.name)?;
        let better = match self.best {
            None => !value.is_nan(),
            Some(best) => self.is_better(value, best),
        };
        if better {
            self.best = Some(value);
        }
        Ok(better)
    }

    /// The best figure so far.
    pub(super) fn best(&self) -> Option<f64> {
        self.best
    }

    /// The bits of the best figure so far, which may be infinite.
    pub(super) fn bits(&self) -> Option<u64> {
        self.best.map(f64::to_bits)
    }

    /// Takes the best figure so far from its bits.
    pub(super) fn restore(&mut self, bits: Option<u64>) {
        self.best = bits.map(f64::from_bits);
    }

    /// Takes `value` as the best so far.
    pub(super) fn start_at(&mut self, value: Option<f64>) {
        self.best = value;
    }

    /// Refuses a validation figure in a run without validation, and a difference below 0.
    pub(crate) fn validate(&self, validates: bool) -> Result<()> {
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
        not_below_zero("min_delta", self.min_delta)
    }
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

/// Refuses a count of 0.
pub(super) fn at_least_one(name: &'static str, value: u64) -> Result<()> {
    if value >= 1 {
        return Ok(());
    }
    Err(Error::argument(name, "must be at least 1, got 0"))
}
