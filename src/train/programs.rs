//! The graph of a model's programs: `train`, `evaluate`, `predict`, `predict_few`, `predict_row`, over the same parameters.

mod capacity;
mod clock_start;
mod data;
mod handles;
mod measured;
mod members;

use crate::graph::Role;
use crate::nn::{Functional, Parameter, TRIAL_ROWS, batch_of, of_any_batch};
use crate::optim::{Extras, LossScale, Optimizer, Rates, Scaling};
use crate::plan::{Plan, Program};
use crate::target::{Precision, Target};
use crate::{Graph, Result, Scaler, Tensor};

use super::metric::{MetricSetting, ModelMetrics, OutputMetrics};
use super::micro::accumulating;
use super::objective::Objective;

pub(crate) use capacity::{Capacity, Extent};
pub(crate) use clock_start::ClockStart;
use data::flat;
pub(crate) use data::{ArrayKind, chunk_rows};
pub(crate) use handles::{DataArray, Handles, PredictHandles, RowProgram, RunHandles};
use handles::{chunk_name, predict_input, predict_output};
pub use members::Member;
pub(crate) use members::MemberLayout;

/// Rows that `predict` computes at once.
pub(crate) const PREDICT_ROWS: usize = 256;

/// Rows that `predict` computes at once where there are no more: as many as the kernel for a matrix and a few vectors takes.
pub(crate) const FEW_ROWS: usize = 8;

/// The programs for prediction in every session, and the rows that each computes at once.
const PREDICTIONS: [(&str, usize); 3] = [
    ("predict", PREDICT_ROWS),
    ("predict_few", FEW_ROWS),
    ("predict_row", 1),
];

/// What the programs of a model are made from.
#[derive(Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub architecture: &'a Functional,
    pub objectives: &'a [Objective],
    pub optimizer: &'a dyn Optimizer,
    /// Networks side by side that a population trains; none where there is one network.
    pub members: &'a [Member],
    pub target: &'a Target,
}

