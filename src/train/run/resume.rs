//! The state of a run, taken between two steps, and taken up by another run.

use crate::edge::WallTime;
use crate::graph::Role;
use crate::optim::{CommonSettings, is_accumulator};
use crate::train::history::{History, Stop};
use crate::train::hook::{Due, StateHook};
use crate::train::metric::with_whole_tallies;
use crate::train::model::Model;
use crate::train::programs::RowProgram;
use crate::train::state::{MemberState, RunState, is_whole};
use crate::{Error, Result, Snapshot};

use super::Run;

impl Run<'_> {
    /// The state of the run, whose submitted steps have all been read.
    pub(super) async fn state(&mut self, model: &mut Model) -> Result<RunState> {
        let session = model.session(self.pass.capacity).await?;
        let snapshot = session.snapshot_async(Role::is_kept).await?;
        let mut state = self.state_with(model, snapshot, model.steps)?;
        self.list_in(&mut state, &self.lengths());
        Ok(state)
    }

    /// How many epochs and losses of steps the history of each member lists.
    pub(super) fn lengths(&self) -> Vec<(usize, usize)> {
        let members = self.members.iter();
        members.map(|member| member.history.lengths()).collect()
    }

    /// Lists epochs and losses in the histories of an earlier state of this run, as they were of these lengths.
    pub(super) fn list_in(&self, state: &mut RunState, lengths: &[(usize, usize)]) {
        let live = self.members.iter().map(|member| &member.history);
        let mut live = live.zip(lengths.iter().copied());
        if let Some((live, lengths)) = live.clone().next() {
            state.history.list_as(live, lengths);
        }
        for own in &mut state.members {
            if let Some((live, lengths)) = live.next() {
                own.history.list_as(live, lengths);
            }
        }
    }

    /// What the host knows of the run after the steps whose sums it has read, but for what histories list, with a snapshot of
    /// there; `model_step` is the model's number of the last.
    pub(super) fn state_with(
        &self,
        model: &Model,
        snapshot: Snapshot,
        model_step: u64,
    ) -> Result<RunState> {
        let (seen, sums) = self.under_way();
        let absorbed = self.pass.absorbed;
        // Rows that came and are not yet trained on are part of the run.
        let data_ended = self.pass.data_ended && absorbed >= self.pass.total;
        let stop = match &self.stop {
            None if data_ended => Some(Stop::Data),
            stop => stop.clone(),
        };
        let members = self.members.iter().map(|member| {
            let mut history = member.history.without_lists();
            if member.ended.is_none() {
                history.steps = absorbed;
            }
            if let Some(stop) = member.stop.as_ref().or(stop.as_ref()) {
                history.stop = stop.clone();
            }
            MemberState {
                history,
                ended: member.ended.clone(),
            }
        });
        let mut members: Vec<MemberState> = members.collect();
        let history = if model.members.is_empty() {
            members.remove(0).history
        } else {
            members[0].history.clone()
        };
        let callbacks = self.fit.callbacks.0.iter().map(|callback| callback.state());
        let mut state = RunState {
            snapshot: Snapshot::default(),
            model_steps: model_step,
            model_epochs: model.epochs,
            rate_factor: model.rate_factor,
            order: self.order,
            steps: absorbed,
            seen,
            sums,
            metrics: self.metrics.names()?,
            history,
            elapsed: self.elapsed(),
            callbacks: callbacks.collect::<Result<_>>()?,
            names: model.architecture.names.clone(),
            members,
        };
        state.set_snapshot(snapshot);
        Ok(state)
    }

    /// Rows seen of the epoch under way, and the sums over them, all members' one after the other.
    fn under_way(&self) -> (u64, Vec<f64>) {
        let (mut seen, mut all) = (0, Vec::new());
        for epoch_sums in &self.pass.epoch_sums {
            let sums;
            (seen, sums) = epoch_sums.under_way();
            all.extend(sums);
        }
        (seen, all)
    }

    /// Sets model and run to a state, which was taken of a run like this one: the one way in which a run goes on, whether it
    /// was stopped or its device was lost.
    pub(super) async fn go_on(&mut self, model: &mut Model, state: &RunState) -> Result<()> {
        self.check_state(model, state).await?;
        let session = model.session(self.pass.capacity).await?;
        session.restore(&with_whole_tallies(&state.snapshot, session.plan()))?;
        take_up(model, state);
        model.micro = self.order.micro;
        let columns = state.sums.len() / self.members.len();
        for (index, epoch_sums) in self.pass.epoch_sums.iter_mut().enumerate() {
            let sums = &state.sums[index * columns..(index + 1) * columns];
            epoch_sums.go_on(state.model_epochs, state.seen, sums);
        }
        self.pass.absorbed = state.steps;
        self.before = state.elapsed;
        self.stop = None;
        let histories = histories(state);
        for (index, (member, kept)) in self.members.iter_mut().zip(histories).enumerate() {
            let stop = std::mem::replace(&mut member.history, kept.clone()).stop;
            let kept = std::mem::replace(&mut member.history.stop, stop);
            if index == 0 {
                member.history.notes.clone_from(&state.history.notes);
            }
            let own = state.members.get(index);
            member.ended = own.and_then(|own| own.ended.clone());
            member.stop = None;
            match kept {
                stop @ Stop::Loss { .. } => member.stop = Some(stop),
                // The run had come to its end.
                stop @ (Stop::Callback(_) | Stop::Data) => self.stop = Some(stop),
                Stop::Epochs(_) | Stop::Steps(_) | Stop::Paused(_) | Stop::Interrupted => {}
            }
        }
        if self.is_cut(state) {
            self.stop.get_or_insert(Stop::Data);
        }
        if self.members.iter().all(|member| member.stop.is_some()) {
            self.stop.clone_from(&self.members[0].stop);
        }
        if self.stop.is_some() {
            self.pass.total = self.pass.absorbed;
        }
        let callbacks = self.fit.callbacks.0.iter_mut();
        for (callback, kept) in callbacks.zip(&state.callbacks) {
            callback.restore(kept)?;
        }
        let start = self.clock_start(state.model_steps, state.model_epochs, state.seen);
        model
            .set_clock(RowProgram::Train, self.pass.capacity, &start)
            .await
    }

    /// Gives the state of the run to the hooks that are due, between two steps with nothing under way.
    pub(super) async fn hand_out(&mut self, model: &mut Model, due: Due) -> Result<()> {
        let (steps, epochs) = (self.pass.absorbed, self.epochs());
        let is_due = |hook: &StateHook<'_>| match due {
            Due::Now { ends_epoch } => hook.is_due(steps, epochs, ends_epoch),
            Due::Last => hook.taken != Some(steps),
        };
        if !self.fit.hooks.iter().any(is_due) {
            return Ok(());
        }
        let state = self.state(model).await?;
        for hook in self.fit.hooks.iter_mut().filter(|hook| is_due(hook)) {
            (hook.take)(&state)?;
            (hook.taken, hook.at) = (Some(steps), WallTime::now());
        }
        Ok(())
    }

    /// Refuses a state of another model or another run.
    async fn check_state(&mut self, model: &mut Model, state: &RunState) -> Result<()> {
        self.check_settings(model, state)?;
        self.check_place(state)?;
        let plan = model.session(self.pass.capacity).await?.plan();
        let kept = |variable: &&crate::plan::PlannedVariable| {
            variable.role == Role::State && !variable.constant
        };
        let mut kept = plan.variables.iter().filter(kept);
        let lacks = |name: &str| !state.snapshot.variables.contains_key(name);
        if let Some(variable) = kept.find(|variable| lacks(&variable.name)) {
            return Err(refused(format!(
                "is the state of another model: it has no `{}`",
                variable.name
            )));
        }
        // What was collected for an update that this run would never make.
        let mut collected = state.snapshot.variables.keys();
        match collected.find(|name| is_accumulator(name) && plan.variable(name).is_err()) {
            Some(name) => Err(refused(format!(
                "is the state of a run whose updates are of several batches, as it has `{name}`, and this one's are of one each: give \
                 as many `micro_batches`, or `gradient_accumulation_steps` of the optimizer"
            ))),
            None => Ok(()),
        }
    }

    fn check_settings(&self, model: &Model, state: &RunState) -> Result<()> {
        let (here, mut there) = (self.order, state.order);
        // A file of before that was kept does not say.
        there.few = here.few;
        if !is_whole(&here.micro) && is_silent_of_parts(model, state) {
            tracing::warn!(
                parts = here.micro,
                step = state.steps,
                "the checkpoint is of before it said into how many parts batches are split: that they are as many is not checked"
            );
            there.micro = here.micro;
        }
        let alike = |is_alike: bool, there: String, here: String| {
            let message = || format!("is the state of a run {there}, but this one {here}");
            is_alike.then_some(()).ok_or_else(|| refused(message()))
        };
        alike(
            here == there,
            format!("over {there}"),
            format!("is over {here}"),
        )?;
        let told = |members: usize| match members {
            0 => "of a model".to_string(),
            count => format!("of a population of {count}"),
        };
        let (there, here) = (state.members.len(), model.members.len());
        alike(there == here, told(there), format!("is {}", told(here)))?;
        // An epoch whose figures are sums of two metrics, or a history of epochs that differ, would be worth nothing.
        let metrics = self.metrics.names()?;
        let known = !state.metrics.is_empty() || !state.history.epochs.is_empty();
        let listed = |names: &[String]| match names {
            [] => "no metrics".to_string(),
            names => format!("the metrics {}", names.join(", ")),
        };
        alike(
            !known || state.metrics == metrics,
            format!("with {}", listed(&state.metrics)),
            format!("has {}", listed(&metrics)),
        )?;
        let here = self.validates();
        let first = state.history.epochs.first();
        let there = first.map_or(here, |epoch| epoch.val_loss.is_some());
        let told = |validates: bool| if validates { "with" } else { "without" };
        alike(
            there == here,
            format!("{} validation", told(there)),
            format!("is {} it", told(here)),
        )?;
        let counts = [
            (
                state.sums.len(),
                self.under_way().1.len(),
                " figures a step",
            ),
            (
                state.callbacks.len(),
                self.fit.callbacks.0.len(),
                " callbacks",
            ),
        ];
        counts.into_iter().try_for_each(|(there, here, what)| {
            let (there_told, here_told) = (format!("with {there}{what}"), format!("has {here}"));
            alike(there == here, there_told, here_told)
        })
    }

    /// Refuses a place that no run ever is at: a file may say anything.
    fn check_place(&self, state: &RunState) -> Result<()> {
        let here = self.order;
        let (per_epoch, batch) = (self.pass.steps_per_epoch(), here.batch.max(1));
        let most = |of: fn(&History) -> usize| histories(state).map(of).max().unwrap_or(0) as u64;
        let epochs = most(|history| history.epochs.len());
        let losses = most(|history| history.step_losses.len());
        let counted = u64::from(u32::MAX);
        let cut = self.is_cut(state);
        let left = if cut {
            0
        } else {
            self.pass.total.saturating_sub(state.steps)
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
        if fits {
            return Ok(());
        }
        Err(refused(format!(
            "is at step {} of the run and {} of the model, {} rows into epoch {} of {} rows, with {losses} losses, {epochs} \
             epochs and a rate times {:?}: no run ever is",
            state.steps,
            state.model_steps,
            state.seen,
            state.model_epochs,
            here.rows,
            state.rate_factor.unwrap_or(1.0)
        )))
    }

    /// Whether the end of an iterator has cut the last epoch of the run at this state: there are no more rows.
    fn is_cut(&self, state: &RunState) -> bool {
        let (per_epoch, epochs) = (self.pass.steps_per_epoch(), state.history.epochs.len());
        let ended = state.seen == 0 && !state.steps.is_multiple_of(per_epoch);
        let repeats = self.pass.feeder.repeats();
        !repeats && ended && state.steps.div_ceil(per_epoch) == epochs as u64
    }
}

