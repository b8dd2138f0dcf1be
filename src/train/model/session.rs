//! The session of a model: opened for what is needed, made again for more, its weights carried over.

use std::sync::Arc;

use crate::op::cursor;
use crate::optim::resize_rates;
use crate::session::ElementsRef;
use crate::train::evaluate::Evaluation;
use crate::train::prepare::Prepared;
use crate::train::programs::{Handles, Needs, RowProgram, RunHandles};
use crate::train::recover::Recovery;
use crate::{Device, Error, Result, Role, Session, Snapshot};

use super::Model;

/// A session and what it was made for.
#[derive(Debug)]
pub(in crate::train) struct Open {
    pub needs: Needs,
    pub session: Session,
    pub handles: Handles,
}

impl Open {
    /// The session, and what the host reaches of one of its programs.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the session was opened without the program.
    pub fn program(&mut self, program: RowProgram) -> Result<(&mut Session, &RunHandles)> {
        Ok((&mut self.session, self.handles.rows(program)?))
    }
}

impl Model {
    /// A session on `device` that holds what the open one does.
    pub(super) async fn moved(&self, open: &mut Open, device: &Device) -> Result<Open> {
        let mut parts = self.parts();
        parts.target = device.target();
        let plan = parts.build(open.needs)?;
        let mut session = device.open(&plan)?;
        session.restore(&carried(&mut open.session).await?)?;
        Ok(Open {
            needs: open.needs,
            handles: parts.handles(&plan)?,
            session,
        })
    }

    /// The open session, if there is one.
    pub(in crate::train) fn open_session(&mut self) -> Option<&mut Open> {
        self.open.as_mut()
    }

    /// The open session, or one for prediction alone.
    pub(in crate::train) fn session_now(&mut self) -> Result<&mut Session> {
        let device = self.device.clone();
        device.block_on(self.session(Needs::default()))
    }

    /// A session that serves `needs`, weights and states carried over from the one before.
    pub(in crate::train) async fn session(&mut self, needs: Needs) -> Result<&mut Session> {
        self.opened(needs).await.map(|open| &mut open.session)
    }

    /// The same with its handles.
    pub(in crate::train) async fn opened(&mut self, needs: Needs) -> Result<&mut Open> {
        // Made again from what the host has, where that is all.
        if !self.behind && self.is_lost() {
            self.leave_session();
        }
        let covered = self
            .open
            .as_ref()
            .is_some_and(|open| open.needs.cover(&needs));
        if !covered {
            let before = self
                .open
                .as_ref()
                .map(|open| open.needs)
                .unwrap_or_default();
            let needs = needs.or(before);
            let plan = self.parts().build(needs)?;
            // Only what has been read goes: a session whose readback fails keeps the weights.
            self.carry().await?;
            self.open = None;
            let mut session = self.device.open(&plan)?;
            resize_rates(&mut self.carried, RowProgram::Train.name(), session.plan());
            let variables = session.plan().variables.iter();
            let progress = variables.filter(|variable| variable.role == Role::Progress);
            self.progress
                .extend(progress.map(|variable| variable.name.clone()));
            session.restore(&self.carried)?;
            self.open = Some(Open {
                handles: self.parts().handles(session.plan())?,
                needs,
                session,
            });
        }
        match &mut self.open {
            Some(open) => Ok(open),
            None => Err(Error::Device {
                message: "the session could not be opened".into(),
            }),
        }
    }

    /// What the open session serves.
    pub(in crate::train) fn open_needs(&self) -> Needs {
        self.open
            .as_ref()
            .map_or(Needs::default(), |open| open.needs)
    }

    /// Bytes that the device's budget leaves a session in place of the open one; none without a budget.
    pub(in crate::train) fn free_bytes(&self) -> Option<u64> {
        let budget = self.device.budget()?;
        let own = self.open.as_ref().map_or(0, |open| open.session.bytes().0);
        let others = self.device.counters().bytes.saturating_sub(own);
        Some(budget.saturating_sub(others))
    }

    /// Notes on the host what the open session has learned.
    pub(in crate::train) async fn carry(&mut self) -> Result<()> {
        if let Some(open) = &mut self.open {
            let now = carried(&mut open.session).await?;
            self.carried.variables.extend(now.variables);
        }
        self.behind = false;
        Ok(())
    }