impl Recipe<'_> {
    /// The plan of a session of this capacity.
    pub fn build(&self, capacity: Capacity) -> Result<Plan> {
        self.graph_and_plan(capacity).map(|(_, plan)| plan)
    }

    /// The same with the graph.
    pub fn graph_and_plan(&self, capacity: Capacity) -> Result<(Graph, Plan)> {
        if let (false, Some(extent)) = (self.members.is_empty(), capacity.train) {
            return self.side_by_side(extent);
        }
        let graph = Graph::new();
        self.architecture.check_room(self.target)?;
        let parameters = self.architecture.declare(&graph);
        let mut programs = Vec::new();
        if let Some(extent) = capacity.train {
            let updates = self.training(&graph, extent, &parameters)?;
            programs.push(Program::new(RowProgram::Train.name()).update(&updates));
        }
        if let Some(extent) = capacity.evaluate {
            let rates = Rates::from(0.0);
            let program = RowProgram::Evaluate;
            let roles = [Role::Scratch; 2];
            let clock = graph.clock_as(roles, program.name(), extent.batch, rates);
            let measured = self.measured(&graph, program, extent, &clock, &parameters)?;
            let mut updates = measured.records;
            updates.extend((measured.tallies)());
            programs.push(Program::new(program.name()).update(&updates));
        }
        for (program, rows) in PREDICTIONS {
            programs.push(self.prediction(&graph, &parameters, program, rows));
        }
        let mut target = self.target.clone();
        target.whole_steps &= !capacity.train.is_some_and(|extent| extent.few);
        let plan = Plan::compile(&graph, &target, programs)?;
        Ok((graph, plan))
    }

    /// What a step of training updates.
    fn training(
        &self,
        graph: &Graph,
        extent: Extent,
        parameters: &[(Parameter, Tensor)],
    ) -> Result<Vec<Tensor>> {
        let collecting = match extent.micro {
            0 | 1 => None,
            micro => Some(accumulating(self.optimizer, micro)?),
        };
        let optimizer = collecting.as_deref().unwrap_or(self.optimizer);
        let program = RowProgram::Train;
        let clock = graph.clock(program.name(), extent.batch, optimizer.rates());
        let scaling = match self.loss_scale() {
            Some(scale) => Some(scale.begin(&clock)),
            None => extent.skips.then(|| Scaling::test_only(&clock)),
        };
        let measured = self.measured(graph, program, extent, &clock, parameters)?;
        let mut updates = measured.records;
        let loss = measured.rows.batch_mean(&clock.cursor);
        let trained = || {
            parameters
                .iter()
                .filter(|(parameter, _)| parameter.trainable)
        };
        let named: Vec<(&str, &Tensor)> = trained()
            .map(|(parameter, tensor)| (parameter.name.as_str(), tensor))
            .collect();
        let constrained = || -> Vec<Tensor> {
            trained()
                .filter_map(|(parameter, tensor)| {
                    Some(tensor.assign(&parameter.constraint?.apply(tensor)))
                })
                .collect()
        };
        match scaling {
            Some(scaling) => {
                let extras = Extras {
                    layers: &measured.layers,
                    after: &constrained,
                };
                updates.extend(scaling.minimize(optimizer, &loss, &named, &clock, &extras));
            }
            None => {
                updates.extend(measured.layers);
                updates.extend(optimizer.minimize(&loss, &named, &clock));
                updates.extend(constrained());
            }
        }
        updates.extend((measured.tallies)());
        Ok(updates)
    }

    /// What the host reaches of a plan of these programs.
    pub fn handles(&self, plan: &Plan) -> Result<Handles> {
        let arrays = self.arrays(1);
        Ok(Handles::of(plan, &self.metrics()?, &arrays, &PREDICTIONS))
    }

    /// A plan that only predicts, `rows` rows at once, and what the host reaches of it.
    pub fn build_for_many(&self, rows: usize) -> Result<(Plan, Handles)> {
        let graph = Graph::new();
        self.architecture.check_room(self.target)?;
        let parameters = self.architecture.declare(&graph);
        let name = PREDICTIONS[0].0;
        let program = self.prediction(&graph, &parameters, name, rows);
        let plan = Plan::compile(&graph, self.target, [program])?;
        let arrays = self.arrays(1);
        let handles = Handles::of(&plan, &self.metrics()?, &arrays, &[(name, rows)]);
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
        let inputs = self.architecture.inputs.iter().enumerate();
        let inputs: Vec<Tensor> = inputs
            .map(|(number, input)| {
                batch_of(graph, &predict_input(program, number), rows, &input.kind)
            })
            .collect();
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
        let half = self.target.precision == Precision::Half;
        self.optimizer
            .loss_scale()
            .or(half.then(LossScale::default))
    }

    /// Records a step of a few rows, so that what a layer, loss or metric of one's own records is refused before any data are
    /// there.
    ///
    /// # Errors
    ///
    /// The first call that was refused; a softmax of one unit.
    pub fn try_out(&self) -> Result<()> {
        let graph = Graph::new();
        // Limits are those of the data that come.
        let anywhere = Recipe {
            target: &Target::cpu(),
            ..*self
        };
        let extent = Extent::new(TRIAL_ROWS, TRIAL_ROWS);
        let program = RowProgram::Train;
        let clock = graph.clock(program.name(), extent.batch, Rates::from(0.0));
        let parameters = self.architecture.declare_empty(&graph);
        let measured = anywhere.measured(&graph, program, extent, &clock, &parameters)?;
        let _tallies = (measured.tallies)();
        graph.check().map_err(of_any_batch)?;
        self.architecture.check_softmaxes(&measured.activations)
    }

    /// The losses and metrics of the model's outputs.
    pub fn metrics(&self) -> Result<ModelMetrics> {
        let activations = self.architecture.last_activations();
        let mut columns = Vec::new();
        for (number, objective) in self.objectives.iter().enumerate() {
            let index = self.output(objective);
            let setting = MetricSetting {
                columns: self.architecture.places_of(index).1,
                labels: objective.takes_labels(),
                activation: activations.get(index).copied().unwrap_or_default(),
                loss: objective.loss.name().into(),
                ignored: objective.loss.settings.ignore_class,
            };
            let weighted = objective.weighted();
            let own = &objective.metrics;
            columns.push(OutputMetrics::new(number, own, &setting, false)?);
            if !weighted.is_empty() {
                columns.push(OutputMetrics::new(number, &weighted, &setting, true)?);
            }
        }
        let outputs = self
            .objectives
            .iter()
            .map(|objective| objective.output.clone());
        ModelMetrics::laid_out(outputs.collect(), columns)
            .within(self.target.max_binding_bytes)?
            .told_apart()
    }

    /// What scales the targets of an objective.
    pub fn scaler(&self, objective: &Objective) -> Option<&Scaler> {
        self.architecture.scaler_of(&objective.output)
    }

    /// The number of an objective's output.
    pub fn output(&self, objective: &Objective) -> usize {
        let mut outputs = self.architecture.outputs.iter();
        let place = outputs.position(|output| output.name == objective.output);
        place.unwrap_or_default()
    }
}
