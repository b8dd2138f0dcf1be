//! `fit`: steps submitted ahead, metrics read back behind, until a stop rule ends the run.

use std::time::{Duration, Instant};

use crate::gpu::Counters;
use crate::{Dataset, Error, Result};

use super::batches::Batches;
use super::callback::{Callback, Callbacks, Moment, Timing};
use super::fit::{Fit, MOST_BATCH, Resumed};
use super::history::{Epoch, History, Stop};
use super::interrupt::Interrupt;
use super::keeper::Keeper;
use super::ledger::{Ledger, Means};
use super::metric::Board;
use super::micro::Micro;
use super::model::ClockStart;
use super::non_finite::NonFinite;
use super::prepare::Prepared;
use super::programs::{Needs, RowProgram};
use super::progress::Progress;
use super::run_state::{Due, Every, Order, Watch};
use super::stream::Supply;
use super::submissions::{Answer, Submissions};
use super::{Evaluation, Model};

/// A run under way.
pub(super) struct Run<'a> {
    target_loss: Option<f64>,
    pub(super) callbacks: Callbacks<'a>,
    pub(super) watches: Vec<Watch<'a>>,
    pub(super) keeper: Keeper,
    interrupt: Option<Interrupt>,
    pub(super) needs: Needs,
    pub(super) order: Order,
    pub(super) supply: Supply<'a>,
    /// The clock's number of the run's first epoch.
    pub(super) first_epoch: u64,
    pub(super) validation: Option<Prepared<'a>>,
    /// What epochs report, the same for all of them.
    pub(super) board: Board,
    pub(super) ledger: Ledger,
    pub(super) history: History,
    progress: Progress,
    begun: Instant,
    /// Whether the iterator that batches come from has ended: the run does, behind the rows that it gave.
    pub(super) data_ended: bool,
    /// What the device had counted before the first step, for all that were tried after a loss too.
    counted: Option<Counters>,
    /// Time that the run had taken before it was stopped and went on.
    pub(super) before: Duration,
    epoch_begun: Instant,
    /// Whether it goes on from where another call ended.
    resumed: bool,
    /// Steps of this run whose sums were read.
    pub(super) absorbed: u64,
    pub(super) total: u64,
    pub(super) validates: bool,
    pub(super) non_finite: NonFinite,
    /// Set when the run ends before its time.
    pub(super) stop: Option<Stop>,
}

impl Run<'_> {
    /// Time of training so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.before + self.begun.elapsed()
    }

    /// Its clock after so many steps and epochs of the model, `seen` rows into the next one.
    pub(super) fn clock_start(&self, step: u64, epoch: u64, seen: u64) -> ClockStart {
        ClockStart {
            step,
            epoch,
            offset: seen,
            shuffle: self.order.shuffle,
            window: self.supply.window(),
            ..ClockStart::at_beginning(self.supply.rows)
        }
    }
}

impl Model {
    /// Trains on `data` and reports every epoch.
    ///
    /// A second call goes on where the first ended, with the optimizer's state. The run ends after the epochs or steps
    /// asked for or at the target loss, whichever comes first; [`History::stop`] says which.
    ///
    /// # Errors
    ///
    /// Settings out of range, data that does not fit the model (with the row), a device that fails, and
    /// [`Error::NonFinite`] when the loss becomes NaN or infinite.
    pub fn fit(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        let device = self.device().clone();
        device.block_on(self.fit_async(data, fit))
    }

    /// [`Model::fit`] without blocking the thread: the future gives it back while the device works, and asks to be polled
    /// again at once.
    pub async fn fit_async(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        let begun = Instant::now();
        fit.validate()?;
        if fit.steps_per_epoch.is_some() {
            let message = "is for batches from an iterator; a data set's epoch is all of its rows";
            return Err(Error::argument("steps_per_epoch", message));
        }
        let parts = fit.split(data)?;
        let (train, validation) = match &parts {
            Some((train, validation)) => (train, Some(validation)),
            None => (data, fit.validation),
        };
        let weights = self.class_weights(train, &fit.class_weight)?;
        let mut train = self.prepare(train)?;
        if let Some(weights) = weights {
            train.weights = Some(weights.into());
        }
        self.fit_on(Supply::whole(train), validation, fit, begun)
            .await
    }

