//! A run of a population: steps submitted ahead, every member's figures read behind, validation between epochs.

use std::time::Instant;

use crate::gpu::Counters;
use crate::train::evaluate::Evaluation;
use crate::train::fit::Fit;
use crate::train::history::{Epoch, History, Stop};
use crate::train::interrupt::Interrupt;
use crate::train::ledger::{Ledger, Means};
use crate::train::metric::Board;
use crate::train::model::{ClockStart, Model};
use crate::train::prepare::Prepared;
use crate::train::programs::{Needs, Room};
use crate::train::recover::Recovery;
use crate::train::submissions::{Answer, Submissions};
use crate::{Dataset, Error, Result};

use super::Population;
use super::keep::Savepoint;
use super::open::{MemberState, start};

/// A run under way.
pub(super) struct Run<'a> {
    pub fit: Fit<'a>,
    pub validator: Option<Validator<'a>>,
    pub begun: Instant,
    pub per_epoch: u64,
    pub total: u64,
    pub ledgers: Vec<Ledger>,
    pub histories: Vec<History>,
    /// What members that have ended keep.
    pub ended: Vec<Option<MemberState>>,
    pub submitted: u64,
    /// Steps whose figures were read.
    pub done: u64,
    /// Whether the device can be lost, and the run is to go on then.
    pub recovers: bool,
    pub kept: Option<Savepoint>,
    /// What had been asked of the device once the data was there; none before.
    pub before: Option<Counters>,
}

/// What a run is made of.
pub(super) struct Setup<'a> {
    pub model: &'a Model,
    pub room: Room,
    pub data: &'a Prepared<'a>,
    pub gauges: &'a Board,
}

/// A model to which members lend their weights one after the other, to be measured on data that it uploads once.
pub(super) struct Validator<'a> {
    model: Model,
    data: Prepared<'a>,
    /// What the session that holds the data serves.
    loaded: Option<Needs>,
}

impl<'a> Validator<'a> {
    pub fn new(model: Model, data: &'a Dataset) -> Result<Self> {
        Ok(Validator {
            data: model.prepare_evaluation(data)?,
            model,
            loaded: None,
        })
    }

    /// The figures of these weights, on a device made again where it is lost meanwhile.
    async fn measure<'w>(
        &mut self,
        weights: impl Iterator<Item = (&'w str, &'w [f32])>,
    ) -> Result<Evaluation> {
        self.model.set_weights(weights)?;
        let mut tries = Recovery::default().tries;
        loop {
            match self.measure_once().await {
                Err(error) => {
                    self.model.try_again(&mut tries, error)?;
                    self.loaded = None;
                }
                done => return done,
            }
        }
    }

    async fn measure_once(&mut self) -> Result<Evaluation> {
        let (model, data) = (&mut self.model, &self.data);
        // A device that was lost while weights were set took the data along.
        let open = model.open_needs();
        let loaded = self
            .loaded
            .filter(|needs| open.cover(needs) && !model.is_lost());
        let needs = match loaded {
            Some(needs) => needs,
            None => {
                let needs = Needs {
                    train: None,
                    evaluate: Some(model.place_evaluation(data, &[], None)?),
                };
                model.load_evaluation(needs, data).await?;
                self.loaded = Some(needs);
                needs
            }
        };
        let board = model.parts().board()?;
        model.run_evaluation(needs, data, &board).await
    }
}

impl Population {
    /// Begins or goes on with a run, to its end.
    pub(super) async fn begin(&mut self, run: &mut Run<'_>, setup: &Setup<'_>) -> Result<()> {
        self.open(setup.model, setup.room, setup.data)?;
        let Some(open) = &mut self.open else {
            return Err(Error::argument(
                "population",
                "the session could not be opened",
            ));
        };
        let begin = ClockStart {
            step: self.steps + run.done,
            epoch: self.epochs + run.done / run.per_epoch,
            offset: run.done % run.per_epoch * setup.room.batch as u64,
            ..ClockStart::at_beginning(setup.room.rows)
        };
        start(open, &self.members, &run.fit, begin)?;
        if run.before.is_some() {
            tracing::info!(step = run.done, "training goes on");
        }
        let before = *run.before.get_or_insert(self.device.counters());
        self.behind = true;
        self.train(run, setup.gauges).await?;
        let counters = self.device.counters().since(&before);
        for history in &mut run.histories {
            history.counters = counters;
        }
        self.finish(run).await
    }

