//! The metrics of a model: what they record each step, where their numbers lie, and what they report of an epoch.
//!
//! The ring has the total loss, then where there are several outputs the loss of each, then for each output the means that
//! its metrics need. Tallies lie one after the other, output by output.

use crate::train::epoch_sums::EpochFigures;
use crate::train::loss::{Loss, Output, kept_of};
use crate::train::sizes::RING_ROWS;
use crate::{Error, Result, Tensor, op};

use super::counter::{Counted, EpochCounter};
use super::variable::tally_name;
use super::{ConfusionMatrix, Metric, MetricSetting, Tally, TallyInputs};

/// The most bytes that the counts of a metric may take, on a device that has more.
const MAX_TALLY_BYTES: u64 = 1 << 32;

/// Where the numbers lie that are copied for the host: the ring, then the tallies one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RingLayout {
    /// Columns of the ring: the loss, then the means.
    pub columns: usize,
    /// Epochs that each tally has room for.
    pub slots: usize,
    /// Cells of each tally.
    pub tallies: Vec<usize>,
}

/// Metrics of one output, all weighted or all not.
#[derive(Debug, Clone)]
pub(crate) struct OutputMetrics {
    /// The output's number among those that are trained.
    pub output: usize,
    metrics: Vec<(Metric, Source)>,
    means: Vec<Loss>,
    tallies: Vec<EpochCounter>,
    columns: usize,
    /// Whether rows count by their weights, whose sum is recorded after the means.
    pub weighted: bool,
    /// The label whose rows do not count; then the sum of what the others weigh is recorded too.
    ignored: Option<i32>,
    /// Where the model's ring has the first of its means.
    first_mean: usize,
    /// The number of its first tally among those of the model.
    first_tally: usize,
}

/// Where a metric's numbers are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Mean(usize),
    Tally(usize),
}

impl OutputMetrics {
    /// Metrics of an output in their setting, `weighted` where rows count by their weights.
    ///
    /// # Errors
    ///
    /// Settings out of range, targets that a metric cannot read, and two metrics of one name.
    pub fn new(
        output: usize,
        metrics: &[Metric],
        setting: &MetricSetting,
        weighted: bool,
    ) -> Result<Self> {
        let mut own = OutputMetrics {
            output,
            metrics: Vec::new(),
            means: Vec::new(),
            tallies: Vec::new(),
            columns: setting.columns,
            weighted,
            ignored: setting.ignored,
            first_mean: 1,
            first_tally: 0,
        };
        for metric in metrics {
            let name = metric.name();
            if own.names().any(|known| known == name) {
                let message =
                    format!("must differ in name, got `{name}` twice; `with_name` gives another");
                return Err(Error::argument("metrics", message));
            }
            let source = match metric.counter(setting)?.0 {
                Counted::Mean(mean)
                    if setting.columns == 1 && !setting.labels && mean.is_over_classes() =>
                {
                    let message = format!(
                        "hold `{name}`, which is over classes, and the output has one unit, of which it always is the same; \
                         for two classes take BinaryAccuracy or BinaryCrossentropy"
                    );
                    return Err(Error::argument("metrics", message));
                }
                Counted::Mean(mean) => Source::Mean(place(&mut own.means, mean)),
                Counted::Epoch(counter) => Source::Tally(place(&mut own.tallies, counter)),
            };
            own.metrics.push((metric.clone(), source));
        }
        Ok(own)
    }

    /// The numbers of each row to be recorded after the losses.
    pub fn rows(
        &self,
        output: &Output,
        target: &Tensor,
        cursor: &Tensor,
        weights: Option<&Tensor>,
    ) -> Vec<Tensor> {
        let weights = weights.filter(|_| self.weighted);
        let row = |mean: &Loss| {
            let rows = match self.ignored {
                Some(label) => mean.rows_without(label, output, target, cursor),
                None => mean.rows(output, target, cursor),
            };
            weights.map_or(rows.clone(), |weights| rows.mul(weights))
        };
        let mut rows: Vec<Tensor> = self.means.iter().map(row).collect();
        if self.counts_weights() {
            let batch = output.after.shape().dims().first().copied().unwrap_or(1);
            let graph = output.after.graph();
            let each = || graph.constant([batch], &vec![1.0; batch]);
            let kept = self.ignored.map(|label| kept_of(label, output, target));
            rows.push(match (kept, weights) {
                (Some(kept), Some(weights)) => kept.mul(weights),
                (Some(all), None) => all,
                (None, weights) => weights.cloned().unwrap_or_else(each),
            });
        }
        rows
    }

