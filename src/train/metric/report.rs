//! The metrics of a model: what they record each step, where their numbers lie, and what they report of an epoch.
//!
//! The ring has the total loss, then where there are several outputs the loss of each, then for each output the means that
//! its metrics need. Tallies lie one after the other, output by output.

use crate::train::epoch_sums::EpochFigures;
use crate::train::loss::{Loss, Output};
use crate::train::sizes::RING_ROWS;
use crate::{Error, Result, Tensor, op};

use super::counter::{Counted, EpochCounter};
use super::{ConfusionMatrix, Metric, MetricSetting, Tally, TallyInputs};

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

impl RingLayout {
    fn new(columns: usize, tallies: Vec<usize>) -> Self {
        RingLayout {
            columns,
            slots: match tallies.iter().sum() {
                0 => RING_ROWS,
                cells => op::slots(cells),
            },
            tallies,
        }
    }
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
    weighted: bool,
}

/// Where a metric's numbers are.
#[derive(Debug, Clone, Copy)]
enum Source {
    Mean(usize),
    Tally(usize),
}

impl OutputMetrics {
    /// Metrics of an output in their setting.
    ///
    /// # Errors
    ///
    /// Settings out of range, targets that a metric cannot read, and two metrics of one name.
    pub fn new(output: usize, metrics: &[Metric], setting: &MetricSetting) -> Result<Self> {
        let mut own = OutputMetrics {
            output,
            metrics: Vec::new(),
            means: Vec::new(),
            tallies: Vec::new(),
            columns: setting.columns,
            weighted: false,
        };
        for metric in metrics {
            let name = metric.name();
            if own.names().any(|known| known == name) {
                let message =
                    format!("must differ in name, got `{name}` twice; `with_name` gives another");
                return Err(Error::argument("metrics", message));
            }
            let source = match metric.counter(setting)?.0 {
                Counted::Mean(mean) => Source::Mean(place(&mut own.means, mean)),
                Counted::Epoch(counter) => Source::Tally(place(&mut own.tallies, counter)),
            };
            own.metrics.push((metric.clone(), source));
        }
        Ok(own)
    }

    /// The same with rows that count by their weights.
    pub fn weighted(self) -> Self {
        OutputMetrics {
            weighted: true,
            ..self
        }
    }

