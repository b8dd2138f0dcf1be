//! The whole state of a run as plain data: what a checkpoint writes, and what a run is continued from.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::optim::is_accumulator;
use crate::{Error, Result, Role, Snapshot};

use super::Model;
use super::history::{History, Stop};
use super::programs::RowProgram;
use super::run::Run;

/// A training run between two of its steps: model, optimizer, place in the data, figures so far, callbacks.
///
/// [`Fit::states`](super::Fit::states) hands them out, [`Fit::resume`](super::Fit::resume) goes on from one, to the bits
/// that the run would have ended in had it never stopped: in the middle of an epoch too, on the same kind of device.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// Weights, states of the optimizer, rates, counts over the epoch under way.
    pub snapshot: Snapshot,
    /// Steps of the model since it was compiled, as its clock counts them: in [parts](super::Fit::micro_batches) of batches where
    /// the run has some.
    pub model_steps: u64,
    /// Epochs of the model since it was compiled.
    pub model_epochs: u64,
    /// What callbacks multiply the schedule's learning rate by; none if it never was set.
    pub rate_factor: Option<f32>,
    /// What the place in the data refers to.
    pub order: Order,
    /// Steps of the run: its batches, or their parts.
    pub steps: u64,
    /// Rows seen of the epoch under way.
    pub seen: u64,
    /// Sums of loss and metrics over them; last the rows that are part of none, where steps are skipped.
    pub sums: Vec<f64>,
    /// The names of the metrics; none in a file of before they were kept, where no epoch had ended.
    pub metrics: Vec<String>,
    /// Epochs and losses so far.
    pub history: History,
    /// Time of training so far.
    pub elapsed: Duration,
    /// What each callback keeps, in their order.
    pub callbacks: Vec<Kept>,
}

/// The rows of a run, how many of them are a step, and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Rows of the data set.
    pub rows: u64,
    /// Rows of a step.
    pub batch: u64,
    /// The seed of the shuffle; none for the data's own order.
    pub shuffle: Option<u32>,
    /// Steps that make one update of the weights: the [parts](super::Fit::micro_batches) of a batch, 1 where it is whole, and in
    /// files of before this was kept.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub micro: u32,
}

/// What files say that do not speak of parts.
fn whole() -> u32 {
    1
}

fn is_whole(micro: &u32) -> bool {
    *micro == whole()
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Order {
            rows,
            batch,
            shuffle,
            micro,
        } = self;
        write!(f, "{rows} rows in batches of {batch}")?;
        if !is_whole(micro) {
            write!(f, ", {micro} of which are an update")?;
        }
        match shuffle {
            Some(seed) => write!(f, ", shuffled by seed {seed}"),
            None => write!(f, ", in their own order"),
        }
    }
}

/// What a callback keeps of a run that goes on later: settings of its own, and a snapshot where it holds one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    pub(crate) values: serde_json::Value,
    pub(crate) snapshot: Option<Snapshot>,
}

impl Kept {
    /// What serde makes of the values.
    ///
    /// JSON has no NaN and no infinities: keep a number that may be one as its bits.
    pub fn of(values: &impl Serialize) -> Result<Self> {
        let values = serde_json::to_value(values).map_err(|error| {
            Error::argument("callback", format!("its state cannot be kept: {error}"))
        })?;
        Ok(Kept {
            values,
            snapshot: None,
        })
    }

    /// With a snapshot of the model beside them.
    pub fn with_snapshot(mut self, snapshot: Option<Snapshot>) -> Self {
        self.snapshot = snapshot;
        self
    }

    /// The values.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where they are those of another callback.
    pub fn values<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.values).map_err(|error| {
            let message = format!("holds the state of another callback: {error}");
            Error::argument("resume", message)
        })
    }

    /// The snapshot.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }
}

impl RunState {
    /// Takes a snapshot of its step.
    pub(super) fn set_snapshot(&mut self, mut snapshot: Snapshot) {
        // Said by numbers that can be checked.
        snapshot.variables.remove(&RowProgram::Train.cursor());
        self.snapshot = snapshot;
    }
}

