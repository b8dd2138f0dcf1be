//! Many small networks of one shape, trained side by side in the same dispatches: ensembles, sweeps, populations.

use std::time::Instant;

use crate::data::check::room;
use crate::nn::{Functional, Parameter};
use crate::op::{Layer, Network, RATES, cursor};
use crate::optim::{OptimizerConfig, Schedule};
use crate::plan::{Class, Plan, Program, Target};
use crate::{Dataset, Device, Error, Graph, Initial, Result, Role, Session, TensorType};

use super::features::Features;
use super::fit::Fit;
use super::history::{Epoch, History, Stop};
use super::interrupt::Interrupt;
use super::ledger::{Ledger, Means};
use super::loss::LossSpec;
use super::metric::{Board, Metric};
use super::model::Model;
use super::prepare::Prepared;
use super::programs::{Needs, Room};
use super::submissions::{Answer, Submissions};

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
/// workgroup can be members: up to some 700 parameters on a GPU, 4096 on the CPU session; the error says what is too
/// large.
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
    loss: LossSpec,
    optimizer: OptimizerConfig,
    metrics: Vec<Metric>,
    open: Option<Open>,
    /// Steps that every member has done.
    steps: u64,
    /// Epochs begun, each with an order of its own: one that a run ends within is not gone on with, as in a [`Model`].
    epochs: u64,
}

/// A run under way.
struct Run<'a> {
    fit: Fit<'a>,
    validation: Option<&'a Dataset>,
    begun: Instant,
    per_epoch: u64,
    total: u64,
    ledgers: Vec<Ledger>,
    histories: Vec<History>,
    /// What members that have ended keep.
    ended: Vec<Option<Numbers>>,
    submitted: u64,
}