    /// Trains on batches as they come from an iterator, which may go on for ever, and reports every epoch.
    ///
    /// The iterator's pieces hold any number of rows each; they are cut into batches of [`Fit::batch_size`] in the order in
    /// which they come, and brought to the device in [parts](Fit::chunk_rows), so that nothing is uploaded step by step.
    /// [`Fit::steps_per_epoch`] batches are an epoch; without it, all that come are one. Where the iterator ends the run does,
    /// after its last row; no piece is taken that the run does not need. The order is the iterator's own, whatever
    /// [`Fit::shuffle`] says.
    ///
    /// A run that goes on ([`Fit::resume`], [`Fit::resume_from`]) takes the iterator's first row as the next one: give an
    /// iterator that begins behind the rows that the state has seen, [`RunState::steps`](super::RunState::steps) batches of the
    /// run. Kiln cannot tell, and passes over none by itself.
    ///
    /// ```
    /// use kiln::prelude::*;
    ///
    /// // Batches as they might come from a simulation.
    /// let batches = (0..).map(|i| {
    ///     let x = [(i % 7) as f32 / 7.0, (i % 5) as f32 / 5.0];
    ///     Dataset::from_rows(&[x], &[[x[0] - x[1]]])
    /// });
    /// let model = Sequential::new(2).dense(8, Tanh).dense(1, Linear);
    /// let mut model = model.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])?;
    /// let fit = Fit::epochs(5).batch_size(16).steps_per_epoch(20);
    /// let history = model.fit_batches(batches, fit.silent())?;
    /// assert_eq!((history.epochs.len(), history.steps), (5, 100));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Model::fit`]; the errors of the iterator; a share for validation, which rows without an end have not; several
    /// epochs without `steps_per_epoch`.
    pub fn fit_batches<'a>(
        &mut self,
        batches: impl IntoIterator<Item = Result<Dataset>> + 'a,
        fit: Fit<'a>,
    ) -> Result<History> {
        let device = self.device().clone();
        device.block_on(self.fit_batches_async(batches, fit))
    }

    /// [`Model::fit_batches`] without blocking the thread, but where the iterator does.
    pub async fn fit_batches_async<'a>(
        &mut self,
        batches: impl IntoIterator<Item = Result<Dataset>> + 'a,
        mut fit: Fit<'a>,
    ) -> Result<History> {
        let begun = Instant::now();
        fit.validate()?;
        if fit.validation_split > 0.0 {
            let message = "needs a data set; give the rows to validate on by `validation`";
            return Err(Error::argument("validation_split", message));
        }
        if fit.steps_per_epoch.is_none() && fit.epochs > 1 && fit.steps.is_none() {
            let message = format!("must be given for {} epochs of batches", fit.epochs);
            return Err(Error::argument("steps_per_epoch", message));
        }
        let most = u64::from(u32::MAX) / fit.batch_size as u64;
        if fit.batch_size > MOST_BATCH {
            let message = format!("must be at most {MOST_BATCH}, got {}", fit.batch_size);
            return Err(Error::argument("batch_size", message));
        }
        if let Some(steps) = fit.steps_per_epoch.filter(|&steps| steps > most) {
            let message = format!(
                "must be at most {most} for batches of {} rows, got {steps}",
                fit.batch_size
            );
            return Err(Error::argument("steps_per_epoch", message));
        }
        let steps = fit.steps_per_epoch;
        fit.shuffle = false;
        let mut batches = Batches::new(batches.into_iter(), &fit.class_weight, steps);
        let Some((_, weights)) = batches.take(self)? else {
            return Err(Error::data("the iterator gives no batch"));
        };
        let supply = Supply::batches(batches, fit.batch_size, weights);
        let validation = fit.validation;
        self.fit_on(supply, validation, fit, begun).await
    }

    async fn fit_on<'a>(
        &mut self,
        supply: Supply<'a>,
        validation: Option<&'a Dataset>,
        fit: Fit<'a>,
        begun: Instant,
    ) -> Result<History> {
        let run = self.begin_run()?;
        let outcome = self.run_fit(supply, validation, fit, begun).await;
        self.end_run(run);
        outcome
    }

    async fn run_fit<'a>(
        &mut self,
        mut supply: Supply<'a>,
        validation: Option<&'a Dataset>,
        mut fit: Fit<'a>,
        begun: Instant,
    ) -> Result<History> {
        let callbacks = std::mem::take(&mut fit.callbacks);
        callbacks.validate()?;
        let validation = validation
            .map(|data| self.prepare_evaluation(data))
            .transpose()?;
        let batch = fit.batch_size.min(supply.rows);
        if batch > MOST_BATCH {
            let message = format!(
                "must be at most {MOST_BATCH} on {} rows, got {}",
                supply.rows, fit.batch_size
            );
            return Err(Error::argument("batch_size", message));
        }
        supply.skips = fit.non_finite == NonFinite::Skip;
        let evaluate = match &validation {
            Some(data) => {
                let trains = [supply.least_room(batch), supply.room(batch)];
                Some(self.place_evaluation(data, &trains, fit.chunk_rows)?)
            }
            None => None,
        };
        let resume = match fit.resume.take() {
            Some(resume) => resume.state()?,
            None => None,
        };
        if let Some(mut micro) = fit.micro {
            // Other parts end in other bits: a run goes on with those it had, whatever room there is now.
            if let (Micro::Fitting, Some(resumed)) = (micro, &resume) {
                micro = Micro::Count(resumed.state.order.micro);
            }
            supply.micro = self.parts_of_batch(micro, &supply, batch, evaluate)?;
        }
        let batch = batch / supply.micro as usize;
        self.place(&mut supply, batch, evaluate, fit.chunk_rows)?;
        let needs = Needs {
            train: Some(supply.room(batch)),
            evaluate,
        };
        let board = self.parts().board()?;
        let layout = board.layout();
        let mut ledger = Ledger::new(supply.rows as u64, batch as u64, layout, self.epochs);
        if fit.non_finite == NonFinite::Skip {
            ledger.leave_out();
        }
        let per_epoch = ledger.steps_per_epoch();
        let steps = fit.steps.unwrap_or(u64::MAX);
        let steps = steps.saturating_mul(u64::from(supply.micro));
        let mut total = fit.epochs.saturating_mul(per_epoch).min(steps);
        for mut checkpoints in std::mem::take(&mut fit.checkpoints) {
            checkpoints.begin(resume.as_ref(), validation.is_some(), self)?;
            // Before the others: who is told of a state can rely on its file.
            fit.watches.insert(0, checkpoints.watch());
        }
        let first = match &resume {
            Some(Resumed { state, .. }) => state.model_steps.saturating_sub(state.steps),
            None => {
                self.count_in_parts(supply.micro);
                self.steps
            }
        };
        let stop = match (fit.steps, total == fit.epochs.saturating_mul(per_epoch)) {
            (Some(steps), false) => Stop::Steps(steps),
            _ => Stop::Epochs(fit.epochs),
        };
        let left = u64::from(u32::MAX).saturating_sub(first);
        if supply.is_open() && left > 0 {
            // An epoch of which nobody has said how long it is.
            total = total.min(left);
        }
        if total > left {
            let sum = first.saturating_add(total);
            let message = format!(
                "{total} steps behind the {first} that the model has done are {sum}, more than the clock counts, 2³² − 1"
            );
            return Err(Error::argument("epochs", message));
        }
        let progress = Progress::new(total.div_ceil(per_epoch), per_epoch, fit.silent);
        let shuffle = fit.order(self.architecture.seed);
        let mut run = Run {
            target_loss: fit.target_loss,
            callbacks,
            watches: std::mem::take(&mut fit.watches),
            keeper: Keeper::new(self.device(), fit.recovery, supply.repeats()),
            order: Order {
                rows: supply.rows as u64,
                batch: batch as u64,
                shuffle,
                micro: supply.micro,
            },
            supply,
            first_epoch: self.epochs,
            data_ended: false,
            counted: None,
            before: Duration::ZERO,
            resumed: resume.is_some(),
            interrupt: fit.interrupt.take(),
            needs,
            validates: validation.is_some(),
            validation,
            non_finite: fit.non_finite,
            board,
            ledger,
            history: History::new(stop),
            progress,
            begun,
            epoch_begun: begun,
            absorbed: 0,
            total,
            stop: None,
        };
        // What does not fit is refused here, before any work.
        self.call(&mut run, |callback, moment| callback.begin(moment))?;
        // What they evaluated in has no part in the room that the run was given.
        self.close_aside();
        let from = resume.as_ref().map(|resumed| &resumed.state);
        self.start(&mut run, from).await?;
        drop(resume);

        run.epoch_begun = Instant::now();
        let outcome = match self.train_on(&mut run).await {
            Err(Error::NonFinite { epoch, step, .. }) => {
                Err(self.explained(&mut run, (epoch, step)).await)
            }
            outcome => outcome,
        };
        if outcome.is_err()
            && !self.has_no_session()
            && let Err(error) = self.keep_weights().await
        {
            tracing::warn!(%error, "the weights of the run that failed could not be read");
        }
        let ended = self.end_callbacks(&mut run);
        run.progress.finish();
        let outcome = outcome.and(ended);
        if outcome.is_err()
            && self.has_no_session()
            && let Err(error) = self.abandon(&mut run)
        {
            // What ended the run is the error to tell, not that its last state found no room either.
            tracing::warn!(%error, "the last state of the run could not be handed on");
        }
        outcome?;
        Ok(run.history)
    }

    /// Runs the steps that are left.
    pub(super) async fn train(&mut self, run: &mut Run<'_>) -> Result<()> {
        let outcome = self.train_steps(run).await;
        if let Some(before) = &run.counted {
            run.history.counters = self.device().counters().since(before);
        }
        outcome
    }

    async fn train_steps(&mut self, run: &mut Run<'_>) -> Result<()> {
        self.behind = true;
        run.data_ended = false;
        let start = self.steps - run.absorbed;
        let per_epoch = run.ledger.steps_per_epoch();
        run.first_epoch = self.epochs - run.absorbed / per_epoch;
        run.supply.seek(run.absorbed);
        // What must be known at the end of an epoch keeps the next from being submitted before.
        let watched = |every: &Every| matches!(every, Every::Epochs(_));
        let waits = run.target_loss.is_some()
            || run.validates
            || run.callbacks.wait()
            || run.watches.iter().any(|watch| watched(&watch.every));
        let every = run.callbacks.every();
        let watched = run.watches.iter().filter_map(|watch| match watch.every {
            Every::Steps(steps) => Some(steps),
            Every::Epochs(_) | Every::Time(_) => None,
        });
        let pauses: Vec<u64> = every.iter().copied().chain(watched).collect();
        // Where all that is under way comes to an end, for what is due by the clock on the wall.
        let mut settles = None;
        let device = self.device().clone();
        let program = self.opened(run.needs).await?.program(RowProgram::Train)?;
        let mut submissions = Submissions::new(program, &run.board, per_epoch, &device)?;
        submissions.begin_at(run.absorbed);
        // Of the first time: what a loss made again counts.
        run.counted.get_or_insert_with(|| device.counters());
        while run.absorbed < run.total {
            self.keep_arrived(run).await?;
            let next = |length: u64| (run.absorbed / length + 1).saturating_mul(length);
            let pause = pauses.iter().map(|steps| next(*steps)).min();
            let pause = pause
                .into_iter()
                .chain(waits.then(|| next(per_epoch)))
                .min();
            let pause = pause.unwrap_or(u64::MAX);
            let settled = pause.min(settles.unwrap_or(u64::MAX));
            let mut submitted = Ok(());
            // The part that is there, and the next one that can be brought once it is under way.
            for _ in 0..2 {
                let ready = self.feed(run, submissions.submitted()).await?;
                let until = settled.min(run.total).min(ready);
                let session = self.session(run.needs).await?;
                submitted = submitted.and_then(|()| submissions.ahead(session, until));
            }
            if submitted.is_ok() {
                submitted = self.keep_behind(run, &submissions, pause).await;
            }
            let session = self.session(run.needs).await?;
            let answer = match submitted {
                Ok(()) => submissions.next(session).await,
                Err(error) => Err(error),
            };
            self.steps = start + submissions.submitted();
            let Some(Answer { done, sums }) = answer? else {
                break;
            };
            if run.history.first_step.is_zero() {
                run.history.first_step = run.begun.elapsed();
            }
            let steps = sums.map_or(0..0, |(steps, copied)| {
                run.ledger.hold(copied);
                steps
            });
            for step in steps {
                run.absorbed += 1;
                let (loss, means) = run.ledger.absorb(start + step);
                run.history.step_losses.push(loss);
                if run.non_finite == NonFinite::Stop && !loss.is_finite() {
                    let epoch = run.history.epochs.len() as u64 + 1;
                    return Err(Error::NonFinite {
                        epoch,
                        step: run.absorbed,
                        what: "the loss".into(),
                    });
                }
                let ends_epoch = means.is_some();
                if let Some(means) = means {
                    self.end_epoch(run, means).await?;
                }
                let absorbed = run.absorbed;
                if every.iter().any(|steps| absorbed.is_multiple_of(*steps)) {
                    self.call(run, |callback, moment| match callback.timing() {
                        Timing::Steps(steps) if absorbed.is_multiple_of(steps) => {
                            callback.steps(moment)
                        }
                        _ => Ok(()),
                    })?;
                }
                if absorbed == submissions.submitted() {
                    self.watch(run, Due::Now { ends_epoch }).await?;
                    self.keep_between(run).await?;
                    settles = None;
                }
                self.add_rest(run, start + absorbed)?;
            }
            let watched = run.watches.iter().any(Watch::is_late);
            let late = watched || run.keeper.is_late();
            // With nothing under way there is nothing to settle, and nothing would be submitted.
            let under_way = submissions.settled() > run.absorbed;
            settles = (late && under_way).then(|| settles.unwrap_or(submissions.settled()));
            let epoch = run.history.epochs.len() as u64;
            let last = run.history.step_losses.last().copied().unwrap_or(f64::NAN);
            run.progress.steps(epoch, done % per_epoch, last);
            if run.interrupt.as_ref().is_some_and(Interrupt::is_raised) {
                run.stop.get_or_insert(Stop::Interrupted);
            }
            if run.stop.is_some() {
                // What is under way still counts, and so do the parts of a batch that has begun.
                let parts = u64::from(run.supply.micro);
                run.total = run.total.min(submissions.settled().next_multiple_of(parts));
            }
        }
        self.watch(run, Due::Last).await?;
        // A run that ends within an epoch reports the part that was done.
        if let Some(means) = run.ledger.take() {
            self.end_epoch(run, means).await?;
        }
        match run.stop.take() {
            Some(stop) => run.history.stop = stop,
            None if run.data_ended => run.history.stop = Stop::Data,
            None => {}
        }
        run.history.steps = run.absorbed;
        Ok(())
    }

    /// Calls every callback, in order, until one fails.
    fn call(
        &mut self,
        run: &mut Run<'_>,
        mut what: impl FnMut(&mut dyn Callback, &mut Moment<'_>) -> Result<()>,
    ) -> Result<()> {
        if run.callbacks.0.is_empty() {
            return Ok(());
        }
        let mut callbacks = std::mem::take(&mut run.callbacks);
        let mut moment = Moment {
            model: self,
            history: &run.history,
            step: run.absorbed,
            elapsed: run.elapsed(),
            resumed: run.resumed,
            validates: run.validates,
            stop: None,
        };
        let mut each = callbacks.0.iter_mut();
        let outcome = each.try_for_each(|callback| what(callback.as_mut(), &mut moment));
        if let (Some(stop), None) = (moment.stop.take(), &run.stop) {
            run.stop = Some(stop);
        }
        run.callbacks = callbacks;
        outcome
    }

    /// Calls the end of every callback, whatever others say; the first refusal is the one to tell.
    fn end_callbacks(&mut self, run: &mut Run<'_>) -> Result<()> {
        let mut outcome = Ok(());
        let called = self.call(run, |callback, moment| {
            let ended = callback.end(moment);
            if outcome.is_ok() {
                outcome = ended;
            }
            Ok(())
        });
        outcome.and(called)
    }

    async fn end_epoch(&mut self, run: &mut Run<'_>, means: Means) -> Result<()> {
        self.epochs += 1;
        let loss = means.values.first().copied().unwrap_or(f64::NAN);
        let metrics = run.board.report(&means)?;
        let validation = match &run.validation {
            None => None,
            Some(data) => Some(self.run_evaluation(run.needs, data, &run.board).await?),
        };
        let (val_loss, val_metrics) = match validation {
            Some(Evaluation { loss, metrics, .. }) => (Some(loss), metrics),
            None => (None, Vec::new()),
        };
        let time = std::mem::replace(&mut run.epoch_begun, Instant::now()).elapsed();
        let epoch = Epoch {
            loss,
            metrics,
            val_loss,
            val_metrics,
            samples: means.samples,
            time,
        };
        run.progress.epoch(run.history.epochs.len() as u64, &epoch);
        run.history.epochs.push(epoch);
        if let Some(threshold) = run.target_loss
            && loss <= threshold
        {
            run.stop = Some(Stop::Loss { loss, threshold });
        }
        self.call(run, |callback, moment| callback.epoch(moment))
    }
}
