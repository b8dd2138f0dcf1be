//! The part of a program that is the same in training and evaluation: a batch, its losses and its metrics.

use crate::graph::Role;
use crate::nn::{Activated, Activation, Parameter, unscaled};
use crate::optim::Clock;
use crate::train::loss::{Output, Scope};
use crate::train::metric::{OutputMetrics, TallyInputs};
use crate::train::objective::Objective;
use crate::train::sizes::RING_ROWS;
use crate::{Error, Graph, Initial, Result, Tensor, TensorType, op};

use super::{Extent, Recipe, RowProgram, flat};

/// What a pass with losses and metrics records.
pub(super) struct Measured<T> {
    /// The loss of each row.
    pub rows: Tensor,
    /// The losses and metrics in the ring.
    pub records: Vec<Tensor>,
    /// The layers' updates of their states, in training.
    pub layers: Vec<Tensor>,
    /// What each call of a layer ended with.
    pub activations: Vec<Activation>,
    /// How to record the tallies. They come last, where a head that computes the last layer has done so.
    pub tallies: T,
}

/// The ring of a program, and what records these numbers of each row in its columns.
fn in_ring(
    graph: &Graph,
    program: RowProgram,
    batch: usize,
    recorded: &[Tensor],
    cursor: &Tensor,
) -> (Tensor, Vec<Tensor>) {
    let kind = TensorType::f32([RING_ROWS, recorded.len(), op::Parts::of(batch).numbers()]);
    let ring = graph.variable_as(Role::Scratch, program.ring(), kind, Initial::Zeros);
    let columns = recorded.iter().enumerate();
    let records = columns.map(|(column, values)| values.record(&ring, cursor, column));
    let records = records.collect();
    (ring, records)
}

/// What the tallies of an output read: they choose the rows of targets themselves, where these are in one piece.
fn tally_inputs(
    clock: &Clock,
    (target, wholes): (&Tensor, &[Tensor]),
    weights: Option<Tensor>,
    positions: usize,
) -> TallyInputs {
    let (target, indices) = match wholes {
        [whole] if weights.is_none() && positions == 1 => (whole, Some(clock.indices.clone())),
        _ => (target, None),
    };
    TallyInputs {
        cursor: clock.cursor.clone(),
        target: target.clone(),
        indices,
        weights,
    }
}

