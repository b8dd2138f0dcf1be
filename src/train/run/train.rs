//! The loop of a run: steps submitted ahead, their sums read after them, until a stop rule ends it.

use std::time::Duration;

use crate::edge::{WallTime, slice};
use crate::train::callback::{Callback, Moment, Timing};
use crate::train::history::Stop;
use crate::train::hook::{Due, Every, StateHook};
use crate::train::interrupt::Interrupt;
use crate::train::model::Model;
use crate::train::non_finite::NonFinite;
use crate::train::steps::Submissions;
use crate::{Error, Result};

use super::Run;

/// The steps between which nothing may be under way, because callbacks and hooks are called there.
struct Pauses {
    /// Numbers of steps after which callbacks are called.
    called: Vec<u64>,
    /// Numbers of steps after which hooks are given the state.
    hooked: Vec<u64>,
    /// Steps of an epoch, where something must be known before the next one begins.
    epoch: Option<u64>,
}

impl Pauses {
    fn of(run: &Run<'_>) -> Self {
        let by_epochs = |hook: &StateHook<'_>| matches!(hook.every, Every::Epochs(_));
        let waits = run.fit.target_loss.is_some()
            || run.validates()
            || run.fit.callbacks.wait()
            || run.fit.hooks.iter().any(by_epochs);
        let hooked = run.fit.hooks.iter().filter_map(|hook| match hook.every {
            Every::Steps(steps) => Some(steps),
            Every::Epochs(_) | Every::Time(_) => None,
        });
        Pauses {
            called: run.fit.callbacks.every(),
            hooked: hooked.collect(),
            epoch: waits.then_some(run.pass.steps_per_epoch()),
        }
    }

    fn after(&self, done: u64) -> u64 {
        let lengths = self.called.iter().chain(&self.hooked).chain(&self.epoch);
        let next = lengths.map(|length| (done / length + 1).saturating_mul(*length));
        next.min().unwrap_or(u64::MAX)
    }

    fn calls(&self, step: u64) -> bool {
        self.called.iter().any(|every| step.is_multiple_of(*every))
    }
}

