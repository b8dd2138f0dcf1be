//! A model's training step on the processor, op by op, until a number is not finite.

use std::panic::Location;

use crate::graph::{Node, Origin, Role};
use crate::plan::Plan;
use crate::session::{ElementsRef, resize_rates};
use crate::target::Target;
use crate::{Dataset, Device, Error, Graph, Result, Session, Snapshot, Values};

use super::model::Model;
use super::non_finite::FirstNonFinite;
use super::prepare::Prepared;
use super::programs::{Capacity, ClockStart, Extent, Recipe, RowProgram, RunHandles};

/// Trains for one pass over the rows in their own order, until a number is not finite: see
/// [`Model::find_nan`](crate::train::Model::find_nan).
pub(super) fn first_not_finite(
    model: &mut Model,
    data: &Dataset,
    batch_size: usize,
) -> Result<Option<FirstNonFinite>> {
    if batch_size == 0 {
        return Err(Error::argument("batch_size", "must be at least 1, got 0"));
    }
    let snapshot = model.snapshot()?;
    let data = model.recipe().prepare(data)?;
    let extent = Extent {
        weights: data.weight_columns(),
        ..Extent::new(data.rows, batch_size.min(data.rows))
    };
    let mut trace = Trace::open(model, extent, &snapshot, &data)?;
    let start = ClockStart {
        // The batches of the trace are whole.
        step: model.steps / u64::from(model.micro),
        epoch: model.epochs,
        ..ClockStart::at_beginning(data.rows)
    };
    let (cursor, words) = (trace.handles.cursor, start.words());
    trace.session.put(cursor, 0, ElementsRef::U32(&words))?;
    for step in 1..=data.rows.div_ceil(extent.batch) as u64 {
        if let Some(found) = trace.step(step)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A model's training program on the processor, as it was written: a call for every node.
pub(super) struct Trace {
    graph: Graph,
    plan: Plan,
    session: Session,
    handles: RunHandles,
}

impl Trace {
    /// Opens the program with a state of the model and a data set.
    pub fn open(
        model: &Model,
        extent: Extent,
        snapshot: &Snapshot,
        data: &Prepared<'_>,
    ) -> Result<Self> {
        let target = Target {
            fusion: false,
            ..Target::cpu()
        };
        let recipe = Recipe {
            target: &target,
            ..model.recipe()
        };
        let (graph, plan) = recipe.graph_and_plan(Capacity::training(extent))?;
        let mut session = Device::cpu().open(&plan)?;
        let mut snapshot = snapshot.clone();
        resize_rates(&mut snapshot, RowProgram::Train.name(), &plan);
        session.restore(&snapshot)?;
        let handles = recipe.handles(&plan)?;
        let handles = handles.rows(RowProgram::Train)?.clone();
        handles.upload(&mut session, &data.arrays())?;
        if let Some(factor) = model.rate_factor {
            handles.write_rate_factors(&mut session, &[factor])?;
        }
        Ok(Trace {
            handles,
            graph,
            plan,
            session,
        })
    }

    /// Does a step; where its first number that is not finite comes from.
    pub fn step(&mut self, step: u64) -> Result<Option<FirstNonFinite>> {
        for variable in &self.plan.variables {
            if variable.role != Role::State {
                continue;
            }
            let Values::F32(values) = self.session.read_values(&variable.name)? else {
                continue;
            };
            if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
                let node = self.graph.node_of_variable(&variable.name);
                return Ok(Some(FirstNonFinite {
                    step,
                    node: node.unwrap_or_default(),
                    op: "variable".into(),
                    layer: None,
                    backward: false,
                    variable: Some(variable.name.clone()),
                    location: None,
                    value,
                }));
            }
        }
        let program = self.handles.program;
        let Some((call, place, value)) = self.session.first_not_finite(program) else {
            return Ok(None);
        };
        let Some(call) = self.plan.program(RowProgram::Train.name())?.calls.get(call) else {
            return Ok(None);
        };
        let (node, origin) = self.graph.origin_of(&call.op).unwrap_or_default();
        let Origin {
            location,
            layer,
            backward,
        } = origin;
        let mut variables = self.plan.variables.iter();
        let updated = variables.find(|variable| variable.place == place);
        Ok(Some(FirstNonFinite {
            step,
            node,
            op: call.op.name().into(),
            layer: layer.map(|layer| layer.to_string()),
            backward,
            variable: updated.map(|variable| variable.name.clone()),
            location: location.filter(|location| !is_own(location)),
            value,
        }))
    }
}

/// Whether a line is one of this crate's own, which the caller of a layer or a loss has not written.
fn is_own(location: &Location<'_>) -> bool {
    let here = Location::caller().file();
    let root = here.strip_suffix("train/trace.rs").unwrap_or(here);
    location.file().starts_with(root)
}

impl Graph {
    fn node_of_variable(&self, name: &str) -> Option<usize> {
        let nodes = self.lock();
        let is = |node: &Node| matches!(node, Node::Variable(variable) if variable.name == name);
        nodes.records.iter().position(|record| is(&record.node))
    }
}
