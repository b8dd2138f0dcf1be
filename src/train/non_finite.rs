//! Numbers that are not finite: what `fit` does about a step that has them, and which op made the first.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::graph::Origin;
use crate::optim::resize_rates;
use crate::plan::{Place, Plan};
use crate::session::ElementsRef;
use crate::target::Target;
use crate::{Dataset, Device, Error, Graph, Node, Result, Role, Session, Snapshot, Values};

use super::Model;
use super::model::ClockStart;
use super::prepare::Prepared;
use super::programs::{Needs, Room, RowProgram, RunHandles};
use super::run::Run;
use super::run_state::RunState;

/// What [`Model::fit`](super::Model::fit) does about numbers that are not finite.
///
/// Losses are read by their bits from what every step records anyway, so that [`Stop`](NonFinite::Stop) and
/// [`GoOn`](NonFinite::GoOn) cost the device nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NonFinite {
    /// Ends the run with [`Error::NonFinite`] at the first step whose loss is NaN or infinite; the default.
    ///
    /// The steps before it are then run again, from the beginning of the call or from a later state that was kept in memory,
    /// and the step by itself on the processor: the error names the op that made the first such number. The model is
    /// left as it was before that step, so that it can go on with a smaller learning rate. That is left out where it would
    /// take more than a minute, where the model's state has more than 64 MiB, and where the rows come to the device in parts:
    /// then the error says that it was the loss, and the model has the weights of the last step; see [`Model::find_nan`].
    ///
    /// A gradient that is not finite shows in the loss of the next step.
    #[default]
    Stop,
    /// Leaves parameters, states of the optimizer and states of layers, such as running means, bit by bit as they were in a
    /// step whose gradients are not all finite, and goes on. The step counts as one, but its rows are no part of the epoch's
    /// mean loss and metrics where its loss is not finite.
    ///
    /// The device tests the gradients itself, by their bits, in one dispatch for every six tensors and one more; for that they
    /// are kept instead of being used where they are computed, and a small network takes its steps in many calls instead of one. With an optimizer that adds up the gradients
    /// of several batches it is refused.
    Skip,
    /// Goes on. What became NaN stays NaN; [`TerminateOnNaN`](super::TerminateOnNaN) ends such a run without an error.
    GoOn,
}

/// Where the first number that is not finite comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FirstNonFinite {
    /// The training step, counted from 1.
    pub step: u64,
    /// The number of the node in the graph, as [`Model::inspect`] gives it.
    pub node: usize,
    /// The op, `matmul` or `softmax.backward`; `variable` where it was there before the step.
    pub op: String,
    /// The layer whose forward pass the node is part of, or part of the gradient of.
    pub layer: Option<String>,
    /// Whether it is part of a gradient.
    pub backward: bool,
    /// The variable that it updates, or is.
    pub variable: Option<String>,
    /// The line of the program that recorded it, where it is not one of Kiln's own.
    pub location: Option<&'static Location<'static>>,
    /// The number: NaN or an infinity.
    pub value: f32,
}

impl fmt::Display for FirstNonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, value) = (&self.op, self.value);
        match (&self.variable, self.op.as_str()) {
            (Some(name), "variable") => return write!(f, "a number of `{name}` ({value})"),
            (Some(name), _) => write!(f, "what {op} makes of `{name}`")?,
            (None, _) => write!(f, "the result of {op}")?,
        }
        if let Some(layer) = &self.layer {
            let part = if self.backward {
                "the gradient of "
            } else {
                ""
            };
            write!(f, " in {part}the layer `{layer}`")?;
        }
        write!(f, " ({value})")?;
        match self.location {
            Some(location) => write!(f, " ({}:{})", location.file(), location.line()),
            None => Ok(()),
        }
    }
}

/// The most bytes of state that steps are run again from.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// The longest time of training that is done again.
const LONGEST: Duration = Duration::from_secs(60);

/// Steps of one submission as steps are run again.
const AT_ONCE: u64 = 64;