    /// Whether its session is on a device that is gone.
    pub(in crate::train) fn is_lost(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.session.is_lost())
    }

    /// Whether there is no session that answers.
    pub(in crate::train) fn has_no_session(&self) -> bool {
        self.open.is_none() || self.is_lost()
    }

    /// Bytes that the open session holds.
    pub(in crate::train) fn open_bytes(&self) -> u64 {
        let open = self.open.as_ref();
        open.map_or(0, |open| open.session.bytes().0)
    }

    /// Closes the open session.
    pub(in crate::train) fn leave_session(&mut self) {
        self.open = None;
        self.aside = None;
    }

    /// Until what is returned is dropped, with the future of a run or in a panic too, the open session holds a run's data.
    pub(in crate::train) fn begin_run(&mut self) -> Result<Arc<()>> {
        self.refuse_in_run("fit")?;
        let run = Arc::new(());
        (self.running, self.aside) = (Arc::downgrade(&run), None);
        Ok(run)
    }

    /// Refuses what a callback may not call.
    pub(super) fn refuse_in_run(&self, name: &'static str) -> Result<()> {
        match self.is_running() {
            true => {
                let message = "is called by a callback while a run of this model is under way; evaluate and predict may be";
                Err(Error::argument(name, message))
            }
            false => Ok(()),
        }
    }

    /// Closes what callbacks have evaluated in.
    pub(in crate::train) fn close_aside(&mut self) {
        self.aside = None;
    }

    /// The run is over.
    pub(in crate::train) fn end_run(&mut self, run: Arc<()>) {
        drop(run);
        self.aside = None;
    }

    pub(in crate::train) fn is_running(&self) -> bool {
        self.running.strong_count() > 0
    }

    /// Evaluates while a run is under way, with the weights as they are now: in a session of its own, so that the run's data
    /// and what it has under way stay as they are.
    pub(in crate::train) async fn evaluate_aside(
        &mut self,
        data: &Prepared<'_>,
    ) -> Result<Evaluation> {
        let Some(open) = &mut self.open else {
            let outcome = self.evaluate_prepared(data, None).await;
            // The run that begins has its room planned without this one.
            self.open = None;
            return outcome;
        };
        let weights = carried(&mut open.session).await?;
        let behind = self.behind;
        let run = std::mem::replace(&mut self.open, self.aside.take());
        let outcome = self.evaluate_prepared(data, Some(&weights)).await;
        self.aside = std::mem::replace(&mut self.open, run);
        self.behind = behind;
        outcome
    }

    /// Whether a variable says where a run is, and is no part of the model.
    pub(in crate::train) fn is_progress(&self, variable: &str) -> bool {
        self.progress.contains(variable)
    }

    /// Does something again on a device made again, where that is possible.
    pub(in crate::train) fn through_losses<T>(
        &mut self,
        mut what: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut tries = Recovery::default().tries;
        loop {
            match what(self) {
                Err(error) => self.try_again(&mut tries, error)?,
                done => return done,
            }
        }
    }

    /// Rows of an evaluation batch of the open session.
    pub(in crate::train) fn evaluation_batch(&self) -> Option<usize> {
        let room = self.open.as_ref().and_then(|open| open.needs.evaluate);
        room.map(|room| room.batch)
    }

    /// Sets a clock to a place in the data.
    pub(in crate::train) async fn set_clock(
        &mut self,
        program: RowProgram,
        needs: Needs,
        start: ClockStart,
    ) -> Result<()> {
        let (session, handles) = self.opened(needs).await?.program(program)?;
        session.put(handles.cursor, 0, ElementsRef::U32(&start.words()))
    }
}

/// Where a clock begins: see [`Model::set_clock`].
#[derive(Debug, Clone, Copy)]
pub(in crate::train) struct ClockStart {
    pub step: u64,
    pub epoch: u64,
    /// Rows of the epoch that were seen.
    pub offset: u64,
    pub rows: usize,
    /// The seed of the shuffle; none for the order of the data.
    pub shuffle: Option<u32>,
    /// Rows that there is room for, where they are brought in parts and in order.
    pub window: Option<usize>,
}

impl ClockStart {
    /// Before the first of so many rows, which lie there in their order.
    pub fn at_beginning(rows: usize) -> Self {
        ClockStart {
            step: 0,
            epoch: 0,
            offset: 0,
            rows,
            shuffle: None,
            window: None,
        }
    }

    /// The cursor that says so.
    pub fn words(&self) -> Vec<u32> {
        let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let mut words = vec![0; cursor::WORDS];
        words[cursor::STEP] = word(self.step);
        words[cursor::EPOCH] = word(self.epoch);
        words[cursor::OFFSET] = word(self.offset);
        words[cursor::DATA_ROWS] = word(self.rows as u64);
        words[cursor::SEED] = self.shuffle.unwrap_or(0);
        words[cursor::SHUFFLE] = match self.window {
            // The host has put them in order.
            Some(rows) => word(rows as u64),
            None => u32::from(self.shuffle.is_some()),
        };
        words
    }
}

/// Weights, optimizer states and rates, and not where a run is.
pub(super) async fn carried(session: &mut Session) -> Result<Snapshot> {
    session.snapshot_async(|role| role == Role::State).await
}
