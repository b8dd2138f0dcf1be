//! Runs that outlive their device: the last state that was kept is taken up on a device made again.

use crate::session::note_powers;
use crate::train::evaluation::load;
use crate::train::model::Model;
use crate::train::programs::RowProgram;
use crate::train::state::RunState;
use crate::{Error, Result};

use super::resume::take_up;
use super::{Run, Validation};

impl Run<'_> {
    /// Uploads the data of the run and sets model and clock to its beginning, or to the state that it goes on from.
    pub(super) async fn start(
        &mut self,
        model: &mut Model,
        resume: Option<&RunState>,
    ) -> Result<()> {
        let mut tries = self.keeper.recovery.tries;
        while let Err(error) = self.start_once(model, resume).await {
            model.engine.try_again(&mut tries, error)?;
        }
        Ok(())
    }

    async fn start_once(&mut self, model: &mut Model, resume: Option<&RunState>) -> Result<()> {
        let capacity = self.pass.capacity;
        let to = (RowProgram::Train, capacity);
        self.pass.feeder.begin(model, to).await?;
        if let Some(Validation::Own(data)) = &self.validation {
            load(model, capacity, data).await?;
        }
        match resume {
            Some(state) => self.go_on(model, state).await?,
            None => {
                let start = self.clock_start(model.steps, model.epochs, 0);
                model.set_clock(RowProgram::Train, capacity, &start).await?;
                let session = model.session(capacity).await?;
                note_powers(session, RowProgram::Train.name()).await?;
            }
        }
        model.write_rate_factor()?;
        self.keep_first(model).await
    }

    /// Trains to the end of the run, through losses of the device.
    pub(super) async fn train_on(&mut self, model: &mut Model) -> Result<()> {
        let mut outcome = self.train_and_finish(model).await;
        while let Err(Error::DeviceLost { during, message }) = &outcome
            && self.keeper.goes_on()
        {
            tracing::warn!(
                step = self.pass.absorbed,
                during,
                reason = message,
                "device lost in training"
            );
            self.keeper.recovery.tries -= 1;
            outcome = match self.go_back(model).await {
                Ok(()) => self.train_and_finish(model).await,
                Err(error) => Err(error),
            };
        }
        outcome
    }

    async fn train_and_finish(&mut self, model: &mut Model) -> Result<()> {
        self.train(model).await?;
        // In the session first, which takes no reading: what is read, or stays there, is then what members end with.
        self.put_back_ended(model).await?;
        if self.fit.one_batch && !model.engine.is_stale() {
            return Ok(());
        }
        if model.members.is_empty() && !self.fit.one_batch {
            model.finalize_averages(self.pass.absorbed).await?;
        }
        model.engine.keep_weights().await
    }

    /// Takes up the last state that was kept, on a device made again.
    async fn go_back(&mut self, model: &mut Model) -> Result<()> {
        self.keeper.forget_copy();
        let Some(mut state) = self.keeper.state.take() else {
            return Ok(());
        };
        self.list_in(&mut state, &self.keeper.lengths);
        model.engine.close();
        let outcome = self.start_once(model, Some(&state)).await;
        if outcome.is_ok() {
            tracing::info!(step = state.steps, "training goes on");
        }
        self.keeper.state.get_or_insert(state);
        outcome
    }

    /// After a run that failed on a device that is still there: what was learned comes to the host.
    pub(super) async fn keep_what_is_left(&mut self, model: &mut Model) {
        if model.engine.has_no_session() {
            return;
        }
        let put_back = self.put_back_ended(model).await;
        let kept = match put_back {
            Ok(()) => model.engine.keep_weights().await,
            refusal => refusal,
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the weights of the run that failed could not be read");
        }
    }

    /// Leaves the model with the last state of a run that cannot go on because its device is gone, and gives it to those
    /// that write it to a disk.
    pub(super) fn abandon(&mut self, model: &mut Model) -> Result<()> {
        let Some(mut state) = self.keeper.take_against_loss() else {
            return Ok(());
        };
        self.list_in(&mut state, &self.keeper.lengths);
        take_up(model, &state);
        for (member, kept) in self.members.iter_mut().zip(&state.members) {
            member.ended.clone_from(&kept.ended);
        }
        self.put_back_on_host(model);
        model.engine.close();
        model.engine.unread = false;
        let mut hooks = self.fit.hooks.iter_mut();
        let told = hooks.try_for_each(|hook| match hook.taken {
            Some(step) if step >= state.steps => Ok(()),
            _ => (hook.take)(&state),
        });
        tracing::error!(
            step = state.steps,
            "training gives up; the model is as it was in this step"
        );
        model.unfinished = Some(Box::new(state));
        told
    }

    /// After the run of a population that failed: without a state of the run its members are where an earlier one left them,
    /// and an epoch that the run failed within is not gone on with.
    pub(super) fn leave_members(&self, model: &mut Model) {
        if model.engine.unread && model.engine.has_no_session() {
            model.engine.close();
            model.engine.unread = false;
            (model.steps, model.epochs) = (self.first_step, self.first_epoch);
        }
        let done = model.steps.saturating_sub(self.first_step);
        let begun = done.div_ceil(self.pass.steps_per_epoch());
        model.epochs = model.epochs.max(self.first_epoch + begun);
    }
}