    /// Whether what rows weigh is recorded beside the means.
    fn counts_weights(&self) -> bool {
        self.weighted || self.ignored.is_some()
    }

    /// A metric that counts the rows with this label. What the program's own metrics do with it, only they know.
    fn counting(&self, label: i32) -> Option<&Metric> {
        let counts = |(metric, source): &&(Metric, Source)| match source {
            Source::Mean(_) => metric.is_built_in() && self.ignored != Some(label),
            Source::Tally(index) => !self.tallies[*index].leaves_out(label),
        };
        self.metrics.iter().find(counts).map(|(metric, _)| metric)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|(metric, _)| metric.name())
    }

    /// Adds a batch to the tallies of a program, which have room for `slots` epochs.
    pub fn tally(
        &self,
        program: &str,
        slots: usize,
        output: &Output,
        inputs: &TallyInputs,
    ) -> Vec<Tensor> {
        let record = |(index, counter): (usize, &EpochCounter)| {
            let name = tally_name(program, self.first_tally + index);
            counter.record(&name, slots, output, inputs)
        };
        self.tallies.iter().enumerate().map(record).collect()
    }

    /// The means in the ring.
    fn recorded(&self) -> usize {
        self.means.len() + usize::from(self.counts_weights())
    }

    fn read(&self, source: Source, figures: &EpochFigures) -> Tally {
        let sum = |index: usize| figures.sum(self.first_mean + index);
        match source {
            Source::Mean(index) => Tally::Mean {
                sum: sum(index),
                weight: if self.counts_weights() {
                    sum(self.means.len())
                } else {
                    figures.samples as f64
                },
            },
            Source::Tally(index) => {
                self.tallies[index].read(&figures.tallies[self.first_tally + index])
            }
        }
    }

    /// The metrics of an epoch by name; one with several values has a number after its name for each.
    fn report(&self, figures: &EpochFigures) -> Result<Vec<(String, f64)>> {
        let mut report = Vec::new();
        for (metric, source) in &self.metrics {
            let name = metric.name();
            match metric.values(&self.read(*source, figures))?[..] {
                [value] => report.push((name.to_string(), value)),
                ref values => {
                    let numbered = values.iter().enumerate();
                    report.extend(numbered.map(|(i, &value)| (format!("{name}_{i}"), value)));
                }
            }
        }
        Ok(report)
    }

    /// The confusion matrix, if a metric had one counted.
    fn confusion(&self, figures: &EpochFigures) -> Option<ConfusionMatrix> {
        let index = self.tallies.iter().position(EpochCounter::is_confusion)?;
        match self.read(Source::Tally(index), figures) {
            Tally::Confusion(matrix) => Some(matrix),
            _ => None,
        }
    }
}

/// The metrics of all outputs of a model side by side, and the names that they are told by.
#[derive(Debug, Clone)]
pub(crate) struct ModelMetrics {
    /// Two of an output whose metrics are weighted in part.
    pub columns: Vec<OutputMetrics>,
    /// The names of the outputs that are trained.
    outputs: Vec<String>,
    pub layout: RingLayout,
}

impl ModelMetrics {
    /// Refuses metrics of an output that count rows of a label that names no class.
    pub fn check_left_out(&self, output: usize, label: i32) -> Result<()> {
        let mut own = self.columns.iter().filter(|column| column.output == output);
        match own.find_map(|column| column.counting(label)) {
            None => Ok(()),
            Some(metric) => Err(Error::argument(
                "metrics",
                format!(
                    "{} counts rows of every label, and {label} names no class: metrics of `Classes`, such as `BalancedAccuracy`, \
                     leave them out by `ignore_class`",
                    metric.name()
                ),
            )),
        }
    }

    /// The names of all losses and metrics; those of the values of a metric with several have a number after it.
    pub(super) fn titles(&self) -> Vec<String> {
        let own = self.columns.iter().flat_map(|column| {
            let names = column.names();
            names.map(|name| self.title(column, name))
        });
        self.loss_names().into_iter().chain(own).collect()
    }

