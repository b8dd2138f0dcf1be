//! The engine of a model: its sessions on a device, and what the host knows of what they have learned.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::data::LearnedNames;
use crate::edge::WallTime;
use crate::graph::Role;
use crate::op::cursor;
use crate::session::resize_rates;
use crate::{Device, Error, Plan, Result, Session, Snapshot, Values};

use super::programs::{Capacity, Handles, Recipe, RowProgram, RunHandles};
use super::shared::Share;

/// A session, what it was opened for, and what the host reaches of it.
#[derive(Debug)]
pub(super) struct Open {
    pub capacity: Capacity,
    pub session: Session,
    pub handles: Handles,
    /// Whether steps of training run in it that the host has not counted yet, or were left so by a run that was dropped.
    pub uncounted: bool,
}

impl Open {
    pub fn new(recipe: &Recipe<'_>, capacity: Capacity, device: &Device) -> Result<Self> {
        Self::of(&recipe.build(capacity)?, recipe, capacity, device)
    }

    /// The same with the plan of that capacity.
    fn of(plan: &Plan, recipe: &Recipe<'_>, capacity: Capacity, device: &Device) -> Result<Self> {
        Ok(Open {
            capacity,
            handles: recipe.handles(plan)?,
            session: device.open(plan)?,
            uncounted: false,
        })
    }

    pub fn program(&mut self, program: RowProgram) -> Result<(&mut Session, &RunHandles)> {
        Ok((&mut self.session, self.handles.rows(program)?))
    }

    /// How many steps and epochs of training were begun by its clock: an epoch that ended on its way is one.
    async fn counted(&mut self) -> Result<(u64, u64)> {
        let (session, handles) = self.program(RowProgram::Train)?;
        let words = match session.get(handles.cursor).await? {
            Values::U32(words) => words,
            Values::F32(_) | Values::F64(_) => Vec::new(),
        };
        let word = |at: usize| u64::from(words.get(at).copied().unwrap_or_default());
        let begun = word(cursor::OFFSET) + word(cursor::ROWS) > 0;
        Ok((word(cursor::STEP), word(cursor::EPOCH) + u64::from(begun)))
    }

    /// Weights, optimizer states and rates, and not where a run is.
    pub async fn learned(&mut self) -> Result<Snapshot> {
        self.session
            .snapshot_async(|role| role == Role::State)
            .await
    }
}

/// Where the model was when the host last had all of it, while steps on single batches follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeptAt {
    pub steps: u64,
    pub micro: u32,
    pub at: WallTime,
}

/// The names that the model knew before a call of `fit` learned those of its table.
#[derive(Debug)]
pub(super) struct KnownBefore {
    pub names: LearnedNames,
    pub steps: u64,
    /// Held by the call.
    pub call: Weak<()>,
}

impl KnownBefore {
    /// Whether the call was dropped.
    pub fn is_left(&self) -> bool {
        self.call.strong_count() == 0
    }
}

/// How old what the host has may be while steps on single batches follow.
const MAX_AGE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Engine {
    pub device: Device,
    pub open: Option<Open>,
    /// Weights, states of layers and of the optimizer as the host read them last, those too that the open session does
    /// without. The next session begins with them.
    pub kept: Snapshot,
    /// Whether the open session has learned what `kept` does not hold.
    pub unread: bool,
    /// The step at which `kept` was read, where steps on single batches followed; none where a run follows.
    pub kept_at: Option<KeptAt>,
    /// What the model knew before the call of `fit` that is under way, or was dropped.
    pub known_before: Option<KnownBefore>,
    /// Whether somebody was told that what the model has learned since is lost with its device.
    pub loss_is_told: bool,
    /// Held by a run while it is at work, whose data lies in the open session.
    running: Weak<()>,
    /// The session in which callbacks evaluate while a run is under way.
    pub for_callbacks: Option<Open>,
    /// The weights that other models have too, where this one has parts or is one.
    pub share: Option<Share>,
    /// Room for rows that are preprocessed before they are predicted.
    pub room: Vec<f32>,
    /// Variables of its sessions that say where a run is, and are no part of the model.
    progress: BTreeSet<String>,
}

impl Engine {
    pub fn new(device: &Device) -> Self {
        Engine {
            device: device.clone(),
            open: None,
            kept: Snapshot::default(),
            unread: false,
            kept_at: None,
            known_before: None,
            loss_is_told: false,
            running: Weak::new(),
            for_callbacks: None,
            share: None,
            room: Vec::new(),
            progress: BTreeSet::new(),
        }
    }

    /// A session that serves `capacity`; where another has to be opened for it, weights and states are carried over.
    pub async fn opened(&mut self, recipe: &Recipe<'_>, capacity: Capacity) -> Result<&mut Open> {
        // A session that is lost is made again from what the host has, where that is all.
        if !self.unread && self.is_lost() {
            self.close();
        }
        let before = self.capacity();
        if self.open.is_none() || !before.covers(&capacity) {
            let capacity = capacity.beside(before);
            // Only what has been read goes: a session whose readback fails keeps the weights.
            let plan = recipe.build(capacity)?;
            self.read().await?;
            self.open = None;
            let mut open = Open::of(&plan, recipe, capacity, &self.device)?;
            resize_rates(&mut self.kept, RowProgram::Train.name(), &plan);
            let variables = plan.variables.iter();
            let progress = variables.filter(|variable| variable.role == Role::Progress);
            self.progress
                .extend(progress.map(|variable| variable.name.clone()));
            open.session.restore(&self.kept)?;
            self.open = Some(open);
        }
        self.open.as_mut().ok_or_else(|| Error::Device {
            message: "the session could not be opened".into(),
        })
    }