#[derive(Debug)]
struct Open {
    room: Room,
    network: Network,
    /// Elements of a member's slab of parameters.
    slab: usize,
    /// The slabs' names: parameters, then states.
    slabs: Vec<String>,
    session: Session,
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
        loss: impl Into<LossSpec>,
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
            self.loss,
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
    /// [`Model::fit`] does. A call that fails keeps what the members had come to. A member whose loss becomes NaN does not stop the
    /// others: its history says so.
    ///
    /// # Errors
    ///
    /// Networks that do not fit a workgroup, settings of `fit` that a population does not take (weights of classes, callbacks,
    /// checkpoints, skipped steps), data that does not fit the model, a device that fails.
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
                "a population takes epochs, steps, a target loss, validation, batch size, shuffle, seed and an interrupt only",
            ));
        }
        let parts = fit.split(data)?;
        let (data, validation) = match &parts {
            Some((train, validation)) => (train, Some(validation)),
            None => (data, fit.validation),
        };
        let model = self.fresh(0)?;
        // What does not fit is refused here, before any work.
        validation.map(|data| model.prepare(data)).transpose()?;
        let data = model.prepare(data)?;
        if data.weights.is_some() {
            let message = "a population trains on rows that weigh the same; these have weights";
            return Err(Error::data(message));
        }
        let room = Room {
            rows: data.rows,
            batch: fit.batch_size.min(data.rows),
            weights: 0,
            skips: false,
            micro: 1,
        };
        self.open(&model, room, &data)?;
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
        let before = self.device.counters();
        let mut run = Run {
            fit,
            validation,
            begun,
            per_epoch,
            total,
            ledgers,
            histories: vec![History::new(stop); count],
            ended: vec![None; count],
            submitted: 0,
        };
        let mut outcome = self.train(&mut run, &gauges, room.rows).await;
        // A run that fails has moved the members too.
        self.steps += run.submitted;
        self.epochs += run.submitted.div_ceil(per_epoch);
        if let Some(open) = &mut self.open {
            outcome = outcome.and(open.put_back(&run.ended).await);
        }
        outcome?;
        for history in &mut run.histories {
            history.counters = self.device.counters().since(&before);
        }
        Ok(run.histories)
    }

    /// Runs the steps of a run.
    async fn train(&mut self, run: &mut Run<'_>, gauges: &Board, rows: usize) -> Result<()> {
        let (first, count) = (self.steps, self.members.len());
        // One after the other, the members lend it their weights.
        let mut judge = self.fresh(0)?;
        let Some(open) = &mut self.open else {
            return Err(Error::argument(
                "population",
                "the session could not be opened",
            ));
        };
        start(open, &self.members, &run.fit, (first, self.epochs), rows)?;
        let mut submissions = Submissions::new(
            "train",
            gauges,
            run.per_epoch,
            &self.device,
            &mut open.session,
        )?;
        let mut epoch_begun = Instant::now();
        let mut first_step = None;
        let waits = run.validation.is_some() || run.fit.target_loss.is_some();
        let mut done = 0;
        while done < run.total && run.ended.iter().any(Option::is_none) {
            let next_epoch = (done / run.per_epoch + 1).saturating_mul(run.per_epoch);
            let until = match waits {
                true => next_epoch.min(run.total),
                false => run.total,
            };
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
            let first_step = *first_step.get_or_insert_with(|| run.begun.elapsed());
            let (steps, ring) = sums.unwrap_or_default();
            let ring_len = (ring.len() / count).max(1);
            for (ledger, ring) in run.ledgers.iter_mut().zip(ring.chunks_exact(ring_len)) {
                ledger.hold(ring.to_vec());
            }
            for step in steps {
                done += 1;
                let last = done == run.total;
                let mut ends = false;
                let members = run.histories.iter_mut().zip(&mut run.ledgers);
                for ((history, ledger), ended) in members.zip(&run.ended) {
                    let (loss, means) = ledger.absorb(first + step);
                    if ended.is_some() {
                        continue;
                    }
                    history.first_step = first_step;
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
                if let Some(validation) = run.validation {
                    let slabs = open.session.read_async(&open.slabs[0]).await?;
                    let places = open.places(&self.architecture);
                    for (index, history) in run.histories.iter_mut().enumerate() {
                        let Some(epoch) = history.epochs.last_mut() else {
                            continue;
                        };
                        if run.ended[index].is_none() {
                            judge.set_weights(weights(&slabs, &places, index, open.slab))?;
                            let measured = judge.evaluate_async(validation).await?;
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
        }
        Ok(())
    }

    /// Opens a session for `room`, with what the members have learned so far.
    fn open(&mut self, model: &Model, room: Room, data: &Prepared<'_>) -> Result<()> {
        if self.open.as_ref().is_none_or(|open| open.room != room) {
            let (network, single) = self.network(model, room)?;
            let mut carried = Vec::new();
            if let Some(open) = &mut self.open {
                let names: Vec<String> = open.trained().map(ToString::to_string).collect();
                for name in names {
                    let values = open.session.read(&name)?;
                    carried.push((name, values));
                }
            }
            let target = self.target();
            let count = self.members.len();
            let mut open = build(&self.device, &target, network, &single, count, room)?;
            if carried.is_empty() {
                open.first_weights(&self.members, &self.architecture)?;
            }
            for (name, values) in &carried {
                open.session.write(name, values)?;
            }
            self.open = Some(open);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.session.write("train.x", &data.features)?;
        match (&data.values, &data.labels) {
            (Some(values), _) => open.session.write("train.y", values),
            (_, Some(labels)) => open.session.write_labels("train.y", labels),
            _ => Ok(()),
        }
    }

    /// The step of one member, from the plan of a model, with the types of its operands.
    fn network(&self, model: &Model, room: Room) -> Result<(Network, Vec<TensorType>)> {
        // The CPU session's own plans keep the calls of larger networks apart; it runs the others as well.
        let target = self.target();
        let needs = Needs {
            train: Some(room),
            evaluate: None,
        };
        let mut parts = model.parts();
        parts.target = &target;
        let plan = parts.build(needs)?;
        let train = plan.program("train")?;
        let [call] = &train.calls[..] else {
            return Err(Error::argument(
                "architecture",
                format!("is too large for a population: {}", train.notes.join("; ")),
            ));
        };
        match call.op.downcast::<Network>() {
            Some(network) => Ok((network.clone(), call.signature.inputs.clone())),
            None => Err(Error::argument(
                "architecture",
                "does not train in one call, which a population needs",
            )),
        }
    }

    fn target(&self) -> Target {
        let own = self.device.target().clone();
        match own.class {
            Class::Cpu => Target {
                class: Class::Gpu,
                ..own
            },
            _ => own,
        }
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
        if let Some(open) = &mut self.open {
            let slabs = open.session.read(&open.slabs[0])?;
            let places = open.places(&self.architecture);
            model.set_weights(weights(&slabs, &places, index, open.slab))?;
        }
        Ok(model)
    }

    /// The mean of all members' outputs for these rows, as a row-major matrix of as many columns as there are outputs.
    pub fn predict<'a>(&mut self, rows: impl Into<Features<'a>>) -> Result<Vec<f32>> {
        let rows: Vec<f32> = rows.into().0.to_vec();
        let mut sums: Vec<f64> = Vec::new();
        for index in 0..self.members.len() {
            let predictions = self.member(index)?.predict(&rows[..])?;
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
}

/// A member's parts of the slabs and of the rates, by the name of the variable.
type Numbers = Vec<(String, Vec<f32>)>;

/// Where a parameter lies in its member's slab: its name, the first element, and how many there are.
type ParameterPlace = (String, usize, usize);

/// A member's weights in the slabs of all, for [`Model::set_weights`].
fn weights<'a>(
    slabs: &'a [f32],
    places: &'a [ParameterPlace],
    index: usize,
    len: usize,
) -> impl Iterator<Item = (&'a str, &'a [f32])> {
    let slab = &slabs[index * len..(index + 1) * len];
    let weight = |(name, at, len): &'a ParameterPlace| (name.as_str(), &slab[*at..at + len]);
    places.iter().map(weight)
}

fn room_for(len: usize) -> Result<Vec<f64>> {
    let mut values = room(Some(len), "the mean predictions")?;
    values.resize(len, 0.0);
    Ok(values)
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

/// The session of `count` networks beside each other.
fn build(
    device: &Device,
    target: &Target,
    network: Network,
    single: &[TensorType],
    count: usize,
    room: Room,
) -> Result<Open> {
    let network = Network {
        members: count,
        own_rates: true,
        ..network
    };
    let states = network.states();
    let graph = Graph::new();
    let stacked = |kind: &TensorType| match count {
        1 => kind.clone(),
        _ => TensorType {
            shape: [&[count], kind.shape.dims()].concat().into(),
            dtype: kind.dtype,
        },
    };
    let slabs: Vec<String> = ["weights", "state.0", "state.1"][..=states]
        .iter()
        .map(ToString::to_string)
        .collect();
    let names = ["train.rates", "train.ring"]
        .into_iter()
        .chain(slabs.iter().map(String::as_str))
        .chain(["train.cursor"]);
    let mut operands: Vec<_> = names
        .zip(single)
        .map(|(name, kind)| {
            let role = match name {
                "train.ring" => Role::Scratch,
                "train.cursor" => Role::Progress,
                _ => Role::State,
            };
            graph.variable_as(role, name, stacked(kind), Initial::Zeros)
        })
        .collect();
    for (name, kind) in ["train.x", "train.y"]
        .into_iter()
        .zip(&single[4 + states..])
    {
        operands.push(graph.variable_as(Role::Data, name, kind.clone(), Initial::Zeros));
    }
    let slab = single[2].elements() as usize;
    let step = graph.apply_one(network.clone(), &operands.iter().collect::<Vec<_>>());
    let plan: Plan = graph.compile(target, [Program::new("train").update([&step])])?;
    Ok(Open {
        room,
        network,
        slab,
        slabs,
        session: device.open(&plan)?,
    })
}

/// Sets every member's clock: its step and epoch, its order, its learning rate.
fn start(
    open: &mut Open,
    members: &[Member],
    fit: &Fit<'_>,
    (step, epoch): (u64, u64),
    rows: usize,
) -> Result<()> {
    let mut cursors = Vec::new();
    let mut rates = open.session.read("train.rates")?;
    for (member, rates) in members.iter().zip(rates.chunks_exact_mut(RATES)) {
        let mut words = vec![0; cursor::WORDS];
        words[cursor::STEP] = u32::try_from(step).unwrap_or(u32::MAX);
        words[cursor::EPOCH] = u32::try_from(epoch).unwrap_or(u32::MAX);
        words[cursor::DATA_ROWS] = u32::try_from(rows).unwrap_or(u32::MAX);
        if let Some(seed) = fit.order(member.seed) {
            (words[cursor::SHUFFLE], words[cursor::SEED]) = (1, seed);
        }
        cursors.extend(words);
        rates[3] = member.learning_rate;
    }
    open.session.write_labels("train.cursor", &cursors)?;
    open.session.write("train.rates", &rates)
}

impl Open {
    /// Name, place in the slab and length of every parameter of a member.
    fn places(&self, architecture: &Functional) -> Vec<ParameterPlace> {
        let at = |layer: &Layer| [Some(layer.kernel), layer.bias];
        let starts = self.network.layers.iter().flat_map(at).flatten();
        let parameters = architecture.parameters();
        let place = |(parameter, start): (Parameter, usize)| {
            let len = parameter.elements();
            (parameter.name, start, len)
        };
        parameters.zip(starts).map(place).collect()
    }

    /// The variables that change as members train.
    fn trained(&self) -> impl Iterator<Item = &str> {
        self.slabs.iter().map(String::as_str).chain(["train.rates"])
    }

    /// What one of `count` members has come to.
    async fn numbers(&mut self, index: usize, count: usize) -> Result<Numbers> {
        let names: Vec<String> = self.trained().map(ToString::to_string).collect();
        let mut numbers = Vec::new();
        for name in names {
            let all = self.session.read_async(&name).await?;
            let len = all.len() / count;
            numbers.push((name, all[index * len..(index + 1) * len].to_vec()));
        }
        Ok(numbers)
    }

    /// Sets members back to what they had come to.
    async fn put_back(&mut self, members: &[Option<Numbers>]) -> Result<()> {
        if members.iter().all(Option::is_none) {
            return Ok(());
        }
        let names: Vec<String> = self.trained().map(ToString::to_string).collect();
        for (number, name) in names.iter().enumerate() {
            let mut all = self.session.read_async(name).await?;
            let len = all.len() / members.len();
            for (own, kept) in all.chunks_exact_mut(len).zip(members) {
                if let Some(kept) = kept {
                    own.copy_from_slice(&kept[number].1);
                }
            }
            self.session.write(name, &all)?;
        }
        Ok(())
    }

    /// Draws every member's weights as a model of its seed does.
    fn first_weights(&mut self, members: &[Member], architecture: &Functional) -> Result<()> {
        let places = self.places(architecture);
        let mut slabs: Vec<f32> = room(self.slab.checked_mul(members.len()), "the weights")?;
        slabs.resize(self.slab * members.len(), 0.0);
        for (member, slab) in members.iter().zip(slabs.chunks_exact_mut(self.slab)) {
            let own = architecture.clone().seed(member.seed);
            let drawn = own.drawn();
            for ((_, at, len), values) in places.iter().zip(drawn) {
                slab[*at..at + len].copy_from_slice(&values);
            }
        }
        self.session.write(&self.slabs[0], &slabs)
    }
}
