//! Metrics over batches that come one after the other from the host.

use crate::graph::Role;
use crate::nn::Activation;
use crate::op::{Parts, cursor, read_cells};
use crate::session::ElementsRef;
use crate::train::epoch_sums::EpochFigures;
use crate::train::loss::Output;
use crate::{Device, Error, Graph, Initial, Plan, Program, Result, Session, Targets, TensorType};

use super::{ConfusionMatrix, Metric, MetricSetting, ModelMetrics, OutputMetrics, TallyInputs};

/// Rows that one run takes; an update of more runs several times.
const BATCH: usize = 256;

const PROGRAM: &str = "update";

/// Metrics over predictions that come batch by batch from the host: Keras' `update_state` and `result`. The same ops run as in
/// `fit` and `evaluate`.
///
/// ```
/// use kiln::train::{Metric, Streaming};
/// use kiln::{Device, Targets};
///
/// let labels = |labels: &[u32]| Targets::Labels { labels: labels.to_vec(), classes: 2 };
/// let metrics = [Metric::Accuracy, Metric::Recall(0.5)];
/// let mut stream = Streaming::new(&Device::cpu(), &metrics, 2, &labels(&[]))?;
/// stream.update(&labels(&[1, 0]), &[0.1, 0.9, 0.3, 0.7], None)?;
/// stream.update(&labels(&[1]), &[0.2, 0.8], None)?;
/// assert_eq!(stream.result()?[0], ("accuracy".to_string(), 2.0 / 3.0));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct Streaming {
    metrics: ModelMetrics,
    session: Session,
    columns: usize,
    labels: bool,
    /// 0 in place of a loss, then Σ w·m of each mean, then Σ w.
    sums: Vec<f64>,
    rows: u64,
}

impl Streaming {
    /// For predictions of `columns` numbers a row, and targets of the form of `targets`, whose contents do not matter.
    ///
    /// # Errors
    ///
    /// Settings of a metric out of range, targets that a metric cannot read, and what opening a session raises.
    pub fn new(
        device: &Device,
        metrics: &[Metric],
        columns: usize,
        targets: &Targets,
    ) -> Result<Self> {
        if columns == 0 {
            return Err(Error::argument("columns", "must be at least 1, got 0"));
        }
        let labels = targets.as_labels().is_some();
        let setting = MetricSetting {
            columns,
            labels,
            activation: Activation::Linear,
            loss: "this stream".into(),
            ignored: None,
        };
        let own = OutputMetrics::new(0, metrics, &setting, true)?;
        let metrics = ModelMetrics::laid_out(vec![String::new()], vec![own])
            .within(device.target().max_binding_bytes)?;
        let own = &metrics.columns[0];
        let graph = Graph::new();
        let y = graph.input("y", [BATCH, columns]);
        let target = if labels {
            graph.labels("t", [BATCH])
        } else {
            graph.input("t", [BATCH, columns])
        };
        let weights = graph.input("w", [BATCH]);
        let cursor = graph.labels("cursor", [cursor::WORDS]);
        let output = Output {
            before: y.clone(),
            after: y,
            activation: Activation::Linear,
            positions: 1,
        };
        let rows = own.rows(&output, &target, &cursor, Some(&weights));
        let kind = TensorType::f32([1, 1 + rows.len(), Parts::of(BATCH).numbers()]);
        let name = format!("{PROGRAM}.ring");
        let ring = graph.variable_as(Role::Scratch, name, kind, Initial::Zeros);
        // The first column is that of a loss, of which there is none.
        let each = rows.iter().zip(1..);
        let each = each.map(|(row, column)| row.record(&ring, &cursor, column));
        let mut updates: Vec<_> = each.collect();
        let inputs = TallyInputs {
            cursor,
            target,
            indices: None,
            weights: Some(weights),
        };
        updates.extend(own.tally(PROGRAM, metrics.layout.slots, &output, &inputs));
        let plan = Plan::compile(
            &graph,
            device.target(),
            [Program::new(PROGRAM).update(&updates)],
        )?;
        Ok(Streaming {
            sums: vec![0.0; 1 + rows.len()],
            session: device.open(&plan)?,
            metrics,
            columns,
            labels,
            rows: 0,
        })
    }

