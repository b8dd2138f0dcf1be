//! The graph of a model's programs: `train`, `evaluate`, `predict`, `predict_few`, `predict_row`, over the same parameters.

mod handles;
mod measured;

use crate::nn::{Functional, InputSpec, Parameter};
use crate::op::MAX_CHUNKS;
use crate::optim::{Beside, Clock, LossScale, Optimizer, Rates, Scaling};
use crate::plan::{Plan, Program};
use crate::target::{Precision, Target};
use crate::{DType, Error, Graph, Initial, Result, Role, Tensor, TensorType};

use super::metric::{Board, Gauges, Setting};
use super::micro::accumulating;
use super::objective::Objective;

pub(crate) use handles::chunk_name;
pub(crate) use handles::{DataArray, Handles, PredictHandles, RowProgram, RunHandles};
use handles::{predict_input, predict_output};

/// Steps whose sums the ring holds: the most that one submission may run.
pub(crate) const RING_ROWS: usize = 1024;

/// Rows that `predict` computes at once.
pub(crate) const PREDICT_ROWS: usize = 256;

/// Rows that it computes at once where there are no more: as many as the kernel for a matrix and a few vectors takes.
pub(crate) const FEW_ROWS: usize = 8;

/// The programs for prediction in every session, and the rows that each computes at once.
const PREDICTIONS: [(&str, usize); 3] = [
    ("predict", PREDICT_ROWS),
    ("predict_few", FEW_ROWS),
    ("predict_row", 1),
];

/// Room for a data set on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Rows that fit.
    pub rows: usize,
    /// Rows of a batch.
    pub batch: usize,
    /// Weights of every row: none, one for all outputs, or one for each.
    pub weights: usize,
    /// Whether a step whose gradients are not finite changes nothing.
    pub skips: bool,
    /// Batches to an update, on top of what the optimizer collects.
    pub micro: u32,
}