impl Model {
    /// The state of a run whose submitted steps have all been read.
    pub(super) async fn run_state(&mut self, run: &Run<'_>) -> Result<RunState> {
        let session = self.session(run.needs).await?;
        let snapshot = session.snapshot_async(Role::is_kept).await?;
        self.state_with(run, snapshot, self.steps)
    }

    /// What the host knows of a run behind the steps whose sums it has read, with a snapshot of there; `model_step` is the
    /// model's number of the last.
    pub(super) fn state_with(
        &self,
        run: &Run<'_>,
        snapshot: Snapshot,
        model_step: u64,
    ) -> Result<RunState> {
        let (seen, sums) = run.ledger.under_way();
        let mut history = run.history.clone();
        history.steps = run.absorbed;
        // Rows that came and are not yet trained on are part of the run.
        let data_ended = run.data_ended && run.absorbed >= run.total;
        history.stop = match &run.stop {
            Some(stop) => stop.clone(),
            None if data_ended => Stop::Data,
            None => history.stop,
        };
        let callbacks = run.callbacks.0.iter().map(|callback| callback.state());
        let mut state = RunState {
            snapshot: Snapshot::default(),
            model_steps: model_step,
            model_epochs: self.epochs,
            rate_factor: self.rate_factor,
            order: run.order,
            steps: run.absorbed,
            seen,
            sums,
            metrics: run.board.names()?,
            history,
            elapsed: run.elapsed(),
            callbacks: callbacks.collect::<Result<_>>()?,
        };
        state.set_snapshot(snapshot);
        Ok(state)
    }

    /// Sets model and run to a state, which was taken of a run like this one: the one way in which a run goes on, whether it
    /// was stopped or its device was lost.
    pub(super) async fn continue_run(&mut self, run: &mut Run<'_>, state: &RunState) -> Result<()> {
        self.check_state(run, state).await?;
        self.session(run.needs).await?.restore(&state.snapshot)?;
        self.take_up(state);
        self.micro = run.order.micro;
        run.ledger
            .go_on(state.model_epochs, state.seen, &state.sums);
        run.absorbed = state.steps;
        run.before = state.elapsed;
        let stop = std::mem::replace(&mut run.history, state.history.clone()).stop;
        run.stop = match std::mem::replace(&mut run.history.stop, stop) {
            // It had come to its end.
            stop @ (Stop::Loss { .. } | Stop::Callback(_) | Stop::Data) => Some(stop),
            _ if is_cut(run, state) => Some(Stop::Data),
            Stop::Epochs(_) | Stop::Steps(_) | Stop::Paused(_) | Stop::Interrupted => None,
        };
        if run.stop.is_some() {
            run.total = run.absorbed;
        }
        let callbacks = run.callbacks.0.iter_mut();
        for (callback, kept) in callbacks.zip(&state.callbacks) {
            callback.restore(kept)?;
        }
        let start = run.clock_start(state.model_steps, state.model_epochs, state.seen);
        self.set_clock(RowProgram::Train, run.needs, start).await
    }

    /// Sets the host's side of the model to a state of it.
    pub(super) fn take_up(&mut self, state: &RunState) {
        // What is only the run's begins with its clock.
        let of_model = state.snapshot.variables.iter();
        let of_model = of_model.filter(|(name, _)| !self.is_progress(name));
        let of_model: Vec<_> = of_model.map(|(k, v)| (k.clone(), v.clone())).collect();
        self.carried.variables.extend(of_model);
        self.steps = state.model_steps;
        self.epochs = state.model_epochs;
        self.rate_factor = state.rate_factor;
    }