    /// Runs the steps that are left.
    async fn train(&mut self, run: &mut Run<'_>, gauges: &Board) -> Result<()> {
        let (first, count) = (self.steps, self.members.len());
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let program = (&mut open.session, &open.handles);
        let mut submissions = Submissions::new(program, gauges, run.per_epoch, &self.device)?;
        submissions.begin_at(run.done);
        let mut epoch_begun = Instant::now();
        let waits = run.validator.is_some() || run.fit.target_loss.is_some();
        // Where all that is under way comes to an end, for a state that is due.
        let mut settles = None;
        while run.done < run.total && run.ended.iter().any(Option::is_none) {
            let next_epoch = (run.done / run.per_epoch + 1).saturating_mul(run.per_epoch);
            let until = match waits {
                true => next_epoch.min(run.total),
                false => run.total,
            };
            let until = until.min(settles.unwrap_or(u64::MAX));
            let session = &mut open.session;
            let ahead = submissions.ahead(session, until);
            run.submitted = submissions.submitted();
            ahead?;
            let Some(Answer { sums, .. }) = submissions.next(session).await? else {
                break;
            };
            let raised = |interrupt: &Interrupt| interrupt.is_raised();
            if run.fit.interrupt.as_ref().is_some_and(raised) && submissions.settled() < run.total {
                // What is under way still counts.
                run.total = submissions.settled();
                for (history, ended) in run.histories.iter_mut().zip(&run.ended) {
                    if ended.is_none() {
                        history.stop = Stop::Interrupted;
                    }
                }
            }
            let first_step = run.begun.elapsed();
            let (steps, ring) = sums.unwrap_or_default();
            let ring_len = (ring.len() / count).max(1);
            for (ledger, ring) in run.ledgers.iter_mut().zip(ring.chunks_exact(ring_len)) {
                ledger.hold(ring.to_vec());
            }
            for step in steps {
                run.done += 1;
                let (done, last) = (run.done, run.done == run.total);
                let mut ends = false;
                let members = run.histories.iter_mut().zip(&mut run.ledgers);
                for ((history, ledger), ended) in members.zip(&run.ended) {
                    let (loss, means) = ledger.absorb(first + step);
                    if ended.is_some() {
                        continue;
                    }
                    if history.first_step.is_zero() {
                        history.first_step = first_step;
                    }
                    history.steps = done;
                    history.step_losses.push(loss);
                    if let Some(means) = means.or_else(|| if last { ledger.take() } else { None }) {
                        ends = true;
                        history.epochs.push(epoch(&means, gauges, epoch_begun)?);
                    }
                }
                if !ends {
                    continue;
                }
                if let Some(validator) = &mut run.validator {
                    let slabs = open.session.read_async(&open.slabs[0]).await?;
                    let learned = open.learned(slabs, &self.architecture);
                    for (index, history) in run.histories.iter_mut().enumerate() {
                        let Some(epoch) = history.epochs.last_mut() else {
                            continue;
                        };
                        if run.ended[index].is_none() {
                            let measured = validator.measure(learned.of(index)).await?;
                            epoch.val_loss = Some(measured.loss);
                            epoch.val_metrics = measured.metrics;
                        }
                    }
                }
                if let Some(threshold) = run.fit.target_loss {
                    for (index, history) in run.histories.iter_mut().enumerate() {
                        let loss = history.epochs.last().map_or(f64::NAN, |epoch| epoch.loss);
                        if run.ended[index].is_none() && loss <= threshold {
                            history.stop = Stop::Loss { loss, threshold };
                            run.ended[index] = Some(open.numbers(index, count).await?);
                        }
                    }
                }
                epoch_begun = Instant::now();
            }
            let late = run.is_late();
            if late && run.done == submissions.submitted() {
                run.keep(open, &self.architecture, &mut self.carried)
                    .await?;
                settles = None;
                continue;
            }
            // With nothing under way there is nothing to settle, and nothing would be submitted.
            let under_way = submissions.settled() > run.done;
            settles = (late && under_way).then(|| settles.unwrap_or(submissions.settled()));
        }
        Ok(())
    }
}

fn epoch(means: &Means, gauges: &Board, begun: Instant) -> Result<Epoch> {
    Ok(Epoch {
        loss: means.values.first().copied().unwrap_or(f64::NAN),
        metrics: gauges.report(means)?,
        val_loss: None,
        val_metrics: Vec::new(),
        samples: means.samples,
        time: begun.elapsed(),
    })
}