impl Run<'_> {
    pub(super) async fn train(&mut self, model: &mut Model) -> Result<()> {
        let outcome = self.train_steps(model).await;
        if let Some(open) = &mut model.engine.open {
            open.uncounted = false;
        }
        if let Some(before) = &self.counted {
            let counters = model.device().counters().since(before);
            for member in &mut self.members {
                member.history.counters = counters;
            }
        }
        outcome
    }

    async fn train_steps(&mut self, model: &mut Model) -> Result<()> {
        model.engine.unread = true;
        if !self.fit.one_batch {
            model.engine.kept_at = None;
        }
        let start = model.steps - self.pass.absorbed;
        let per_epoch = self.pass.steps_per_epoch();
        let first_epoch = model.epochs - self.pass.absorbed / per_epoch;
        self.pass.data_ended = false;
        self.pass.feeder.seek(self.pass.absorbed, first_epoch);
        let pauses = Pauses::of(self);
        // Where all that is under way comes to an end, for what is due by the clock on the wall.
        let mut settles = None;
        let mut submissions = self.pass.begin(model, &self.metrics).await?;
        // Until the steps have ended: who drops the run leaves them to be counted.
        model.opened(self.pass.capacity).await?.uncounted = true;
        self.counted
            .get_or_insert_with(|| model.device().counters());
        while self.pass.absorbed < self.pass.total {
            self.keep_arrived(model).await?;
            let pause = pauses.after(self.pass.absorbed);
            let until = pause.min(settles.unwrap_or(u64::MAX));
            let mut submitted = self.pass.submit(model, &mut submissions, until).await;
            if submitted.is_ok() {
                submitted = self.keep_while_running(model, &submissions, pause).await;
            }
            let answer = match submitted {
                Ok(()) => self.pass.answer(model, &mut submissions).await,
                Err(error) => Err(error),
            };
            model.steps = start + submissions.submitted;
            let Some((done, steps)) = answer? else {
                break;
            };
            self.note_first_step();
            // Epochs that one answer tells of have taken what their steps are of its.
            let each = self.time_of_each(steps.end - steps.start);
            for step in steps {
                self.epoch_time += each;
                let ends_epoch = self.absorb(model, start + step).await?;
                let absorbed = self.pass.absorbed;
                if pauses.calls(absorbed) {
                    self.call_after_steps(model)?;
                }
                if absorbed == submissions.submitted {
                    self.hand_out(model, Due::Now { ends_epoch }).await?;
                    self.keep_between(model).await?;
                    settles = None;
                }
                self.complete_copy(model, start + absorbed)?;
                if ends_epoch {
                    slice::time_for(Duration::ZERO).await;
                }
            }
            let late = self.keeper.is_late() || self.fit.hooks.iter().any(StateHook::is_late);
            // With nothing under way there is nothing to settle, and nothing would be submitted.
            let under_way = submissions.settled() > self.pass.absorbed;
            settles = (late && under_way).then(|| settles.unwrap_or(submissions.settled()));
            let last = self.history().step_losses.last().copied();
            self.progress.steps(done, last);
            self.end_early(&submissions);
        }
        self.finish(model).await
    }

    /// Takes the sums of the next step; whether it ends an epoch.
    async fn absorb(&mut self, model: &mut Model, clock_step: u64) -> Result<bool> {
        self.pass.absorbed += 1;
        let step = self.pass.absorbed;
        let mut figures = Vec::new();
        for (member, epoch_sums) in self.members.iter_mut().zip(&mut self.pass.epoch_sums) {
            let (loss, ended) = epoch_sums.absorb(clock_step);
            figures.extend(ended);
            if member.ended.is_some() {
                continue;
            }
            member.history.step_losses.push(loss);
            member.history.steps = step;
            if self.fit.non_finite == NonFinite::Stop && !loss.is_finite() {
                return Err(Error::NonFinite {
                    epoch: member.history.epochs.len() as u64 + 1,
                    step,
                    what: "the loss".into(),
                });
            }
        }
        let ends_epoch = !figures.is_empty();
        if ends_epoch {
            self.end_epoch(model, figures).await?;
        }
        Ok(ends_epoch)
    }

    /// The time of each of a number of steps that were heard of at once.
    fn time_of_each(&mut self, steps: u64) -> Duration {
        if steps == 0 {
            return Duration::ZERO;
        }
        let since = std::mem::replace(&mut self.heard, WallTime::now()).elapsed();
        since.div_f64(steps as f64)
    }

    fn note_first_step(&mut self) {
        let elapsed = self.begun.elapsed();
        for member in &mut self.members {
            if member.history.first_step.is_zero() {
                member.history.first_step = elapsed;
            }
        }
    }

    /// Ends the run before its time where it was interrupted or told to stop.
    fn end_early(&mut self, submissions: &Submissions) {
        let raised = self
            .fit
            .interrupt
            .as_ref()
            .is_some_and(Interrupt::is_raised);
        if raised {
            self.stop.get_or_insert(Stop::Interrupted);
        }
        if self.stop.is_some() {
            // What is under way still counts, and so do the parts of a batch that has begun.
            let parts = u64::from(self.order.micro);
            let settled = submissions.settled().next_multiple_of(parts);
            self.pass.total = self.pass.total.min(settled);
        }
    }

    /// Reports what was done of an epoch that the run ends within, and why it ended.
    async fn finish(&mut self, model: &mut Model) -> Result<()> {
        self.hand_out(model, Due::Last).await?;
        let epoch_sums = self.pass.epoch_sums.iter_mut();
        let figures: Vec<_> = epoch_sums
            .filter_map(|epoch_sums| epoch_sums.take())
            .collect();
        if !figures.is_empty() {
            self.end_epoch(model, figures).await?;
        }
        let stop = match self.stop.take() {
            None if self.pass.data_ended => Some(Stop::Data),
            stop => stop,
        };
        let steps = self.pass.absorbed;
        for member in &mut self.members {
            let own = member.stop.take().or(stop.clone());
            member.history.stop = own.unwrap_or(member.history.stop.clone());
            if member.ended.is_none() {
                member.history.steps = steps;
            }
        }
        Ok(())
    }

    fn call_after_steps(&mut self, model: &mut Model) -> Result<()> {
        let absorbed = self.pass.absorbed;
        self.call(model, |callback, moment| match callback.timing() {
            Timing::Steps(steps) if absorbed.is_multiple_of(steps) => callback.steps(moment),
            _ => Ok(()),
        })
    }

    /// Calls every callback, in order, until one fails.
    pub(super) fn call(
        &mut self,
        model: &mut Model,
        mut what: impl FnMut(&mut dyn Callback, &mut Moment<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.fit.callbacks.0.is_empty() {
            return Ok(());
        }
        let mut callbacks = std::mem::take(&mut self.fit.callbacks);
        let mut moment = Moment {
            model,
            history: self.history(),
            step: self.pass.absorbed,
            elapsed: self.elapsed(),
            resumed: self.resumed,
            validates: self.validates(),
            stop: None,
        };
        let mut each = callbacks.0.iter_mut();
        let outcome = each.try_for_each(|callback| what(callback.as_mut(), &mut moment));
        if let (Some(stop), None) = (moment.stop.take(), &self.stop) {
            self.stop = Some(stop);
        }
        self.fit.callbacks = callbacks;
        outcome
    }

    /// Calls the end of every callback, whatever others say; the first refusal is the one to tell.
    pub(super) fn end_callbacks(&mut self, model: &mut Model) -> Result<()> {
        let mut outcome = Ok(());
        let called = self.call(model, |callback, moment| {
            let ended = callback.end(moment);
            if outcome.is_ok() {
                outcome = ended;
            }
            Ok(())
        });
        outcome.and(called)
    }
}