    /// Takes rows of targets and predictions, row-major, and a weight for each row; by default each weighs one. Several
    /// labels a row are rows of their own.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the numbers of rows or columns differ, or targets are of another form than at first;
    /// [`Error::Argument`] where a label is negative and a metric does not ignore it.
    pub fn update(
        &mut self,
        targets: &Targets,
        predictions: &[f32],
        weights: Option<&[f32]>,
    ) -> Result<()> {
        let rows = predictions.len() / self.columns;
        let labels = targets.as_labels().map(|(labels, ..)| labels);
        let values = match targets {
            Targets::Values { values, columns } if *columns == self.columns => Some(values),
            _ => None,
        };
        let given = match (labels, values) {
            (Some(labels), _) if self.labels => labels.len(),
            (_, Some(values)) if !self.labels => values.len() / self.columns,
            _ => {
                let form = if self.labels {
                    "labels".into()
                } else {
                    format!("{} numbers a row", self.columns)
                };
                let message = format!("targets must be {form}, as this stream was made for");
                return Err(Error::data(message));
            }
        };
        let whole = predictions.len() == rows * self.columns;
        if given != rows || !whole || weights.is_some_and(|weights| weights.len() != rows) {
            return Err(Error::data(format!(
                "{} predictions are no {} for each of {given} targets{}",
                predictions.len(),
                self.columns,
                weights.map_or(String::new(), |weights| format!(
                    " with {} weights",
                    weights.len()
                ))
            )));
        }
        let negative = labels
            .unwrap_or_default()
            .iter()
            .map(|label| label.cast_signed());
        for label in negative.filter(|label| *label < 0) {
            self.metrics.check_left_out(0, label)?;
        }
        for first in (0..rows).step_by(BATCH) {
            let end = rows.min(first + BATCH);
            let columns = first * self.columns..end * self.columns;
            let mut write = |name, elements| self.session.write_elements(name, elements, false);
            write("y", ElementsRef::F32(&predictions[columns.clone()]))?;
            if let Some(labels) = labels {
                write("t", ElementsRef::U32(&labels[first..end]))?;
            }
            if let Some(values) = values {
                write("t", ElementsRef::F32(&values[columns]))?;
            }
            match weights {
                Some(weights) => write("w", ElementsRef::F32(&weights[first..end]))?,
                None => write("w", ElementsRef::F32(&vec![1.0; end - first]))?,
            }
            self.step((end - first) as u64)?;
        }
        Ok(())
    }

    /// Counts the rows that were written.
    fn step(&mut self, rows: u64) -> Result<()> {
        let mut words = [0; cursor::WORDS];
        words[cursor::STEP] = 1;
        words[cursor::ROWS] = rows as u32;
        // At 0 the tallies begin anew.
        words[cursor::OFFSET] = u32::from(self.rows > 0);
        self.session.write_labels("cursor", &words)?;
        self.session.run(PROGRAM, 1)?;
        let ring = self.session.read(&format!("{PROGRAM}.ring"))?;
        let columns = ring.chunks_exact(Parts::of(BATCH).numbers());
        for (sum, numbers) in self.sums.iter_mut().zip(columns) {
            *sum += numbers.iter().copied().map(f64::from).sum::<f64>();
        }
        self.rows += rows;
        Ok(())
    }

    /// The metrics over all rows so far, by name; one with several values has a number after its name for each.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there was no row yet.
    pub fn result(&mut self) -> Result<Vec<(String, f64)>> {
        let figures = self.figures()?;
        self.metrics.report(&figures)
    }

    /// The confusion matrix so far, where one of the metrics is computed from it.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there was no row yet.
    pub fn confusion(&mut self) -> Result<Option<ConfusionMatrix>> {
        let figures = self.figures()?;
        Ok(self.metrics.confusion(&figures))
    }

    fn figures(&mut self) -> Result<EpochFigures> {
        if self.rows == 0 {
            return Err(Error::data("there is no row yet to measure"));
        }
        let mut tallies = Vec::new();
        let copied = self.metrics.copied(PROGRAM);
        for (name, &cells) in copied[1..].iter().zip(&self.metrics.layout.tallies) {
            let slots = self.session.read(name)?;
            tallies.push(read_cells(&slots, 0, cells));
        }
        Ok(EpochFigures {
            sums: self.sums.clone(),
            tallies,
            samples: self.rows,
        })
    }

    /// Forgets all rows.
    pub fn reset(&mut self) {
        self.rows = 0;
        self.sums.fill(0.0);
    }
}
