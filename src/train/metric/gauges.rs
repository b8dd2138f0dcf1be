//! The metrics of a model: what they record each step, and what they report of an epoch.

use crate::nn::Activation;
use crate::train::ledger::Means;
use crate::train::loss::Output;
use crate::train::sizes::RING_ROWS;
use crate::{Error, Result, Tensor, op};

use super::measurement::{Measurement, Row, TallySpec};
use super::{ConfusionMatrix, Metric, Tally};

/// What metrics are applied to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    /// Output columns, those of a position where there are several.
    pub columns: usize,
    /// Positions of a row.
    pub positions: usize,
    /// Whether targets are integer labels.
    pub labels: bool,
    /// The last activation.
    pub activation: Activation,
    /// The loss's name, for messages.
    pub loss: String,
}

/// Where a batch's targets and weights come from.
#[derive(Debug, Clone)]
pub(crate) struct TallyInputs {
    /// The clock's cursor.
    pub cursor: Tensor,
    /// The batch's targets, or with `indices` a data set's.
    pub target: Tensor,
    /// The rows of the data set that make the batch.
    pub indices: Option<Tensor>,
    /// A weight for each row of `target`.
    pub weights: Option<Tensor>,
}

/// Where the numbers lie that are copied for the host: the ring, then the tallies one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Columns of the ring: the loss, then the means.
    pub columns: usize,
    /// Epochs that each tally has room for.
    pub slots: usize,
    /// Cells of each tally.
    pub tallies: Vec<usize>,
}

/// Metrics in their setting.
#[derive(Debug, Clone)]
pub(crate) struct Gauges {
    metrics: Vec<(Metric, Source)>,
    means: Vec<Row>,
    tallies: Vec<TallySpec>,
    columns: usize,
    /// Whether rows count by their weights, whose sum is recorded behind the means.
    weighted: bool,
}

/// Where a metric's numbers are.
#[derive(Debug, Clone, Copy)]
enum Source {
    Mean(usize),
    Tally(usize),
}

impl Gauges {
    /// # Errors
    ///
    /// Those of settings out of range and of targets that a metric cannot read; two metrics of one name.
    pub fn new(metrics: &[Metric], setting: &Setting) -> Result<Self> {
        let mut gauges = Gauges {
            metrics: Vec::new(),
            means: Vec::new(),
            tallies: Vec::new(),
            columns: setting.columns,
            weighted: false,
        };
        for metric in metrics {
            if gauges
                .metrics
                .iter()
                .any(|(known, _)| known.name() == metric.name())
            {
                let name = metric.name();
                let message =
                    format!("must differ in name, got `{name}` twice; `named` gives another");
                return Err(Error::argument("metrics", message));
            }
            let source = match metric.measurement(setting)? {
                Measurement::Mean(mean) => Source::Mean(place(&mut gauges.means, mean)),
                Measurement::Tally(spec) => Source::Tally(place(&mut gauges.tallies, spec)),
            };
            gauges.metrics.push((metric.clone(), source));
        }
        Ok(gauges)
    }

    /// The same with rows that count by their weights.
    pub fn weighted(self) -> Self {
        Gauges {
            weighted: true,
            ..self
        }
    }

    pub fn is_weighted(&self) -> bool {
        self.weighted
    }

    /// The numbers of each row to be recorded behind the loss.
    pub fn rows(
        &self,
        output: &Output,
        target: &Tensor,
        cursor: &Tensor,
        weights: Option<&Tensor>,
    ) -> Vec<Tensor> {
        let weights = weights.filter(|_| self.weighted);
        let row = |row: &Row| {
            let rows = row.of(output, target, cursor);
            weights.map_or(rows.clone(), |weights| rows.mul(weights))
        };
        let mut rows: Vec<Tensor> = self.means.iter().map(row).collect();
        if self.weighted {
            let batch = output.after.shape().dims().first().copied().unwrap_or(1);
            let graph = output.after.graph();
            let each = || graph.constant([batch], &vec![1.0; batch]);
            rows.push(weights.cloned().unwrap_or_else(each));
        }
        rows
    }

    /// The names of the metrics.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|(metric, _)| metric.name())
    }

    /// Adds a batch to the tallies of a program, which are numbered from `first` on and have room for so many epochs.
    pub fn tally(
        &self,
        program: &str,
        (first, slots): (usize, usize),
        output: &Output,
        supply: &TallyInputs,
    ) -> Vec<Tensor> {
        let record = |(index, spec): (usize, &TallySpec)| {
            spec.record(&tally_name(program, first + index), slots, output, supply)
        };
        self.tallies.iter().enumerate().map(record).collect()
    }

    /// The variables that are copied for the host.
    pub fn copied(&self, program: &str) -> Vec<String> {
        let tallies = (0..self.tallies.len()).map(|index| tally_name(program, index));
        std::iter::once(format!("{program}.ring"))
            .chain(tallies)
            .collect()
    }

    pub fn layout(&self) -> Layout {
        let tallies: Vec<usize> = self
            .tallies
            .iter()
            .map(|spec| spec.cells(self.columns))
            .collect();
        Layout {
            columns: 1 + self.means.len() + usize::from(self.weighted),
            slots: match tallies.iter().sum() {
                0 => RING_ROWS,
                cells => op::slots(cells),
            },
            tallies,
        }
    }

    fn read(&self, source: Source, means: &Means, mean: usize, tally: usize) -> Tally {
        let sum = |index: usize| {
            let mean = means.values.get(mean + index).copied();
            mean.unwrap_or(f64::NAN) * means.samples as f64
        };
        match source {
            Source::Mean(index) => Tally::Mean {
                sum: sum(index),
                weight: match self.weighted {
                    true => sum(self.means.len()),
                    false => means.samples as f64,
                },
            },
            Source::Tally(index) => self.tallies[index].read(&means.tallies[tally + index]),
        }
    }

    /// The metrics of an epoch by name, their means from that place on in the ring and their tallies from that number on.
    /// One with several values has a number behind its name for each.
    pub fn report(&self, means: &Means, mean: usize, tally: usize) -> Result<Vec<(String, f64)>> {
        let mut report = Vec::new();
        for (metric, source) in &self.metrics {
            match metric.values(&self.read(*source, means, mean, tally))?[..] {
                [value] => report.push((metric.name().to_string(), value)),
                ref values => report.extend(
                    values
                        .iter()
                        .enumerate()
                        .map(|(i, &value)| (format!("{}_{i}", metric.name()), value)),
                ),
            }
        }
        Ok(report)
    }

    /// The confusion matrix, if a metric had one counted.
    pub fn confusion(&self, means: &Means, mean: usize, tally: usize) -> Option<ConfusionMatrix> {
        self.metrics
            .iter()
            .filter(|(metric, _)| metric.plain().is_by_classes())
            .find_map(|(_, source)| match self.read(*source, means, mean, tally) {
                Tally::Confusion(matrix) => Some(matrix),
                _ => None,
            })
    }
}

pub(super) fn tally_name(program: &str, index: usize) -> String {
    format!("{program}.tally.{index}")
}

/// The place of an item, which is kept once.
fn place<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items
        .iter()
        .position(|known| *known == item)
        .unwrap_or_else(|| {
            items.push(item);
            items.len() - 1
        })
}