    /// Gives the state of the run to the watches that are due, between two steps with nothing under way.
    pub(super) async fn watch(&mut self, run: &mut Run<'_>, due: Due) -> Result<()> {
        let (steps, epochs) = (run.absorbed, run.history.epochs.len() as u64);
        let is_due = |watch: &Watch<'_>| match due {
            Due::Now { ends_epoch } => watch.is_due(steps, epochs, ends_epoch),
            Due::Last => watch.taken != Some(steps),
        };
        if !run.watches.iter().any(is_due) {
            return Ok(());
        }
        let state = self.run_state(run).await?;
        for watch in run.watches.iter_mut().filter(|watch| is_due(watch)) {
            (watch.take)(&state)?;
            (watch.taken, watch.at) = (Some(steps), Instant::now());
        }
        Ok(())
    }

    /// Refuses a state of another model or another run.
    async fn check_state(&mut self, run: &Run<'_>, state: &RunState) -> Result<()> {
        let refused = |message: String| Err(Error::argument("resume", message));
        let (here, mut there) = (run.order, state.order);
        if !is_whole(&here.micro) && self.is_silent_of_parts(state) {
            tracing::warn!(
                parts = here.micro,
                step = state.steps,
                "the checkpoint is of before it said into how many parts batches are split: that they are as many is not checked"
            );
            there.micro = here.micro;
        }
        if here != there {
            return refused(format!(
                "is the state of a run over {there}, but this one is over {here}"
            ));
        }
        // An epoch whose figures are sums of two metrics, or a history of epochs that differ, would be worth nothing.
        let metrics = run.board.names()?;
        let known = !state.metrics.is_empty() || !state.history.epochs.is_empty();
        if known && state.metrics != metrics {
            let listed = |names: &[String]| match names {
                [] => "no metrics".to_string(),
                names => format!("the metrics {}", names.join(", ")),
            };
            return refused(format!(
                "is the state of a run with {}, but this one has {}",
                listed(&state.metrics),
                listed(&metrics)
            ));
        }
        if let Some(epoch) = state.history.epochs.first()
            && epoch.val_loss.is_some() != run.validates
        {
            let told = |validates: bool| if validates { "with" } else { "without" };
            return refused(format!(
                "is the state of a run {} validation, but this one is {} it",
                told(!run.validates),
                told(run.validates)
            ));
        }
        if state.sums.len() != run.ledger.under_way().1.len() {
            return refused(format!(
                "is the state of a run with {} figures a step, but this one has {}",
                state.sums.len(),
                run.ledger.under_way().1.len()
            ));
        }
        if state.callbacks.len() != run.callbacks.0.len() {
            return refused(format!(
                "is the state of a run with {} callbacks, but this one has {}",
                state.callbacks.len(),
                run.callbacks.0.len()
            ));
        }
        // A file may say anything.
        let (per_epoch, batch) = (run.ledger.steps_per_epoch(), here.batch.max(1));
        let (epochs, losses) = (
            state.history.epochs.len() as u64,
            state.history.step_losses.len() as u64,
        );
        let counted = u64::from(u32::MAX);
        let cut = is_cut(run, state);
        let left = match cut {
            true => 0,
            false => run.total.saturating_sub(state.steps),
        };
        let place = (state.steps % per_epoch, state.steps / per_epoch);
        let fits = state.seen < here.rows
            && state.seen.is_multiple_of(batch)
            && (cut || place == (state.seen / batch, epochs))
            && state.steps == losses
            && state.steps <= state.model_steps
            && epochs <= state.model_epochs
            && state.model_steps.saturating_add(left) <= counted
            && state.model_epochs.saturating_add(left) <= counted
            && state
                .rate_factor
                .is_none_or(|factor| factor >= 0.0 && factor.is_finite());
        if !fits {
            return refused(format!(
                "is at step {} of the run and {} of the model, {} rows into epoch {} of {} rows, with {losses} losses, {epochs} \
                 epochs and a rate times {:?}: no run ever is",
                state.steps,
                state.model_steps,
                state.seen,
                state.model_epochs,
                here.rows,
                state.rate_factor.unwrap_or(1.0)
            ));
        }
        let plan = self.session(run.needs).await?.plan();
        let kept = |variable: &&crate::plan::PlannedVariable| {
            variable.role == Role::State && !variable.constant
        };
        let mut kept = plan.variables.iter().filter(kept);
        let lacks = |name: &str| !state.snapshot.variables.contains_key(name);
        if let Some(variable) = kept.find(|variable| lacks(&variable.name)) {
            return refused(format!(
                "is the state of another model: it has no `{}`",
                variable.name
            ));
        }
        // What was collected for an update that this run would never make.
        let mut collected = state.snapshot.variables.keys();
        match collected.find(|name| is_accumulator(name) && plan.variable(name).is_err()) {
            Some(name) => refused(format!(
                "is the state of a run whose updates are of several batches, as it has `{name}`, and this one's are of one each: give \
                 as many `micro_batches`, or `gradient_accumulation_steps` of the optimizer"
            )),
            None => Ok(()),
        }
    }

    /// Whether a state is of batches in parts and from a file that does not say so, as was before [`Order::micro`] was kept:
    /// gradients are collected that the optimizer by itself does not collect.
    fn is_silent_of_parts(&self, state: &RunState) -> bool {
        let config = self.optimizer.config();
        let whole = config.is_some_and(|mut c| c.common_mut().gradient_accumulation_steps == 1);
        let mut variables = state.snapshot.variables.keys();
        whole && is_whole(&state.order.micro) && variables.any(|name| is_accumulator(name))
    }
}

