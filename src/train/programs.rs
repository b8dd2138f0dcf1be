//! The graph of a model's programs: `train`, `evaluate`, `predict`, `predict_row`, over the same parameters.

use crate::op::{self, MAX_CHUNKS};
use crate::optim::{Clock, LossScale, Optimizer, Rates};
use crate::plan::{Plan, Precision, Program, Target};
use crate::{DType, Error, Graph, Initial, Result, Tensor, TensorType};

use super::loss::{LossSpec, Output};
use super::metric::{Gauges, Metric, Setting, Supply};
use crate::nn::{Functional, Parameter};

/// Steps whose sums the ring holds: the most that one submission may run.
pub(crate) const RING_ROWS: usize = 1024;

/// Rows that `predict` computes at once.
pub(crate) const PREDICT_ROWS: usize = 256;

/// Room for a data set on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Rows that fit.
    pub rows: usize,
    /// Rows of a batch.
    pub batch: usize,
}

/// Which programs a session needs, and for how much data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Needs {
    pub train: Option<Room>,
    pub evaluate: Option<Room>,
}

impl Needs {
    /// Whether a session made for `self` serves `other` too.
    pub fn cover(&self, other: &Needs) -> bool {
        let covers = |have: Option<Room>, want: Option<Room>, batch: fn(usize, usize) -> bool| {
            let fits = |want: Room| {
                have.is_some_and(|have| have.rows >= want.rows && batch(have.batch, want.batch))
            };
            want.is_none_or(fits)
        };
        // A step of training is over its batch; evaluation comes to the same in larger ones.
        covers(self.train, other.train, |have, want| have == want)
            && covers(self.evaluate, other.evaluate, |have, want| have >= want)
    }

    /// What is wanted, and beside it what was there before.
    pub fn or(self, before: Needs) -> Needs {
        Needs {
            train: self.train.or(before.train),
            evaluate: self.evaluate.or(before.evaluate),
        }
    }
}

/// What programs are made from.
pub(crate) struct Parts<'a> {
    pub architecture: &'a Functional,
    pub loss: LossSpec,
    pub optimizer: &'a dyn Optimizer,
    pub metrics: &'a [Metric],
    pub target: &'a Target,
}