impl Recipe<'_> {
    /// Forward pass on a gathered batch with its losses and metrics recorded.
    pub(super) fn measured(
        &self,
        graph: &Graph,
        program: RowProgram,
        extent: Extent,
        clock: &Clock,
        parameters: &[(Parameter, Tensor)],
    ) -> Result<Measured<impl FnOnce() -> Vec<Tensor> + use<>>> {
        let batch = self.batch(graph, program, extent, clock)?;
        let (inputs, rest) = batch.split_at(self.architecture.inputs.len());
        let (targets, weights) = rest.split_at(self.objectives.len());
        let inputs: Vec<Tensor> = inputs.iter().map(|(input, _)| input.clone()).collect();
        let (targets, wholes): (Vec<Tensor>, Vec<Vec<Tensor>>) = targets.iter().cloned().unzip();
        let weights = weights.first().map(|(weights, _)| weights);
        let weights = self.weights_of_outputs(weights, extent);
        let training = program == RowProgram::Train;
        let scope = if training {
            Scope::Part(extent.micro.max(1))
        } else {
            Scope::All
        };
        let pass = self
            .architecture
            .forward(&inputs, parameters, training, Some(clock));
        let trained = self.outputs_of(&pass.trained);
        let metrics = self.metrics()?;
        let each = self.objectives.iter().zip(&trained).zip(&targets);
        let losses: Vec<Tensor> = each
            .clone()
            .zip(&weights)
            .map(|(((objective, output), target), weights)| {
                let rows = objective.loss.rows(output, target, &clock.cursor);
                let (of, weights) = ((output, target), weights.as_ref());
                let loss = &objective.loss;
                loss.reduced(&rows, weights, of, &clock.cursor, scope)
            })
            .collect();
        let total = self.total(&losses, &pass.losses)?;
        let (outputs, targets) = self.in_own_unit(&pass.outputs, (trained, targets));
        let mut recorded = vec![total.clone()];
        if metrics.several() {
            recorded.extend(losses);
        }
        for column in &metrics.columns {
            let (output, target) = (&outputs[column.output], &targets[column.output]);
            let weights = weights[column.output].as_ref();
            recorded.extend(column.rows(output, target, &clock.cursor, weights));
        }
        let (ring, records) = in_ring(graph, program, extent.batch, &recorded, &clock.cursor);
        let inputs = |column: &OutputMetrics| {
            let output = column.output;
            let weights = weights[output].clone().filter(|_| column.weighted);
            // Those that a scaler changes are not read as they are stored.
            let scaled = self.scaler(&self.objectives[output]).is_some();
            let wholes = if scaled { &[] } else { &wholes[output][..] };
            let targets = (&targets[output], wholes);
            tally_inputs(clock, targets, weights, outputs[output].positions)
        };
        let mut inputs: Vec<TallyInputs> = metrics.columns.iter().map(inputs).collect();
        let skips = training && extent.skips && !metrics.layout.tallies.is_empty();
        let cursor = clock.cursor.clone();
        let tallies = move || {
            let slots = metrics.layout.slots;
            if skips {
                // Of a step without a finite loss no row counts, as the host counts none of its sums.
                let rows = op::FiniteRows { column: 0 };
                let counted = ring.graph().apply_one(rows, &[&cursor, &ring]);
                let cursors = inputs.iter_mut().map(|own| &mut own.cursor);
                cursors.for_each(|cursor| cursor.clone_from(&counted));
            }
            let each = metrics.columns.iter().zip(&inputs);
            each.flat_map(|(column, inputs)| {
                let output = &outputs[column.output];
                column.tally(program.name(), slots, output, inputs)
            })
            .collect()
        };
        let layers = if training { pass.updates } else { Vec::new() };
        Ok(Measured {
            rows: total,
            records,
            layers,
            activations: pass.activations,
            tallies,
        })
    }

    /// The outputs that are trained, as losses and metrics take them.
    fn outputs_of(&self, values: &[Activated]) -> Vec<Output> {
        let output = |objective: &Objective| {
            let last = &values[self.output(objective)];
            Output {
                before: flat(&last.before),
                after: flat(&last.after),
                activation: last.activation,
                positions: self.architecture.places_of(self.output(objective)).0,
            }
        };
        self.objectives.iter().map(output).collect()
    }

    /// The outputs and targets as metrics take them, in the targets' own unit: those of the losses where nothing is scaled.
    fn in_own_unit(
        &self,
        values: &[Activated],
        (trained, targets): (Vec<Output>, Vec<Tensor>),
    ) -> (Vec<Output>, Vec<Tensor>) {
        if self.architecture.target_scaling.is_empty() {
            return (trained, targets);
        }
        let unit = |(own, target): (&Objective, &Tensor)| match self.scaler(own) {
            Some(scaler) => unscaled(scaler, target),
            None => target.clone(),
        };
        let targets = self.objectives.iter().zip(&targets).map(unit).collect();
        (self.outputs_of(values), targets)
    }

    /// The loss of each row over all outputs: the weighted sum of the outputs' losses and the layers' own.
    fn total(&self, losses: &[Tensor], own: &[Tensor]) -> Result<Tensor> {
        let weighed = losses.iter().zip(self.objectives).map(|(rows, objective)| {
            if objective.weight == 1.0 {
                rows.clone()
            } else {
                rows.scale(objective.weight)
            }
        });
        let total = weighed.reduce(|a, b| a.add(&b));
        let total = total.ok_or_else(|| Error::argument("objectives", "there is none"))?;
        // The layers' own losses are part of each row's, so that the mean over rows is that of the whole loss.
        let add = |rows: Tensor, loss: &Tensor| {
            if loss.shape().rank() == 0 {
                rows.add(&loss.reshape([1]))
            } else {
                rows.add(loss)
            }
        };
        Ok(own.iter().fold(total, add))
    }

    /// The weights of rows for each output: one column for all outputs, or a column for each.
    fn weights_of_outputs(&self, weights: Option<&Tensor>, extent: Extent) -> Vec<Option<Tensor>> {
        let of_output = |index: usize| {
            let weights = weights?;
            let column = if extent.weights == 1 {
                weights.clone()
            } else {
                weights.slice(1, index, 1)
            };
            Some(column.reshape([extent.batch]))
        };
        (0..self.objectives.len()).map(of_output).collect()
    }
}