    pub fn capacity(&self) -> Capacity {
        let open = self.open.as_ref();
        open.map(|open| open.capacity).unwrap_or_default()
    }

    /// Bytes that the device's budget leaves a session in place of the open one; none without a budget.
    pub fn free_bytes(&self) -> Option<u64> {
        let budget = self.device.budget()?;
        let others = self.device.counters().bytes.saturating_sub(self.bytes());
        Some(budget.saturating_sub(others))
    }

    pub fn bytes(&self) -> u64 {
        let open = self.open.as_ref();
        open.map_or(0, |open| open.session.bytes().0)
    }

    /// How far a run that was dropped on its way had come, by the clock of the session that it ran in; none where there was none.
    pub async fn left_by_dropped(&mut self) -> Result<Option<(u64, u64)>> {
        let Some(open) = self.open.as_mut().filter(|open| open.uncounted) else {
            return Ok(None);
        };
        let counted = open.counted().await?;
        open.uncounted = false;
        Ok(Some(counted))
    }

    /// Reads what the open session has learned.
    pub async fn read(&mut self) -> Result<()> {
        if let Some(open) = &mut self.open {
            let now = open.learned().await?;
            self.kept.variables.extend(now.variables);
        }
        self.unread = false;
        Ok(())
    }

    /// Whether what the host has is of long ago, or of nobody knows when.
    pub fn is_stale(&self) -> bool {
        self.kept_at.is_none_or(|kept| kept.at.elapsed() >= MAX_AGE)
    }

    /// Takes values of weights in place of those it has, all of which the host knows.
    pub fn take(&mut self, weights: Snapshot) {
        self.close_lost();
        if let Some(open) = &mut self.open
            && let Err(error) = open.session.restore(&weights)
        {
            // The next session begins with all of them.
            tracing::debug!(%error, "a session that could not be written is opened anew");
            self.close();
        }
        self.kept.variables.extend(weights.variables);
    }

    /// Reads weights and states, so that the loss of the device does not take them. Where there is no memory to read them,
    /// they stay on the device.
    pub async fn keep_weights(&mut self) -> Result<()> {
        if !self.unread || self.device.gpu().is_none() {
            return Ok(());
        }
        match self.read().await {
            Err(error @ Error::OutOfMemory { .. }) => {
                tracing::warn!(%error, "no memory to keep the weights on the host");
                Ok(())
            }
            other => other,
        }
    }

    /// Whether the session is on a device that is gone.
    pub fn is_lost(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| open.session.is_lost())
    }

    /// Whether there is no session that answers.
    pub fn has_no_session(&self) -> bool {
        self.open.is_none() || self.is_lost()
    }

    pub fn close(&mut self) {
        (self.open, self.for_callbacks) = (None, None);
    }

    /// Closes a session that was lost, where the host has all that it had learned.
    pub fn close_lost(&mut self) {
        if self.is_lost() && !self.unread {
            self.close();
        }
    }

    /// Makes ready for another try after the loss of the device. Gives the error back where it is another one, where what the
    /// model has learned went with the device, and after `tries`.
    pub fn try_again(&mut self, tries: &mut u32, error: Error) -> Result<()> {
        let lost = matches!(error, Error::DeviceLost { .. });
        if !lost || *tries == 0 || self.unread || self.device.gpu().is_none() {
            self.loss_is_told |= lost;
            return Err(error);
        }
        tracing::warn!("device lost: {error}");
        *tries -= 1;
        self.close();
        Ok(())
    }

    /// Until what is returned is dropped, with the future of a run or in a panic too, the open session holds a run's data.
    pub fn begin_run(&mut self) -> Result<Arc<()>> {
        self.refuse_in_run("fit")?;
        let run = Arc::new(());
        (self.running, self.for_callbacks) = (Arc::downgrade(&run), None);
        Ok(run)
    }

    /// Refuses what a callback may not call.
    pub fn refuse_in_run(&self, name: &'static str) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        let message = "is called by a callback while a run of this model is under way; evaluate and predict may be";
        Err(Error::argument(name, message))
    }

    pub fn end_run(&mut self, run: Arc<()>) {
        drop(run);
        self.for_callbacks = None;
    }

    pub fn is_running(&self) -> bool {
        self.running.strong_count() > 0
    }

    /// Sets the session of a run aside, where nothing closes it: what callbacks evaluate in takes the place.
    pub fn set_aside(&mut self) -> (Option<Open>, bool) {
        let open = std::mem::replace(&mut self.open, self.for_callbacks.take());
        (open, self.unread)
    }

    pub fn take_up(&mut self, (open, unread): (Option<Open>, bool)) {
        self.for_callbacks = std::mem::replace(&mut self.open, open);
        self.unread = unread;
    }

    /// Whether a variable says where a run is, and is no part of the model.
    pub fn is_progress(&self, variable: &str) -> bool {
        self.progress.contains(variable)
    }
}
