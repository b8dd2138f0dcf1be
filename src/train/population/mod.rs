//! Many small networks of one shape, trained side by side in the same dispatches: ensembles, sweeps, populations.

mod keep;
mod open;
mod run;

use std::time::{Duration, Instant};

use crate::data::Features;
use crate::nn::{Functional, Parameter};
use crate::optim::OptimizerConfig;
use crate::reserve::reserved;
use crate::schedule::Schedule;
use crate::{Dataset, Device, Error, Result};

use super::fit::Fit;
use super::history::{History, Stop};
use super::ledger::Ledger;
use super::loss::Loss;
use super::metric::Metric;
use super::model::Model;
use super::programs::Room;

use keep::{Learned, PopulationState};
use open::PopulationSession;
use run::{Run, Setup, Validator};

/// What sets a network of a [`Population`] apart from the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// The seed of its first weights and of its order of the data.
    pub seed: u64,
    /// Its learning rate, which stays as it is.
    pub learning_rate: f32,
}

/// Networks of one shape with seeds and learning rates of their own, trained on one data set in the same dispatches: a
/// workgroup each.
///
/// A member trains as a [`Model`] of its seed and rate would, on a GPU to the same bits. Only networks that fit a
/// workgroup can be members: up to some 700 parameters on a GPU, 1500 on an adapter that runs on the processor, 4096 on the
/// CPU session; the error says what is too large. Their layers are dense without penalties and constraints, the loss is a squared error or a cross-entropy of the
/// default [reduction](super::Reduction), the optimizer `Sgd` or `Adam` with nothing beside, and metrics are accuracies
/// other than top-k: `fit` refuses others.
///
/// ```
/// use kiln::optim::OptimizerConfig;
/// use kiln::prelude::*;
/// use kiln::train::{Member, Population};
///
/// let xor = Dataset::from_rows(
///     &[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]],
///     &[[0.0], [1.0], [1.0], [0.0]],
/// )?;
/// let network = Sequential::new(2).dense(4, Tanh).dense(1, Sigmoid);
/// let members = (1..=8).map(|seed| Member { seed, learning_rate: 0.02 });
/// let mut population = Population::new(
///     &network, members, &Device::cpu(), BinaryCrossentropy, OptimizerConfig::default(), [Accuracy],
/// )?;
/// let histories = population.fit(&xor, Fit::epochs(300).silent())?;
/// let best = population.best(&histories);
/// let mut model = population.member(best)?;
/// assert!(model.evaluate(&xor)?.loss < 0.4);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct Population {
    members: Vec<Member>,
    architecture: Functional,
    device: Device,
    loss: Loss,
    optimizer: OptimizerConfig,
    metrics: Vec<Metric>,
    open: Option<PopulationSession>,
    /// What the members have learned, on the host; none before the first training.
    carried: Option<PopulationState>,
    /// Whether the session has learned what `carried` does not hold.
    behind: bool,
    /// Steps that every member has done.
    steps: u64,
    /// Epochs begun, each with an order of its own: one that a run ends within is not gone on with, as in a [`Model`].
    epochs: u64,
}

impl Population {
    /// Members that differ in seed and learning rate only; `optimizer` gives everything but the rate.
    ///
    /// # Errors
    ///
    /// No members, a rate that is no number from 0, and what [`Functional::compile_on`] refuses.
    pub fn new(
        architecture: impl Into<Functional>,
        members: impl IntoIterator<Item = Member>,
        device: &Device,
        loss: impl Into<Loss>,
        optimizer: OptimizerConfig,
        metrics: impl IntoIterator<Item = Metric>,
    ) -> Result<Self> {
        let population = Population {
            members: members.into_iter().collect(),
            architecture: architecture.into(),
            device: device.clone(),
            loss: loss.into(),
            optimizer,
            metrics: metrics.into_iter().collect(),
            open: None,
            carried: None,
            behind: false,
            steps: 0,
            epochs: 0,
        };
        if population.members.is_empty() {
            return Err(Error::argument(
                "members",
                "a population needs at least one",
            ));
        }
        for index in 0..population.members.len() {
            population.fresh(index)?;
        }
        population.architecture.dense_chain().map_err(|layer| {
            let message = format!(
                "must be trained dense layers one behind the other for a population; {layer} is not"
            );
            Error::argument("architecture", message)
        })?;
        Ok(population)
    }