    /// The metrics of outputs of these names, whatever the metrics' names are.
    pub fn laid_out(outputs: Vec<String>, mut columns: Vec<OutputMetrics>) -> Self {
        let losses = if outputs.len() > 1 { outputs.len() } else { 0 };
        let (mut means, mut tallies) = (1 + losses, Vec::new());
        for column in &mut columns {
            (column.first_mean, column.first_tally) = (means, tallies.len());
            means += column.recorded();
            let counters = column.tallies.iter();
            tallies.extend(counters.map(|counter| counter.cells(column.columns)));
        }
        let cells = tallies.iter().copied().fold(0, usize::saturating_add);
        let slots = match cells {
            0 => RING_ROWS,
            cells => op::slots(cells),
        };
        let layout = RingLayout {
            columns: means,
            slots,
            tallies,
        };
        ModelMetrics {
            columns,
            outputs,
            layout,
        }
    }

    /// Refuses counts that need more than `most` bytes on the device, or than any should, by the metric that asks for them.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] that names the metric and its size.
    pub fn within(self, most: u64) -> Result<Self> {
        let most = most.min(MAX_TALLY_BYTES);
        for column in &self.columns {
            for (metric, source) in &column.metrics {
                let Source::Tally(index) = *source else {
                    continue;
                };
                let counter = &column.tallies[index];
                let cells = counter.cells(column.columns) as u64;
                let bytes = cells.saturating_mul(op::TALLY_CELL_BYTES * self.layout.slots as u64);
                if bytes > most {
                    let what = counter.told(column.columns);
                    let message = format!(
                        "{metric} needs {what}, which are {bytes} bytes on the device; at most {most} can be had there"
                    );
                    return Err(Error::argument("metrics", message));
                }
            }
        }
        Ok(self)
    }

    /// Whether the outputs' names stand before those of their losses and metrics.
    pub fn several(&self) -> bool {
        self.outputs.len() > 1
    }

    fn title(&self, column: &OutputMetrics, name: &str) -> String {
        if self.several() {
            format!("{}_{name}", self.outputs[column.output])
        } else {
            name.to_string()
        }
    }

    fn loss_names(&self) -> Vec<String> {
        if !self.several() {
            return Vec::new();
        }
        let name = |output: &String| format!("{output}_loss");
        self.outputs.iter().map(name).collect()
    }

    /// What [`report`](Self::report) names, in its order.
    ///
    /// # Errors
    ///
    /// What a metric of a user's own raises.
    pub fn names(&self) -> Result<Vec<String>> {
        // How many values a metric has follows from what is counted.
        let cells = self.layout.tallies.iter();
        let nothing = EpochFigures {
            sums: vec![0.0; self.layout.columns],
            tallies: cells.map(|&cells| vec![0.0; cells]).collect(),
            samples: 0,
        };
        let report = self.report(&nothing)?;
        Ok(report.into_iter().map(|(name, _)| name).collect())
    }

    /// The variables of a program that are copied for the host, in the order in which their numbers lie.
    pub fn copied(&self, program: &str) -> Vec<String> {
        let tallies = 0..self.layout.tallies.len();
        std::iter::once(format!("{program}.ring"))
            .chain(tallies.map(|index| tally_name(program, index)))
            .collect()
    }

    /// Losses of the outputs where there are several, then metrics, by name.
    ///
    /// # Errors
    ///
    /// What a metric of a user's own raises.
    pub fn report(&self, figures: &EpochFigures) -> Result<Vec<(String, f64)>> {
        let losses = self.loss_names().into_iter().enumerate();
        let losses = losses.map(|(i, name)| (name, figures.mean(1 + i)));
        let mut report: Vec<(String, f64)> = losses.collect();
        for column in &self.columns {
            let own = column.report(figures)?.into_iter();
            report.extend(own.map(|(name, value)| (self.title(column, &name), value)));
        }
        Ok(report)
    }

    /// The confusion matrix of the first output that has one counted.
    pub fn confusion(&self, figures: &EpochFigures) -> Option<ConfusionMatrix> {
        let mut columns = self.columns.iter();
        columns.find_map(|column| column.confusion(figures))
    }
}

/// The place of an item, which is kept once.
fn place<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    let known = items.iter().position(|known| *known == item);
    known.unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}
