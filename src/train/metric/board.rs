//! The metrics of all outputs of a model: where their numbers lie beside each other, and under which names they are told.

use crate::train::ledger::Means;
use crate::train::sizes::RING_ROWS;
use crate::{Error, Result, op};

use super::ConfusionMatrix;
use super::gauges::{Gauges, Layout};

/// What is recorded of every output: the ring has the total loss, then where there are several outputs the loss of each,
/// then for each output the means that its metrics need and those of a user's own.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    /// Two of an output whose metrics are weighted in part.
    columns: Vec<Column>,
    outputs: usize,
}

/// Metrics of one output.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// The output's number among those that are trained, and its name.
    pub output: usize,
    name: String,
    pub gauges: Gauges,
    own: Vec<String>,
}

impl Board {
    /// Of outputs by name, with the names of metrics of a user's own, and those that are weighted.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where two metrics have one name.
    pub fn new(outputs: Vec<(String, Gauges, Vec<String>, Option<Gauges>)>) -> Result<Self> {
        let mut board = Board {
            columns: Vec::new(),
            outputs: outputs.len(),
        };
        for (output, (name, gauges, own, weighted)) in outputs.into_iter().enumerate() {
            let weighted = weighted.map(|gauges| Column {
                output,
                name: name.clone(),
                gauges,
                own: Vec::new(),
            });
            board.columns.push(Column {
                output,
                name,
                gauges,
                own,
            });
            board.columns.extend(weighted);
        }
        let own = board.columns.iter().flat_map(|column| {
            let built_in = column.gauges.names().map(str::to_string);
            built_in
                .chain(column.own.iter().cloned())
                .map(|name| board.title(column, &name))
        });
        let names: Vec<String> = board.loss_names().into_iter().chain(own).collect();
        match (1..names.len()).find(|&i| names[..i].contains(&names[i]) || names[i] == "loss") {
            Some(i) => Err(Error::argument(
                "metrics",
                format!("must differ in name, got `{}` twice", names[i]),
            )),
            None => Ok(board),
        }
    }

    /// Whether the outputs' names stand before those of their losses and metrics.
    pub fn several(&self) -> bool {
        self.outputs > 1
    }

    fn title(&self, column: &Column, name: &str) -> String {
        match self.several() {
            true => format!("{}_{name}", column.name),
            false => name.to_string(),
        }
    }

    fn loss_names(&self) -> Vec<String> {
        let names = self
            .columns
            .iter()
            .filter(|column| !column.gauges.is_weighted())
            .map(|column| format!("{}_loss", column.name));
        if self.several() {
            names.collect()
        } else {
            Vec::new()
        }
    }

    /// What [`report`](Self::report) names, in its order.
    pub fn names(&self) -> Result<Vec<String>> {
        // How many values a metric has follows from what is counted.
        let layout = self.layout();
        let nothing = Means {
            values: vec![0.0; layout.columns],
            tallies: layout
                .tallies
                .iter()
                .map(|&cells| vec![0.0; cells])
                .collect(),
            samples: 0,
        };
        let report = self.report(&nothing)?;
        Ok(report.into_iter().map(|(name, _)| name).collect())
    }

    /// The metrics, in the order in which their numbers lie.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter()
    }

    fn gauges(&self) -> impl Iterator<Item = &Gauges> {
        self.columns.iter().map(|column| &column.gauges)
    }

    /// Places of an output's first mean in the ring and of its first tally, output by output.
    fn places(&self) -> impl Iterator<Item = (&Column, usize, usize)> {
        let mut place = (1 + self.loss_names().len(), 0);
        self.columns.iter().map(move |column| {
            let (mean, tally) = place;
            let layout = column.gauges.layout();
            place = (
                mean + layout.columns - 1 + column.own.len(),
                tally + layout.tallies.len(),
            );
            (column, mean, tally)
        })
    }

    /// Every output's number of its first tally.
    pub fn first_tallies(&self) -> Vec<usize> {
        self.places().map(|(_, _, tally)| tally).collect()
    }

    /// The variables that are copied for the host.
    pub fn copied(&self, program: &str) -> Vec<String> {
        let tallies = 0..self.layout().tallies.len();
        std::iter::once(format!("{program}.ring"))
            .chain(tallies.map(|index| super::gauges::tally_name(program, index)))
            .collect()
    }

    pub fn layout(&self) -> Layout {
        let layouts: Vec<Layout> = self.gauges().map(Gauges::layout).collect();
        let tallies: Vec<usize> = layouts.iter().flat_map(|l| l.tallies.clone()).collect();
        let own: usize = self.columns.iter().map(|column| column.own.len()).sum();
        let means: usize = layouts.iter().map(|layout| layout.columns - 1).sum();
        Layout {
            columns: 1 + self.loss_names().len() + means + own,
            slots: match tallies.iter().sum() {
                0 => RING_ROWS,
                cells => op::slots(cells),
            },
            tallies,
        }
    }

    /// Losses of the outputs where there are several, then metrics, by name.
    pub fn report(&self, means: &Means) -> Result<Vec<(String, f64)>> {
        let value = |index: usize| means.values.get(index).copied().unwrap_or(f64::NAN);
        let losses = self.loss_names().into_iter().enumerate();
        let mut report: Vec<(String, f64)> = losses.map(|(i, name)| (name, value(1 + i))).collect();
        for (column, mean, tally) in self.places() {
            let own_at = mean + column.gauges.layout().columns - 1;
            let built_in = column.gauges.report(means, mean, tally)?;
            let own = column.own.iter().enumerate();
            let own = own.map(|(i, name)| (name.clone(), value(own_at + i)));
            let named = |(name, value): (String, f64)| (self.title(column, &name), value);
            report.extend(built_in.into_iter().chain(own).map(named));
        }
        Ok(report)
    }

    /// The confusion matrix of the first output that has one counted.
    pub fn confusion(&self, means: &Means) -> Option<ConfusionMatrix> {
        let mut places = self.places();
        places.find_map(|(column, mean, tally)| column.gauges.confusion(means, mean, tally))
    }
}