    /// The members, in order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A member before training.
    fn fresh(&self, index: usize) -> Result<Model> {
        let Some(member) = self.members.get(index) else {
            let count = self.members.len();
            return Err(Error::argument(
                "index",
                format!("there are {count} members, so there is no member {index}"),
            ));
        };
        let mut optimizer = self.optimizer.clone();
        *optimizer.learning_rate_mut() = Schedule::Constant(member.learning_rate);
        Model::new(
            self.architecture.clone().seed(member.seed),
            &self.device,
            self.loss.clone(),
            optimizer.into_optimizer(),
            self.metrics.clone(),
        )
    }

    /// Trains every member on `data`: a history each, in order.
    ///
    /// With [`Fit::until_loss`] a member ends after the first of its epochs whose loss is at most the threshold, and keeps the
    /// weights and the optimizer's state of that; the population ends when all have. With validation data every member is
    /// measured on it after each of its epochs, one after the other, so that small sets cost less than the training.
    ///
    /// A raised [`Fit::interrupt`] ends the members after the steps that are under way, with their histories and weights kept.
    ///
    /// A second call on as many rows goes on where the first ended, with the next epoch where that was in the midst of one, as
    /// [`Model::fit`] does. A member whose loss becomes NaN does not stop the others: its history says so.
    ///
    /// Where the device is lost, it is made again, all members take up the last state that came to the host, and the steps since
    /// then are repeated to the same bits, as often as [`Fit::recovery`] says. States come to the host between two
    /// submissions, every 5 s, or every hundred times what the last one took where that is longer. After the call
    /// weights and the optimizers' states are on the host, so that a loss between two calls takes nothing. Where there is no
    /// memory to read them, which a warning says, they stay on the device alone: a call on as many rows goes on from there,
    /// without recovery, and other calls fail with [`Error::OutOfMemory`] as long as there is none.
    ///
    /// A call that fails keeps what the members had come to: where the device is gone for good, or hangs, the last
    /// state that came to the host, from which the next call goes on. There are no checkpoints of a population: what is to outlast the process is
    /// saved member by member, by [`Population::member`] and [`Model::save`].
    ///
    /// # Errors
    ///
    /// Networks that do not fit a workgroup, settings of `fit` that a population does not take (weights of classes, callbacks,
    /// checkpoints, skipped steps, micro-batches, parts of data, steps per epoch), data that does not fit the model, a device that fails.
    pub fn fit(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<Vec<History>> {
        let device = self.device.clone();
        device.block_on(self.fit_async(data, fit))
    }

    /// [`Population::fit`] without blocking the thread; see [`Model::fit_async`].
    pub async fn fit_async(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<Vec<History>> {
        let begun = Instant::now();
        fit.validate()?;
        if fit.exceeds_populations() {
            return Err(Error::argument(
                "fit",
                "a population takes epochs, steps, a target loss, validation, batch size, shuffle, seed, recovery and an interrupt only",
            ));
        }
        let parts = fit.split(data)?;
        let (data, validation) = match &parts {
            Some((train, validation)) => (train, Some(validation)),
            None => (data, fit.validation),
        };
        let model = self.fresh(0)?;
        // What does not fit is refused here, before any work.
        let validator = match validation {
            Some(data) => Some(Validator::new(self.fresh(0)?, data)?),
            None => None,
        };
        let data = model.prepare(data)?;
        if data.weights.is_some() {
            let message = "a population trains on rows that weigh the same; these have weights";
            return Err(Error::data(message));
        }
        let room = Room::new(data.rows, fit.batch_size.min(data.rows));
        // A session that is sound goes on by itself, though not after a loss of its device: the host has nothing to go on from.
        let carried = match self.carry().await {
            Err(error @ Error::OutOfMemory { .. }) if self.serves(room) => {
                tracing::warn!(%error, "no memory to keep what the members have learned: the run has no recovery");
                false
            }
            outcome => {
                outcome?;
                true
            }
        };
        let count = self.members.len();
        let gauges = model.parts().board()?;
        let layout = gauges.layout();
        let (rows, batch) = (room.rows as u64, room.batch as u64);
        let ledgers: Vec<Ledger> = (0..count)
            .map(|_| Ledger::new(rows, batch, layout.clone(), self.epochs))
            .collect();
        let per_epoch = ledgers[0].steps_per_epoch();
        let whole = fit.epochs.saturating_mul(per_epoch);
        let total = whole.min(fit.steps.unwrap_or(u64::MAX));
        if self.steps.saturating_add(total) > u64::from(u32::MAX) {
            let message = format!("{total} steps are more than the clock counts, 2³² − 1");
            return Err(Error::argument("epochs", message));
        }
        let stop = match total == whole {
            true => Stop::Epochs(fit.epochs),
            false => Stop::Steps(total),
        };
        let recovers = carried && fit.recovery.tries > 0 && self.device.gpu().is_some();
        let mut run = Run {
            fit,
            validator,
            begun,
            per_epoch,
            total,
            ledgers,
            histories: vec![History::new(stop); count],
            ended: vec![None; count],
            submitted: 0,
            done: 0,
            recovers,
            kept: None,
            before: None,
        };
        if carried {
            run.mark(Duration::ZERO);
        }
        let setup = Setup {
            model: &model,
            room,
            data: &data,
            gauges: &gauges,
        };
        let outcome = self.train_on(&mut run, &setup).await;
        let steps = match &outcome {
            Ok(()) => run.submitted,
            // A run that fails has moved the members too.
            Err(_) => self.keep_what_is_left(&mut run).await,
        };
        self.steps += steps;
        self.epochs += steps.div_ceil(per_epoch);
        outcome?;
        Ok(run.histories)
    }

    /// The member that ended with the smallest loss: of its last epoch in these histories. NaN is never best.
    pub fn best(&self, histories: &[History]) -> usize {
        let loss = |history: &History| {
            let last = history.epochs.last().map_or(f64::NAN, |epoch| epoch.loss);
            if last.is_nan() { f64::INFINITY } else { last }
        };
        let losses = histories.iter().map(loss).enumerate();
        losses
            .min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map_or(0, |(index, _)| index)
    }

    /// A member as a model of its own, with the weights that it has learned; its optimizer starts anew.
    pub fn member(&mut self, index: usize) -> Result<Model> {
        let mut model = self.fresh(index)?;
        if let Some(learned) = self.learned()? {
            model.set_weights(learned.of(index))?;
        }
        Ok(model)
    }

    /// The mean of all members' outputs for these rows, as a row-major matrix of as many columns as there are outputs.
    pub fn predict<'a>(&mut self, rows: impl Into<Features<'a>>) -> Result<Vec<f32>> {
        let rows = rows.into();
        // One after the other the members lend one model their weights.
        let (mut model, learned) = (self.fresh(0)?, self.learned()?);
        let mut sums: Vec<f64> = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            match &learned {
                Some(learned) => model.set_weights(learned.of(index))?,
                None => {
                    let own = self.architecture.clone().seed(member.seed);
                    let parameters: Vec<Parameter> = own.parameters().collect();
                    let drawn: Vec<Vec<f32>> = own.drawn().collect();
                    let named = parameters.iter().zip(&drawn);
                    let named = named.map(|(parameter, own)| (parameter.name.as_str(), &own[..]));
                    model.set_weights(named)?;
                }
            }
            let predictions = model.predict(rows.borrowed())?;
            if sums.is_empty() {
                sums = room_for(predictions.values().len())?;
            }
            for (sum, &value) in sums.iter_mut().zip(predictions.values()) {
                *sum += f64::from(value);
            }
        }
        let count = self.members.len() as f64;
        Ok(sums.into_iter().map(|sum| (sum / count) as f32).collect())
    }

    /// The weights of all members; none before the first training.
    fn learned(&mut self) -> Result<Option<Learned>> {
        let device = self.device.clone();
        device.block_on(self.carry())?;
        Ok(self.carried.as_ref().map(PopulationState::learned))
    }
}

fn room_for(len: usize) -> Result<Vec<f64>> {
    let mut values = reserved(Some(len), "the mean predictions")?;
    values.resize(len, 0.0);
    Ok(values)
}