impl Model {
    /// Trains for one pass over the rows in their own order, from the weights as they are, on the processor in f32, op by op
    /// as the model was written, until a number is not finite: where that comes from; none if all of them are finite. The
    /// model itself stays as it is.
    ///
    /// ```
    /// use kiln::nn::Lambda;
    /// use kiln::prelude::*;
    ///
    /// let data = Dataset::from_rows(&[[1.0], [2.0]], &[[0.0], [1.0]])?;
    /// // 0/0.
    /// let model = Sequential::new(1).layer(Lambda::new(|x| x[0].sub(&x[0]).div(&x[0].sub(&x[0])))).dense(1, Linear);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])?;
    /// let found = model.find_nan(&data, 2)?;
    /// assert!(found.is_some_and(|found| found.layer.as_deref() == Some("lambda")));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A batch size of 0, data that does not fit the model, memory.
    pub fn find_nan(
        &mut self,
        data: &Dataset,
        batch_size: usize,
    ) -> Result<Option<FirstNonFinite>> {
        if batch_size == 0 {
            return Err(Error::argument("batch_size", "must be at least 1, got 0"));
        }
        let snapshot = self.snapshot()?;
        let data = self.prepare(data)?;
        let room = Room {
            weights: data.weight_columns(),
            ..Room::new(data.rows, batch_size.min(data.rows))
        };
        let mut trace = Trace::open(self, room, &snapshot, &data)?;
        let start = ClockStart {
            // Its batches are whole.
            step: self.steps / u64::from(self.micro),
            epoch: self.epochs,
            ..ClockStart::at_beginning(data.rows)
        };
        let cursor = trace.handles.cursor;
        let words = start.words();
        trace.session.put(cursor, 0, ElementsRef::U32(&words))?;
        for step in 1..=data.rows.div_ceil(room.batch) as u64 {
            if let Some(found) = trace.step(step)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The error for a run that ended at step `step` because its loss was not finite; the model goes back to before that.
    pub(super) async fn explained(
        &mut self,
        run: &mut Run<'_>,
        (epoch, step): (u64, u64),
    ) -> Error {
        let unknown = Error::NonFinite {
            epoch,
            step,
            what: "the loss".into(),
        };
        run.keeper.forget_copy();
        let near = run.keeper.explains && run.keeper.state_at.elapsed() <= LONGEST;
        if !near {
            return unknown;
        }
        let Some(kept) = run.keeper.state.take() else {
            return unknown;
        };
        let found = self.replayed(run, &kept, step).await;
        // What is left of the run if its device is gone.
        run.keeper.state = Some(kept);
        match found {
            Ok(Some((step, what))) => Error::NonFinite {
                epoch: (step - 1) / run.ledger.steps_per_epoch() + 1,
                step,
                what,
            },
            Ok(None) => unknown,
            Err(error) => {
                tracing::warn!(%error, "the steps before the loss that is not finite could not be repeated");
                unknown
            }
        }
    }

    async fn replayed(
        &mut self,
        run: &Run<'_>,
        kept: &RunState,
        step: u64,
    ) -> Result<Option<(u64, String)>> {
        let (Some(room), Some(data)) = (run.needs.train, run.supply.resident()) else {
            return Ok(None);
        };
        self.put_back(run, &kept.snapshot, kept, 0).await?;
        // What the loss shows may have come about in the step before.
        let before = (step - kept.steps).saturating_sub(2);
        self.run_again(run, before).await?;
        let mut snapshot = self
            .session(run.needs)
            .await?
            .snapshot_async(Role::is_kept)
            .await?;
        let mut done = before;
        let mut later = None;
        if kept.steps + done + 1 < step {
            self.run_again(run, 1).await?;
            later = Some(
                self.session(run.needs)
                    .await?
                    .snapshot_async(Role::is_kept)
                    .await?,
            );
        }
        if let Some(later) = later.filter(is_finite) {
            (snapshot, done) = (later, done + 1);
        }
        let mut trace = Trace::open(self, room, &snapshot, data)?;
        let at = kept.steps + done + 1;
        let found = trace.step(at)?;
        // Where it cannot be told, back to the beginning: the steps have not come out as they did.
        let (snapshot, done) = match found {
            Some(_) => (&snapshot, done),
            None => (&kept.snapshot, 0),
        };
        self.put_back(run, snapshot, kept, done).await?;
        Ok(found.map(|found| (at, found.to_string())))
    }

    /// Sets the model to a snapshot of so many steps after what was kept.
    async fn put_back(
        &mut self,
        run: &Run<'_>,
        snapshot: &Snapshot,
        kept: &RunState,
        done: u64,
    ) -> Result<()> {
        let per_epoch = run.ledger.steps_per_epoch();
        let rows = run.order.rows;
        let begun = kept.seen.div_ceil(run.order.batch.max(1)) + done;
        (self.steps, self.epochs) = (
            kept.model_steps + done,
            kept.model_epochs + begun / per_epoch,
        );
        let offset = (begun % per_epoch * run.order.batch).min(rows);
        self.session(run.needs).await?.restore(snapshot)?;
        let start = run.clock_start(self.steps, self.epochs, offset);
        self.set_clock(RowProgram::Train, run.needs, start).await?;
        self.write_rate_factor()
    }

    async fn run_again(&mut self, run: &Run<'_>, mut steps: u64) -> Result<()> {
        let open = self.opened(run.needs).await?;
        let (session, handles) = open.program(RowProgram::Train)?;
        while steps > 0 {
            let now = steps.min(AT_ONCE);
            let pending = session.submit_program(handles.program, now, &[])?;
            session.finish(pending).await?;
            steps -= now;
        }
        Ok(())
    }
}

/// Whether all numbers of a snapshot are finite.
fn is_finite(snapshot: &Snapshot) -> bool {
    let finite = |values: &Values| match values {
        Values::F32(values) => values.iter().all(|value| value.is_finite()),
        Values::F64(values) => values.iter().all(|value| value.is_finite()),
        Values::U32(_) => true,
    };
    snapshot
        .variables
        .values()
        .all(|(_, values)| finite(values))
}

/// A model's training program on the processor, as it was written: a call for every node.
struct Trace {
    graph: Graph,
    plan: Plan,
    session: Session,
    handles: RunHandles,
}

impl Trace {
    /// With the model's state and a data set.
    fn open(model: &Model, room: Room, snapshot: &Snapshot, data: &Prepared<'_>) -> Result<Self> {
        let target = Target::cpu().without_fusion();
        let mut parts = model.parts();
        parts.target = &target;
        let (graph, plan) = parts.graph_and_plan(Needs {
            train: Some(room),
            evaluate: None,
        })?;
        let mut session = Device::cpu().open(&plan)?;
        let mut snapshot = snapshot.clone();
        resize_rates(&mut snapshot, RowProgram::Train.name(), &plan);
        session.restore(&snapshot)?;
        let handles = parts.handles(&plan)?;
        let handles = handles.rows(RowProgram::Train)?.clone();
        handles.upload(&mut session, data)?;
        if let Some(factor) = model.rate_factor {
            handles.write_rate_factor(&mut session, factor)?;
        }
        Ok(Trace {
            handles,
            graph,
            plan,
            session,
        })
    }

    /// Does a step; where its first number that is not finite comes from.
    fn step(&mut self, step: u64) -> Result<Option<FirstNonFinite>> {
        for variable in &self.plan.variables {
            let values = match variable.role == Role::State {
                true => self.session.read_values(&variable.name)?,
                false => continue,
            };
            let Values::F32(values) = values else {
                continue;
            };
            if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
                return Ok(Some(FirstNonFinite {
                    step,
                    node: self
                        .graph
                        .node_of_variable(&variable.name)
                        .unwrap_or_default(),
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
        Ok(Some(FirstNonFinite {
            step,
            node,
            op: call.op.name().into(),
            layer: layer.map(|layer| layer.to_string()),
            backward,
            variable: self.variable_at(place),
            location: location.filter(|location| !is_own(location)),
            value,
        }))
    }

    /// The name of the variable that lies at a place.
    fn variable_at(&self, place: Place) -> Option<String> {
        let mut variables = self.plan.variables.iter();
        let found = variables.find(|variable| variable.place == place)?;
        Some(found.name.clone())
    }
}

/// Whether a line is one of this crate's own, which the caller of a layer or a loss has not written.
fn is_own(location: &Location<'_>) -> bool {
    let here = Location::caller().file();
    let root = here.strip_suffix("train/non_finite.rs").unwrap_or(here);
    location.file().starts_with(root)
}

impl Graph {
    /// The number of a variable's node.
    fn node_of_variable(&self, name: &str) -> Option<usize> {
        let nodes = self.lock();
        let is = |node: &Node| matches!(node, Node::Variable(variable) if variable.name == name);
        nodes.records.iter().position(|record| is(&record.node))
    }
}