impl Room {
    /// For whole batches of rows without weights, none of which is skipped.
    pub fn new(rows: usize, batch: usize) -> Self {
        Room {
            rows,
            batch,
            weights: 0,
            skips: false,
            micro: 1,
        }
    }
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
        let covers = |have: Option<Room>, want: Option<Room>, batch: fn(Room, Room) -> bool| {
            let fits = |want: Room| {
                have.is_some_and(|have| {
                    have.rows >= want.rows
                        && have.weights == want.weights
                        && have.skips == want.skips
                        && have.micro == want.micro
                        && batch(have, want)
                })
            };
            want.is_none_or(fits)
        };
        // A step of training is over its batch. Evaluation comes to the same in larger ones, where all rows are one of them:
        // parts of several smaller ones need not be whole in them.
        covers(self.train, other.train, |have, want| {
            have.batch == want.batch
        }) && covers(self.evaluate, other.evaluate, |have, want| {
            have.batch == want.batch || (have.batch > want.batch && want.rows <= want.batch)
        })
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
    pub objectives: &'a [Objective],
    pub optimizer: &'a dyn Optimizer,
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
            let collecting = match room.micro {
                0 | 1 => None,
                micro => Some(accumulating(self.optimizer, micro)?),
            };
            let optimizer = collecting.as_deref().unwrap_or(self.optimizer);
            let program = RowProgram::Train;
            let clock = graph.clock(program.name(), room.batch, optimizer.rates());
            let scaling = match self.loss_scale() {
                Some(scale) => Some(scale.begin(&clock)),
                None => room.skips.then(|| Scaling::test_only(&clock)),
            };
            let measured = self.measured(&graph, program, room, &clock, &parameters)?;
            let mut updates = measured.records;
            let loss = measured.rows.batch_mean(&clock.cursor);
            let trained = parameters
                .iter()
                .filter(|(parameter, _)| parameter.trainable);
            let named: Vec<(&str, &Tensor)> = trained
                .map(|(parameter, tensor)| (parameter.name.as_str(), tensor))
                .collect();
            let constrained = || -> Vec<Tensor> {
                let trained = parameters.iter().filter(|(p, _)| p.trainable);
                let each = trained
                    .filter_map(|(parameter, tensor)| Some(parameter.constraint?.apply(tensor)));
                each.collect()
            };
            match scaling {
                Some(scaling) => {
                    let beside = Beside {
                        layers: &measured.layers,
                        after: &constrained,
                    };
                    updates
                        .extend(scaling.minimize_beside(optimizer, &loss, &named, &clock, &beside));
                }
                None => {
                    updates.extend(measured.layers);
                    updates.extend(optimizer.minimize(&loss, &named, &clock));
                    updates.extend(constrained());
                }
            }
            updates.extend((measured.tallies)());
            programs.push(Program::new(program.name()).update(&updates));
        }
        if let Some(room) = needs.evaluate {
            let rates = Rates::from(0.0);
            let program = RowProgram::Evaluate;
            let roles = [Role::Scratch; 2];
            let clock = graph.clock_as(roles, program.name(), room.batch, rates);
            let measured = self.measured(&graph, program, room, &clock, &parameters)?;
            let mut updates = measured.records;
            updates.extend((measured.tallies)());
            programs.push(Program::new(program.name()).update(&updates));
        }
        for (program, rows) in PREDICTIONS {
            programs.push(self.prediction(&graph, &parameters, program, rows));
        }
        let plan = Plan::compile(&graph, self.target, programs)?;
        Ok((graph, plan))
    }

    /// What the host reaches of a plan of these programs.
    pub fn handles(&self, plan: &Plan) -> Result<Handles> {
        Ok(Handles::of(plan, &self.board()?, &PREDICTIONS))
    }

    /// A plan that only predicts, `rows` rows at once, and what the host reaches of it.
    pub fn build_for_many(&self, rows: usize) -> Result<(Plan, Handles)> {
        let graph = Graph::new();
        self.architecture.check_room(self.target)?;
        let parameters = self.architecture.declare(&graph);
        let name = PREDICTIONS[0].0;
        let program = self.prediction(&graph, &parameters, name, rows);
        let plan = Plan::compile(&graph, self.target, [program])?;
        let handles = Handles::of(&plan, &self.board()?, &[(name, rows)]);
        Ok((plan, handles))
    }

    /// The program that computes the outputs of `rows` rows.
    fn prediction(
        &self,
        graph: &Graph,
        parameters: &[(Parameter, Tensor)],
        program: &str,
        rows: usize,
    ) -> Program {
        let width = self.architecture.input_width();
        let x = graph.input(predict_input(program), [rows, width]);
        let inputs = self.shaped(&x);
        let pass = self.architecture.forward(&inputs, parameters, false, None);
        let outputs: Vec<Tensor> = pass.outputs.iter().map(|y| flat(&y.after)).collect();
        let y = match &outputs[..] {
            [only] => only.clone(),
            outputs => outputs[0].concat(&outputs[1..].iter().collect::<Vec<_>>(), 1),
        };
        Program::new(program).fetch(predict_output(program), &y)
    }

    /// The optimizer's own, or the default where activations are 16 bits long.
    fn loss_scale(&self) -> Option<LossScale> {
        let half = self.target.tuning.precision == Precision::Half;
        self.optimizer
            .loss_scale()
            .or(half.then(LossScale::default))
    }

    /// The losses and metrics of the model's outputs.
    pub fn board(&self) -> Result<Board> {
        let activations = self.architecture.last_activations();
        let columns = self.objectives.iter().map(|objective| {
            let index = self.output(objective);
            let (positions, columns) = self.architecture.places_of(index);
            let setting = Setting {
                columns,
                positions,
                labels: objective.takes_labels(),
                activation: activations.get(index).copied().unwrap_or_default(),
                loss: objective.loss.name().into(),
            };
            let gauges = Gauges::new(&objective.metrics, &setting)?;
            let weighted = match &objective.weighted()[..] {
                [] => None,
                metrics => Some(Gauges::new(metrics, &setting)?.weighted()),
            };
            let own = objective
                .own_metrics
                .iter()
                .map(|own| own.name().to_string());
            Ok((objective.output.clone(), gauges, own.collect(), weighted))
        });
        Board::new(columns.collect::<Result<_>>()?)
    }

    /// The number of an objective's output.
    pub fn output(&self, objective: &Objective) -> usize {
        let mut outputs = self.architecture.outputs.iter();
        let place = outputs.position(|output| output.name == objective.output);
        place.unwrap_or_default()
    }

    /// Where the targets of each objective lie.
    pub fn placed(&self) -> Placed {
        let mut placed = Placed::default();
        for objective in self.objectives {
            if objective.takes_labels() {
                let (positions, _) = self.architecture.places_of(self.output(objective));
                placed.places.push(Place::Labels {
                    start: placed.labels,
                    positions,
                });
                placed.labels += positions;
            } else {
                let columns = self.architecture.width_of(self.output(objective));
                placed.places.push(Place::Values {
                    start: placed.columns,
                    columns,
                });
                placed.columns += columns;
            }
        }
        placed
    }

    /// The targets of each objective for the batch at hand, and the data set that they are in where it is one's alone.
    fn targets(
        &self,
        graph: &Graph,
        program: RowProgram,
        room: Room,
        clock: &Clock,
    ) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let placed = self.placed();
        let mut alone = Vec::new();
        let mut gather = |array: DataArray, dtype: DType, width: usize| -> Result<Option<Tensor>> {
            if width == 0 {
                return Ok(None);
            }
            let data = self.data(graph, &program.array(array), room, (dtype, width))?;
            let batch = gathered(clock, &data);
            alone = data;
            Ok(Some(batch))
        };
        let values = gather(DataArray::Values, DType::F32, placed.columns)?;
        let labels = gather(placed.labels_array(), DType::U32, placed.labels)?;
        let target = |place: &Place| match (*place, &values, &labels) {
            (Place::Values { start, columns }, Some(values), _) => {
                match columns == placed.columns {
                    true => values.clone(),
                    false => values.slice(1, start, columns),
                }
            }
            (Place::Labels { start, positions }, _, Some(labels)) => {
                let own = match positions == placed.labels {
                    true => labels.clone(),
                    false => labels.slice(1, start, positions),
                };
                match positions {
                    1 if positions < placed.labels => own.reshape([room.batch]),
                    _ => own,
                }
            }
            _ => graph.labels(program.no_targets(), [room.batch]),
        };
        let targets = placed.places.iter().map(target).collect();
        let alone = if placed.places.len() == 1 {
            alone
        } else {
            Vec::new()
        };
        Ok((targets, alone))
    }

    /// Rows of numbers as samples of each of the model's inputs.
    fn shaped(&self, x: &Tensor) -> Vec<Tensor> {
        let inputs = &self.architecture.inputs;
        let mut start = 0;
        let input = |input: &InputSpec| {
            let width = input.width();
            let own = match inputs.len() {
                1 => x.clone(),
                _ => x.slice(1, start, width),
            };
            start += width;
            match input.kind.shape.rank() {
                1 => own,
                _ => own.reshape([&[x.shape().dims()[0]], input.kind.shape.dims()].concat()),
            }
        };
        inputs.iter().map(input).collect()
    }

    /// A resident data set, which is split where it exceeds the largest binding: so many elements of that type a row. One
    /// integer a row makes a vector.
    fn data(
        &self,
        graph: &Graph,
        name: &str,
        room: Room,
        (dtype, width): (DType, usize),
    ) -> Result<Vec<Tensor>> {
        let most = chunk_rows(self.target, width);
        let chunks = room.rows.div_ceil(most);
        if chunks > MAX_CHUNKS {
            let bytes = (room.rows as u64).saturating_mul((width as u64).saturating_mul(4));
            return Err(Error::Limit {
                limit: "maxStorageBufferBindingSize",
                what: format!(
                    "the data set {name} of {} rows, in {MAX_CHUNKS} parts,",
                    room.rows
                ),
                needed: bytes.div_ceil(MAX_CHUNKS as u64),
                allowed: self.target.max_binding_bytes,
            });
        }
        let chunk = |index: usize| {
            let rows = most.min(room.rows - index * most);
            let shape = match (dtype, width) {
                (DType::U32, 1) => [rows].into(),
                _ => [rows, width].into(),
            };
            let kind = TensorType { shape, dtype };
            graph.variable_as(Role::Data, chunk_name(name, index), kind, Initial::Zeros)
        };
        Ok((0..chunks).map(chunk).collect())
    }
}

/// Where the targets of the objectives lie: those that are numbers side by side, and so those that are labels.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// In the order of the objectives.
    pub places: Vec<Place>,
    /// Columns of numbers.
    pub columns: usize,
    /// Columns of labels.
    pub labels: usize,
}

/// The place of one objective's targets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Labels { start: usize, positions: usize },
    Values { start: usize, columns: usize },
}

impl Placed {
    /// The array that holds labels.
    pub fn labels_array(&self) -> DataArray {
        if self.columns == 0 {
            DataArray::OnlyLabels
        } else {
            DataArray::Labels
        }
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

/// Rows of `columns` four-byte elements that fit one binding.
pub(crate) fn chunk_rows(target: &Target, columns: usize) -> usize {
    let bytes =
        target.max_binding_bytes.min(target.max_buffer_bytes) / target.alignment * target.alignment;
    usize::try_from(bytes / (columns.max(1) as u64 * 4))
        .unwrap_or(usize::MAX)
        .max(1)
}
