//! Many small networks of one shape, trained side by side in the same dispatches: ensembles, sweeps, populations.

use crate::data::{Features, LearnedNames};
use crate::edge::{WallTime, slice};
use crate::nn::Functional;
use crate::optim::{Optimizer, OptimizerConfig};
use crate::reserve::reserved;
use crate::schedule::Schedule;
use crate::{Dataset, Device, Error, Result};

use super::callback::Monitor;
use super::compile::only_objective;
use super::feed::Feeder;
use super::fit::Fit;
use super::history::{Epoch, History};
use super::loss::Loss;
use super::metric::Metric;
use super::model::Model;
use super::objective::Objective;
use super::programs::{Extent, Member, MemberLayout};
use super::run::{Validation, Validator, fit_on};

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
    /// All members side by side.
    model: Model,
    optimizer: OptimizerConfig,
    /// Where the parameters of a member lie; none before the first training.
    layout: Option<MemberLayout>,
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
        let architecture = architecture.into();
        let members: Vec<Member> = members.into_iter().collect();
        let objectives = [only_objective(&architecture, loss, metrics)?];
        let Some(first) = members.first() else {
            return Err(Error::argument(
                "members",
                "a population needs at least one",
            ));
        };
        // Members differ in nothing else that could be refused.
        let mut own_rates = members.iter().map(|member| of_rate(&optimizer, member));
        own_rates.try_for_each(|optimizer| optimizer.validate())?;
        let mut model = alone(&architecture, first, device, &optimizer, &objectives)?;
        architecture.dense_chain().map_err(|layer| {
            let message = format!(
                "must be trained dense layers one after the other for a population; {layer} is not"
            );
            Error::argument("architecture", message)
        })?;
        model.members = members;
        Ok(Population {
            model,
            optimizer,
            layout: None,
        })
    }

    /// A member before training.
    fn fresh(&self, index: usize) -> Result<Model> {
        let members = &self.model.members;
        let Some(member) = members.get(index) else {
            let count = members.len();
            return Err(Error::argument(
                "index",
                format!("there are {count} members, so there is no member {index}"),
            ));
        };
        let model = &self.model;
        alone(
            &model.architecture,
            member,
            model.device(),
            &self.optimizer,
            &model.objectives,
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
    /// state that came to the host, from which the next call goes on. [`Fit::checkpoints`], [`Fit::states`] and
    /// [`Fit::resume_from`] write and take up the state of all members, as they do a model's.
    ///
    /// # Errors
    ///
    /// Networks that do not fit a workgroup, settings of `fit` that a population does not take (weights of classes, callbacks,
    /// the best checkpoint, skipped steps, micro-batches, parts of data, steps per epoch), data that does not fit the model, a device that fails.
    pub fn fit(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<Vec<History>> {
        let device = self.model.device().clone();
        device.block_on(self.fit_async(data, fit))
    }

    /// [`Population::fit`] without blocking the thread; see [`Model::fit_async`].
    ///
    /// # Errors
    ///
    /// The errors of [`Population::fit`].
    pub fn fit_async(
        &mut self,
        data: &Dataset,
        fit: Fit<'_>,
    ) -> impl Future<Output = Result<Vec<History>>> + Send {
        slice::sliced(fit.slice, async move {
            let begun = WallTime::now();
            fit.validate()?;
            let _call = self.model.remember_names().await?;
            let outcome = self.fit_members(data, fit, begun).await;
            self.model.settle_names(outcome.is_ok());
            outcome
        })
    }

    async fn fit_members(
        &mut self,
        data: &Dataset,
        mut fit: Fit<'_>,
        begun: WallTime,
    ) -> Result<Vec<History>> {
        if fit.exceeds_populations() {
            return Err(Error::argument(
                "fit",
                "a population takes epochs, steps, a target loss, validation, batch size, shuffle, seed, recovery, checkpoints of \
                 the last states, and an interrupt only",
            ));
        }
        self.model.learn_from_state(&mut fit)?;
        let parts = fit.split(data)?;
        let (data, validation) = match &parts {
            Some((train, validation)) => (train, Some(validation)),
            None => (data, fit.validation),
        };
        let names = LearnedNames::of(data);
        let data = self.model.recipe().prepare(data)?;
        self.model.architecture.names.learn(names);
        let recipe = self.model.recipe();
        let prepare = |data| recipe.prepare_evaluation(data);
        let validation = validation.map(prepare).transpose()?;
        if data.weight_columns() > 0 {
            let message = "a population trains on rows that weigh the same; these have weights";
            return Err(Error::data(message));
        }
        // What does not fit is refused here, before any work.
        let extent = Extent::new(data.rows, fit.batch_size.min(data.rows));
        let layout = recipe.member_layout(extent)?;
        let validation = match &validation {
            Some(data) => {
                let validator = Validator::new(self.fresh(0)?, data, &layout);
                Some(Validation::Lent(Box::new(validator)))
            }
            None => None,
        };
        // Before the run, which may be dropped on its way: what members have learned by then is theirs.
        self.layout = Some(layout.clone());
        let feeder = Feeder::whole(&data);
        fit_on(&mut self.model, feeder, validation, fit, begun).await
    }

    /// The member that ended with the smallest loss: of its last epoch in these histories. NaN is never best. By another
    /// figure: [`best_by`](Self::best_by).
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

    /// The member that ended with the best figure of its last epoch in these histories, such as `val_loss`: the smallest
    /// training loss may be that of a member that has learnt the rows by heart. NaN is never best.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for a figure that no epoch has; [`Error::Data`] where no member has a number for it.
    pub fn best_by(&self, histories: &[History], monitor: impl Into<Monitor>) -> Result<usize> {
        let mut monitor: Monitor = monitor.into();
        let last = |history: &History| history.epochs.last().cloned();
        let ends: Vec<Option<Epoch>> = histories.iter().map(last).collect();
        let validates = ends.iter().flatten().any(|epoch| epoch.val_loss.is_some());
        monitor.begin(validates, &self.model)?;
        let mut best: Option<(usize, f64)> = None;
        for (index, end) in ends.iter().enumerate() {
            let value = end.as_ref().and_then(|epoch| epoch.get(&monitor.name));
            let value = value.filter(|value| !value.is_nan());
            if let Some(value) = value
                && best.is_none_or(|(_, known)| monitor.is_better(value, known))
            {
                best = Some((index, value));
            }
        }
        let none = || format!("no member ended with a number for `{}`", monitor.name);
        best.map(|(index, _)| index)
            .ok_or_else(|| Error::data(none()))
    }

    /// A member as a model of its own, with the weights that it has learned; its optimizer starts anew.
    ///
    /// # Errors
    ///
    /// No member of that number; memory to read the weights, a device that fails.
    pub fn member(&mut self, index: usize) -> Result<Model> {
        let mut model = self.fresh(index)?;
        if let Some((layout, slabs)) = self.learned()? {
            model.set_weights(layout.weights(&slabs, index))?;
        }
        Ok(model)
    }

    /// The mean of all members' outputs for these rows, as a row-major matrix of as many columns as there are outputs.
    ///
    /// # Errors
    ///
    /// Rows that do not fit the members; memory, a device that fails.
    pub fn predict<'a>(&mut self, rows: impl Into<Features<'a>>) -> Result<Vec<f32>> {
        let rows = rows.into();
        // One after the other the members lend one model their weights.
        let mut model = self.fresh(0)?;
        let learned = self.learned()?;
        let mut sums: Vec<f64> = Vec::new();
        for index in 0..self.model.members.len() {
            match &learned {
                Some((layout, slabs)) => model.set_weights(layout.weights(slabs, index))?,
                None => {
                    let drawn = self.fresh(index)?.weights()?;
                    let named = drawn.iter().map(|own| (own.name.as_str(), &own.values[..]));
                    model.set_weights(named)?;
                }
            }
            let predictions = model.predict(rows.borrowed())?;
            if sums.is_empty() {
                sums = reserved(Some(predictions.values.len()), "the mean predictions")?;
                sums.resize(predictions.values.len(), 0.0);
            }
            for (sum, &value) in sums.iter_mut().zip(&predictions.values) {
                *sum += f64::from(value);
            }
        }
        let count = self.model.members.len() as f64;
        Ok(sums.into_iter().map(|sum| (sum / count) as f32).collect())
    }

    /// The weights of all members, and where each one's lie; none before the first training.
    fn learned(&mut self) -> Result<Option<(MemberLayout, Vec<f32>)>> {
        let engine = &mut self.model.engine;
        if engine.unread {
            let device = engine.device.clone();
            device.block_on(engine.read())?;
        }
        let weights = engine.kept.variables.get(MemberLayout::WEIGHTS);
        let slabs = weights.and_then(|(_, slabs)| slabs.to_f32());
        Ok(self.layout.clone().zip(slabs))
    }
}

/// A network of a population by itself.
fn alone(
    architecture: &Functional,
    member: &Member,
    device: &Device,
    optimizer: &OptimizerConfig,
    objectives: &[Objective],
) -> Result<Model> {
    let own = architecture.clone().seed(member.seed);
    let optimizer = of_rate(optimizer, member);
    let mut model = own.compile_with(device, objectives.to_vec(), optimizer)?;
    model.architecture.names.learn(architecture.names.clone());
    Ok(model)
}

/// The optimizer of a member.
fn of_rate(optimizer: &OptimizerConfig, member: &Member) -> OptimizerConfig {
    let mut optimizer = optimizer.clone();
    *optimizer.learning_rate_mut() = Schedule::Constant(member.learning_rate);
    optimizer
}
