//! Runs that outlive their device: states kept as they go, the last one taken up on a device made again.

use std::time::Duration;

use crate::optim::note_powers;
use crate::{Error, Result};

use super::Model;
use super::programs::RowProgram;
use super::run::Run;
use super::run_state::RunState;

/// What a run does when its device is lost: a driver reset, a laptop that slept, a GPU unplugged and plugged in.
///
/// It makes the device again, takes up the last state that was kept and repeats the steps since, to the bits that it would
/// have ended in, but where rows come from an iterator, which gives none twice. Callbacks hear of the epochs that are repeated once more, after
/// [`Callback::restore`](super::Callback::restore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// How often a run may lose its device and go on. 0: never, and no state is kept for it. Default: 3.
    pub tries: u32,
    /// Time between two states that are kept. Default: none given, which is 5 s, or a hundred times what the last one took
    /// where that is longer, so that they cost at most 1 % of the time. They are copied on the device and read back while
    /// later steps run; where there is no room for that the run waits for them.
    pub every: Option<Duration>,
}

impl Default for Recovery {
    fn default() -> Self {
        Recovery {
            tries: 3,
            every: None,
        }
    }
}

impl Model {
    /// Uploads the data of a run and sets model and clock to its beginning, or to the state that it goes on from.
    pub(super) async fn start(
        &mut self,
        run: &mut Run<'_>,
        resume: Option<&RunState>,
    ) -> Result<()> {
        let mut tries = run.keeper.recovery.tries;
        while let Err(error) = self.start_once(run, resume).await {
            self.try_again(&mut tries, error)?;
        }
        Ok(())
    }

    async fn start_once(&mut self, run: &mut Run<'_>, resume: Option<&RunState>) -> Result<()> {
        self.begin_supply(run).await?;
        if let Some(validation) = &run.validation {
            self.load_evaluation(run.needs, validation).await?;
        }
        match resume {
            Some(state) => self.continue_run(run, state).await?,
            None => {
                let start = run.clock_start(self.steps, self.epochs, 0);
                self.set_clock(RowProgram::Train, run.needs, start).await?;
                note_powers(self.session(run.needs).await?, RowProgram::Train.name()).await?;
            }
        }
        self.write_rate_factor()?;
        self.keep_first(run).await
    }

    /// Trains to the end of the run, through losses of the device.
    pub(super) async fn train_on(&mut self, run: &mut Run<'_>) -> Result<()> {
        let mut outcome = self.train_and_finish(run).await;
        while let Err(Error::DeviceLost { during, message }) = &outcome
            && run.keeper.goes_on()
        {
            tracing::warn!(
                step = run.absorbed,
                during,
                reason = message,
                "device lost in training"
            );
            run.keeper.recovery.tries -= 1;
            outcome = match self.go_back(run).await {
                Ok(()) => self.train_and_finish(run).await,
                Err(error) => Err(error),
            };
        }
        outcome
    }

    async fn train_and_finish(&mut self, run: &mut Run<'_>) -> Result<()> {
        self.train(run).await?;
        self.finalize_averages(run.absorbed)?;
        self.keep_weights().await
    }

    /// Takes up the last state that was kept, on a device made again.
    async fn go_back(&mut self, run: &mut Run<'_>) -> Result<()> {
        run.keeper.forget_copy();
        let Some(state) = run.keeper.state.take() else {
            return Ok(());
        };
        self.leave_session();
        let outcome = self.start_once(run, Some(&state)).await;
        if outcome.is_ok() {
            tracing::info!(step = state.steps, "training goes on");
        }
        run.keeper.state.get_or_insert(state);
        outcome
    }

    /// Leaves the model with the last state of a run that cannot go on because its device is gone, and gives it to those
    /// that write it to a disk.
    pub(super) fn abandon(&mut self, run: &mut Run<'_>) -> Result<()> {
        let Some(state) = run.keeper.take_against_loss() else {
            return Ok(());
        };
        self.take_up(&state);
        self.leave_session();
        self.behind = false;
        let mut watches = run.watches.iter_mut();
        let told = watches.try_for_each(|watch| match watch.taken {
            Some(step) if step >= state.steps => Ok(()),
            _ => (watch.take)(&state),
        });
        tracing::error!(
            step = state.steps,
            "training gives up; the model is as it was in this step"
        );
        self.unfinished = Some(Box::new(state));
        told
    }

    /// The last state of a run that ended because its device was gone; none afterwards, and where there is none.
    /// [`Fit::resume`](super::Fit::resume) goes on from it. The model's weights are those of that state.
    pub fn take_unfinished(&mut self) -> Option<RunState> {
        self.unfinished.take().map(|state| *state)
    }

    /// Makes ready for another try after an error that was the loss of the device. Gives the error back if it was not, if
    /// what the model has learned went with the device, and after `tries`.
    pub(super) fn try_again(&mut self, tries: &mut u32, error: Error) -> Result<()> {
        let lost = matches!(error, Error::DeviceLost { .. });
        if !lost || *tries == 0 || self.behind || self.device().gpu().is_none() {
            return Err(error);
        }
        tracing::warn!("device lost: {error}");
        *tries -= 1;
        self.leave_session();
        Ok(())
    }

    /// Notes weights and states on the host, so that the loss of the device does not take them.
    pub(super) async fn keep_weights(&mut self) -> Result<()> {
        if !self.behind || self.device().gpu().is_none() {
            return Ok(());
        }
        match self.carry().await {
            Err(error @ Error::OutOfMemory { .. }) => {
                tracing::warn!(%error, "no memory to keep the weights on the host");
                Ok(())
            }
            other => other,
        }
    }
}