/// Whether the end of an iterator has cut the last epoch of a run that is at this state: there are no more rows.
fn is_cut(run: &Run<'_>, state: &RunState) -> bool {
    let (per_epoch, epochs) = (run.ledger.steps_per_epoch(), state.history.epochs.len());
    let ended = state.seen == 0 && !state.steps.is_multiple_of(per_epoch);
    !run.supply.repeats() && ended && state.steps.div_ceil(per_epoch) == epochs as u64
}

/// How often the state of a run is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Every {
    /// After every so many steps: batches, or their [parts](super::Fit::micro_batches).
    Steps(u64),
    /// After every so many epochs.
    Epochs(u64),
    /// When so much time has gone by since the last one.
    Time(Duration),
}

impl Every {
    /// Refuses what would be never, or always.
    pub(super) fn validate(self) -> Result<()> {
        let none = match self {
            Every::Steps(count) | Every::Epochs(count) => count == 0,
            Every::Time(time) => time.is_zero(),
        };
        match none {
            true => Err(Error::argument("every", "must be more than nothing")),
            false => Ok(()),
        }
    }
}

type Take<'a> = Box<dyn FnMut(&RunState) -> Result<()> + Send + 'a>;

/// Takes the states of a run as it goes, and the last one.
pub(super) struct Watch<'a> {
    pub every: Every,
    pub take: Take<'a>,
    /// The step of the last one.
    pub taken: Option<u64>,
    /// When it was taken.
    pub at: Instant,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {:?}", self.every)
    }
}

impl<'a> Watch<'a> {
    pub fn new(every: Every, take: impl FnMut(&RunState) -> Result<()> + Send + 'a) -> Self {
        Watch {
            every,
            take: Box::new(take),
            taken: None,
            at: Instant::now(),
        }
    }

    /// Whether so much time has gone by that what is under way should come to an end.
    pub fn is_late(&self) -> bool {
        matches!(self.every, Every::Time(time) if self.at.elapsed() >= time)
    }

    /// Whether its time has come, between two steps.
    pub fn is_due(&self, steps: u64, epochs: u64, ends_epoch: bool) -> bool {
        self.taken != Some(steps)
            && match self.every {
                Every::Steps(count) => steps.is_multiple_of(count),
                Every::Epochs(count) => ends_epoch && epochs.is_multiple_of(count),
                Every::Time(time) => self.at.elapsed() >= time,
            }
    }
}

/// Which watches the state of a run goes to.
#[derive(Clone, Copy)]
pub(super) enum Due {
    /// Those whose time has come; whether an epoch has just ended.
    Now { ends_epoch: bool },
    /// All: the run is over.
    Last,
}