/// Sets the host's side of a model to a state of it.
pub(super) fn take_up(model: &mut Model, state: &RunState) {
    // What is only the run's begins with its clock.
    let of_model = state.snapshot.variables.iter();
    let of_model = of_model.filter(|(name, _)| !model.engine.is_progress(name));
    let of_model: Vec<_> = of_model.map(|(k, v)| (k.clone(), v.clone())).collect();
    model.engine.kept.variables.extend(of_model);
    model.steps = state.model_steps;
    model.epochs = state.model_epochs;
    model.rate_factor = state.rate_factor;
}

/// The histories of all members of a state; of a model's the only one.
fn histories(state: &RunState) -> impl Iterator<Item = &History> {
    let only = state.members.is_empty().then_some(&state.history);
    let members = state.members.iter().map(|member| &member.history);
    only.into_iter().chain(members)
}

/// Whether a state is of batches in parts and from a file that does not say so, as was before
/// [`Order::micro`](crate::train::Order::micro) was kept: gradients are collected that the optimizer by itself does not collect.
fn is_silent_of_parts(model: &Model, state: &RunState) -> bool {
    let config = model.optimizer.config();
    let whole = config.is_some_and(|mut c| c.common_mut().gradient_accumulation_steps == 1);
    let mut variables = state.snapshot.variables.keys();
    whole && is_whole(&state.order.micro) && variables.any(|name| is_accumulator(name))
}

fn refused(message: String) -> Error {
    Error::argument("resume", message)
}