    pub fn is_weighted(&self) -> bool {
        self.weighted
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
            let rows = mean.rows(output, target, cursor);
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

    fn names(&self) -> impl Iterator<Item = &str> {
        self.metrics.iter().map(|(metric, _)| metric.name())
    }

    /// Adds a batch to the tallies of a program, which are numbered from `first` on and have room for `slots` epochs.
    pub fn tally(
        &self,
        program: &str,
        (first, slots): (usize, usize),
        output: &Output,
        inputs: &TallyInputs,
    ) -> Vec<Tensor> {
        let record = |(index, counter): (usize, &EpochCounter)| {
            counter.record(&tally_name(program, first + index), slots, output, inputs)
        };
        self.tallies.iter().enumerate().map(record).collect()
    }

    /// The means in the ring.
    fn recorded(&self) -> usize {
        self.means.len() + usize::from(self.weighted)
    }

    fn cells(&self) -> impl Iterator<Item = usize> {
        self.tallies
            .iter()
            .map(|counter| counter.cells(self.columns))
    }

    /// Where the numbers lie if there is no other output.
    pub fn layout(&self) -> RingLayout {
        RingLayout::new(1 + self.recorded(), self.cells().collect())
    }

    fn read(&self, source: Source, figures: &EpochFigures, mean: usize, tally: usize) -> Tally {
        let sum = |index: usize| {
            let mean = figures.values.get(mean + index).copied();
            mean.unwrap_or(f64::NAN) * figures.samples as f64
        };
        match source {
            Source::Mean(index) => Tally::Mean {
                sum: sum(index),
                weight: if self.weighted {
                    sum(self.means.len())
                } else {
                    figures.samples as f64
                },
            },
            Source::Tally(index) => self.tallies[index].read(&figures.tallies[tally + index]),
        }
    }

    /// The metrics of an epoch by name, their means from that place on in the ring and their tallies from that number on.
    /// One with several values has a number after its name for each.
    ///
    /// # Errors
    ///
    /// What a metric of a user's own raises.
    pub fn report(
        &self,
        figures: &EpochFigures,
        mean: usize,
        tally: usize,
    ) -> Result<Vec<(String, f64)>> {
        let mut report = Vec::new();
        for (metric, source) in &self.metrics {
            let name = metric.name();
            match metric.values(&self.read(*source, figures, mean, tally))?[..] {
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
    pub fn confusion(
        &self,
        figures: &EpochFigures,
        mean: usize,
        tally: usize,
    ) -> Option<ConfusionMatrix> {
        let mut counted = self.tallies.iter().enumerate();
        let (index, _) =
            counted.find(|(_, counter)| matches!(counter, EpochCounter::Confusion { .. }))?;
        match self.read(Source::Tally(index), figures, mean, tally) {
            Tally::Confusion(matrix) => Some(matrix),
            _ => None,
        }
    }
}

/// The metrics of all outputs of a model side by side, and the names that they are told by.
#[derive(Debug, Clone)]
pub(crate) struct ModelMetrics {
    /// Two of an output whose metrics are weighted in part.
    columns: Vec<OutputMetrics>,
    /// The names of the outputs that are trained.
    outputs: Vec<String>,
}

impl ModelMetrics {
    /// The metrics of outputs of these names.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where two metrics have one name.
    pub fn new(outputs: Vec<String>, columns: Vec<OutputMetrics>) -> Result<Self> {
        let metrics = ModelMetrics { columns, outputs };
        let own = metrics.columns.iter().flat_map(|column| {
            let names = column.names();
            names.map(|name| metrics.title(column, name))
        });
        let names: Vec<String> = metrics.loss_names().into_iter().chain(own).collect();
        match (0..names.len()).find(|&i| names[..i].contains(&names[i]) || names[i] == "loss") {
            Some(i) => Err(Error::argument(
                "metrics",
                format!("must differ in name, got `{}` twice", names[i]),
            )),
            None => Ok(metrics),
        }
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
        let layout = self.layout();
        let cells = layout.tallies.iter();
        let nothing = EpochFigures {
            values: vec![0.0; layout.columns],
            tallies: cells.map(|&cells| vec![0.0; cells]).collect(),
            samples: 0,
        };
        let report = self.report(&nothing)?;
        Ok(report.into_iter().map(|(name, _)| name).collect())
    }

    /// The metrics of each output, in the order in which their numbers lie.
    pub fn columns(&self) -> impl Iterator<Item = &OutputMetrics> {
        self.columns.iter()
    }

    /// Places of an output's first mean in the ring and of its first tally, output by output.
    fn places(&self) -> impl Iterator<Item = (&OutputMetrics, usize, usize)> {
        let mut next = (1 + self.loss_names().len(), 0);
        self.columns.iter().map(move |column| {
            let (mean, tally) = next;
            next = (mean + column.recorded(), tally + column.tallies.len());
            (column, mean, tally)
        })
    }

    /// Every output's number of its first tally.
    pub fn first_tallies(&self) -> Vec<usize> {
        self.places().map(|(_, _, tally)| tally).collect()
    }

    /// The variables of a program that are copied for the host, in the order in which their numbers lie.
    pub fn copied(&self, program: &str) -> Vec<String> {
        let tallies = 0..self.layout().tallies.len();
        std::iter::once(format!("{program}.ring"))
            .chain(tallies.map(|index| tally_name(program, index)))
            .collect()
    }

    /// Where the numbers of all outputs lie.
    pub fn layout(&self) -> RingLayout {
        let recorded: usize = self.columns.iter().map(OutputMetrics::recorded).sum();
        let columns = 1 + self.loss_names().len() + recorded;
        let cells = self.columns.iter().flat_map(OutputMetrics::cells);
        RingLayout::new(columns, cells.collect())
    }

    /// Losses of the outputs where there are several, then metrics, by name.
    ///
    /// # Errors
    ///
    /// What a metric of a user's own raises.
    pub fn report(&self, figures: &EpochFigures) -> Result<Vec<(String, f64)>> {
        let value = |index: usize| figures.values.get(index).copied().unwrap_or(f64::NAN);
        let losses = self.loss_names().into_iter().enumerate();
        let mut report: Vec<(String, f64)> = losses.map(|(i, name)| (name, value(1 + i))).collect();
        for (column, mean, tally) in self.places() {
            let own = column.report(figures, mean, tally)?;
            report.extend(
                own.into_iter()
                    .map(|(name, value)| (self.title(column, &name), value)),
            );
        }
        Ok(report)
    }

    /// The confusion matrix of the first output that has one counted.
    pub fn confusion(&self, figures: &EpochFigures) -> Option<ConfusionMatrix> {
        let mut places = self.places();
        places.find_map(|(column, mean, tally)| column.confusion(figures, mean, tally))
    }
}

/// The name of a tally's variable.
pub(super) fn tally_name(program: &str, index: usize) -> String {
    format!("{program}.tally.{index}")
}

/// The place of an item, which is kept once.
fn place<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    let known = items.iter().position(|known| *known == item);
    known.unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}