impl Parts<'_> {
    pub fn build(&self, needs: Needs) -> Result<Plan> {
        self.graph_and_plan(needs).map(|(_, plan)| plan)
    }

    pub fn graph_and_plan(&self, needs: Needs) -> Result<(Graph, Plan)> {
        let graph = Graph::new();
        self.architecture.check_room(self.target)?;
        let parameters = self.architecture.declare(&graph);
        let mut programs = Vec::new();
        if let Some(room) = needs.train {
            let clock = graph.clock("train", room.batch, self.optimizer.rates());
            let scaling = self.loss_scale().map(|scale| scale.begin(&clock));
            let (rows, mut updates, tallies) =
                self.measured(&graph, "train", room, &clock, &parameters)?;
            let loss = rows.batch_mean(&clock.cursor);
            let trained = parameters
                .iter()
                .filter(|(parameter, _)| parameter.trainable);
            let named: Vec<(&str, &Tensor)> = trained
                .map(|(parameter, tensor)| (parameter.name.as_str(), tensor))
                .collect();
            updates.extend(match scaling {
                Some(scaling) => scaling.minimize(self.optimizer, &loss, &named, &clock),
                None => self.optimizer.minimize(&loss, &named, &clock),
            });
            updates.extend(tallies());
            programs.push(Program::new("train").update(&updates));
        }
        if let Some(room) = needs.evaluate {
            let clock = graph.clock("evaluate", room.batch, Rates::from(0.0));
            let (_, mut updates, tallies) =
                self.measured(&graph, "evaluate", room, &clock, &parameters)?;
            updates.extend(tallies());
            programs.push(Program::new("evaluate").update(&updates));
        }
        for (program, rows) in [("predict", PREDICT_ROWS), ("predict_row", 1)] {
            let width = self.architecture.input_width();
            let x = graph.input(format!("{program}.x"), [rows, width]);
            let x = self.shaped(x);
            let pass = self.architecture.forward(&[x], &parameters, false, None);
            let y = flat(&pass.outputs[0].after);
            programs.push(Program::new(program).fetch(format!("{program}.y"), &y));
        }
        let plan = graph.compile(self.target, programs)?;
        Ok((graph, plan))
    }

    /// The optimizer's own, or the default where activations are 16 bits long.
    fn loss_scale(&self) -> Option<LossScale> {
        let half = self.target.tuning.precision == Precision::Half;
        self.optimizer
            .loss_scale()
            .or(half.then(LossScale::default))
    }

    /// The metrics over the model's outputs.
    pub fn gauges(&self) -> Result<Gauges> {
        let setting = Setting {
            columns: self.architecture.output_width(),
            labels: self.loss.loss.takes_labels(),
            activation: self.architecture.last_activation(),
            loss: self.loss.loss.name(),
        };
        Gauges::new(self.metrics, &setting)
    }

    /// Forward pass on a gathered batch with its loss and metrics recorded: the loss of each row, the records, and how to
    /// record the tallies. Those come last, where a head that computes the last layer has done so.
    fn measured(
        &self,
        graph: &Graph,
        name: &'static str,
        room: Room,
        clock: &Clock,
        parameters: &[(Parameter, Tensor)],
    ) -> Result<(Tensor, Vec<Tensor>, impl FnOnce() -> Vec<Tensor> + use<>)> {
        let outputs = self.architecture.output_width();
        let inputs = Some(self.architecture.input_width());
        let x = gathered(
            clock,
            &self.data(graph, &format!("{name}.x"), room, inputs)?,
        );
        let columns = (!self.loss.loss.takes_labels()).then_some(outputs);
        let data = self.data(graph, &format!("{name}.y"), room, columns)?;
        let y = gathered(clock, &data);
        let x = self.shaped(x);
        let training = name == "train";
        let mut pass = self
            .architecture
            .forward(&[x], parameters, training, Some(clock));
        let last = pass.outputs.remove(0);
        let output = Output {
            before: flat(&last.before),
            after: flat(&last.after),
            activation: last.activation,
        };
        let gauges = self.gauges()?;
        let rows = self.loss.rows(&output, &y, &clock.cursor);
        // The layers' own losses are part of each row's, so that the mean over rows is that of the whole loss.
        let rows = pass
            .losses
            .iter()
            .fold(rows, |rows, loss| rows.add(&loss.reshape([1])));
        let mut recorded = vec![rows.clone()];
        recorded.extend(gauges.rows(&output, &y, &clock.cursor));
        let ring_kind =
            TensorType::f32([RING_ROWS, recorded.len(), op::Parts::of(room.batch).count]);
        let ring = graph.variable(format!("{name}.ring"), ring_kind, Initial::Zeros);
        let record =
            |(column, values): (usize, &Tensor)| values.record(&ring, &clock.cursor, column);
        let mut records: Vec<Tensor> = recorded.iter().enumerate().map(record).collect();
        if training {
            records.append(&mut pass.updates);
        }
        // Tallies choose the rows of a data set themselves, where it is in one piece.
        let (target, indices) = match &data[..] {
            [whole] => (whole.clone(), Some(clock.indices.clone())),
            _ => (y, None),
        };
        let supply = Supply {
            cursor: clock.cursor.clone(),
            target,
            indices,
            weights: None,
        };
        let tallies = move || gauges.tally(name, &output, &supply);
        Ok((rows, records, tallies))
    }

    /// Rows of numbers as samples of the model's input.
    fn shaped(&self, x: Tensor) -> Tensor {
        let sample = &self.architecture.inputs[0].shape;
        match sample.rank() {
            1 => x,
            _ => {
                let rows = x.shape().dims()[0];
                x.reshape([&[rows], sample.dims()].concat())
            }
        }
    }

    /// A resident data set, which is split where it exceeds the largest binding. `columns` numbers a row, or one label.
    fn data(
        &self,
        graph: &Graph,
        name: &str,
        room: Room,
        columns: Option<usize>,
    ) -> Result<Vec<Tensor>> {
        let most = chunk_rows(self.target, columns.unwrap_or(1));
        let chunks = room.rows.div_ceil(most);
        if chunks > MAX_CHUNKS {
            let row_bytes = columns.unwrap_or(1) as u64 * 4;
            return Err(Error::Limit {
                limit: "maxStorageBufferBindingSize",
                what: format!(
                    "the data set {name} of {} rows, in {MAX_CHUNKS} parts,",
                    room.rows
                ),
                needed: (room.rows as u64 * row_bytes).div_ceil(MAX_CHUNKS as u64),
                allowed: self.target.max_binding_bytes,
            });
        }
        let chunk = |index: usize| {
            let rows = most.min(room.rows - index * most);
            let kind = match columns {
                Some(columns) => TensorType::f32([rows, columns]),
                None => TensorType {
                    shape: [rows].into(),
                    dtype: DType::U32,
                },
            };
            graph.variable(chunk_name(name, index), kind, Initial::Zeros)
        };
        Ok((0..chunks).map(chunk).collect())
    }
}

/// Samples as rows of numbers.
fn flat(x: &Tensor) -> Tensor {
    match x.shape().dims() {
        [_, _] | [] => x.clone(),
        [rows, sample @ ..] => x.reshape([*rows, sample.iter().product()]),
    }
}

/// The batch of a resident data set.
fn gathered(clock: &Clock, data: &[Tensor]) -> Tensor {
    clock.indices.gather(&data.iter().collect::<Vec<_>>())
}

/// The variable of a data set's part.
pub(crate) fn chunk_name(name: &str, index: usize) -> String {
    format!("{name}.{index}")
}

/// Rows of `columns` four-byte elements that fit one binding.
pub(crate) fn chunk_rows(target: &Target, columns: usize) -> usize {
    let bytes =
        target.max_binding_bytes.min(target.max_buffer_bytes) / target.alignment * target.alignment;
    usize::try_from(bytes / (columns.max(1) as u64 * 4))
        .unwrap_or(usize::MAX)
        .max(1)
}
