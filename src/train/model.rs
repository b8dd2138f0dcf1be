//! A compiled model: architecture, loss, optimizer, metrics, and the session that holds its weights.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use crate::nn::Functional;
use crate::op::cursor;
use crate::optim::Optimizer;
use crate::{Device, Error, Result, Role, Session, Snapshot};

use super::evaluate::Evaluation;
use super::fit::DEFAULT_BATCH;
use super::loss::LossSpec;
use super::metric::Metric;
use super::objective::{Compile, Objective};
use super::prepare::Prepared;
use super::programs::{Needs, Parts, Room};
use super::recover::Recovery;
use super::run_state::RunState;

/// A model ready to train, evaluate and predict.
///
/// ```
/// use kiln::prelude::*;
///
/// // XOR.
/// let data = Dataset::from_rows(&[[0., 0.], [0., 1.], [1., 0.], [1., 1.]], &[[0.], [1.], [1.], [0.]])?;
/// let model = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid).seed(1);
/// let mut model = model.compile_on(&Device::cpu(), BinaryCrossentropy, Adam::new(0.05), [Accuracy])?;
/// let history = model.fit(&data, Fit::epochs(200).silent())?;
/// assert!(history.loss().last() < history.loss().first());
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    pub(super) architecture: Functional,
    /// In the order of the outputs that are trained.
    pub(crate) objectives: Vec<Objective>,
    pub(crate) optimizer: Box<dyn Optimizer>,
    device: Device,
    open: Option<Open>,
    /// Held by `fit` while it is at work, whose data lies in the open session.
    running: Weak<()>,
    /// What callbacks evaluate in meanwhile.
    aside: Option<Open>,
    /// Weights, states of layers and of the optimizer to begin the next session with: those too that the open one does
    /// without.
    pub(super) carried: Snapshot,
    /// Optimizer steps and epochs since the model was compiled; the host's copy of the device's clock.
    pub(super) steps: u64,
    pub(super) epochs: u64,
    /// What the schedule's learning rate is multiplied by; none if it never was.
    pub(super) rate_factor: Option<f32>,
    /// Whether the session has learned what `carried` does not hold.
    pub(super) behind: bool,
    /// Variables of its sessions that say where a run is, and are no part of the model.
    progress: BTreeSet<String>,
    /// The last state of a run that lost its device for good.
    pub(super) unfinished: Option<Box<RunState>>,
}

/// A session and what it was made for.
#[derive(Debug)]
struct Open {
    needs: Needs,
    session: Session,
}

impl Model {
    pub(crate) fn new(
        architecture: Functional,
        device: &Device,
        loss: LossSpec,
        optimizer: Box<dyn Optimizer>,
        metrics: Vec<Metric>,
    ) -> Result<Self> {
        architecture.validate()?;
        let objective = match &architecture.outputs[..] {
            [output] => Objective {
                metrics,
                ..Objective::new(&output.name, loss)
            },
            outputs => {
                let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
                let message = format!(
                    "of a model of several outputs, {}, are given by `compile_with`, one for each",
                    names.join(", ")
                );
                return Err(Error::argument("loss", message));
            }
        };
        let compile = Compile {
            optimizer,
            objectives: vec![objective],
        };
        Model::with(architecture, device, compile)
    }

    pub(crate) fn with(
        architecture: Functional,
        device: &Device,
        compile: Compile,
    ) -> Result<Self> {
        let Compile {
            optimizer,
            mut objectives,
        } = compile;
        architecture.validate()?;
        check_objectives(&architecture, &objectives)?;
        let place = |objective: &Objective| {
            let mut outputs = architecture.outputs.iter();
            outputs.position(|output| output.name == objective.output)
        };
        objectives.sort_by_key(place);
        optimizer.validate()?;
        let model = Model {
            architecture,
            objectives,
            optimizer,
            device: device.clone(),
            open: None,
            running: Weak::new(),
            aside: None,
            carried: Snapshot::default(),
            steps: 0,
            epochs: 0,
            rate_factor: None,
            behind: false,
            progress: BTreeSet::new(),
            unfinished: None,
        };
        model.parts().board()?;
        Ok(model)
    }

    /// The machine it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its layers.
    pub fn architecture(&self) -> &Functional {
        &self.architecture
    }

    /// A table of the layers with output shapes and parameter counts, the loss, the optimizer and the device.
    ///
    /// Where by a rule of thumb the other kind of device (the CPU session, or a GPU) would train it at least twice as fast,
    /// a last line says so, for the batch that it was trained with last, else for 32 rows. Nothing is measured for it:
    /// [`Device::fastest`] does that.
    pub fn summary(&self) -> String {
        let trained = self.open.as_ref().and_then(|open| open.needs.train);
        let batch = trained.map_or(DEFAULT_BATCH, |room| room.batch);
        format!(
            "{}loss {}, optimizer {}, device {}\n{}",
            self.architecture.summary(),
            self.losses(),
            self.optimizer.name(),
            self.device,
            self.other_device(batch).unwrap_or_default()
        )
    }

    /// The losses, with the outputs' names and weights where there are several.
    fn losses(&self) -> String {
        let [only] = &self.objectives[..] else {
            let told = self.objectives.iter().map(|objective| {
                let (title, weight) = (objective.title(), objective.weight);
                let times = if weight == 1.0 {
                    String::new()
                } else {
                    format!("{weight}·")
                };
                format!("{times}{title} of {}", objective.output)
            });
            return told.collect::<Vec<_>>().join(" + ");
        };
        only.title()
    }

    /// Takes the model to another device, with its weights and the optimizer's state.
    ///
    /// # Errors
    ///
    /// What opening it there raises; it then stays where it is.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        if let Some(mut open) = self.open.take() {
            let moved = self.device.block_on(self.moved(&mut open, device));
            self.open = Some(match moved {
                Ok(session) => Open {
                    session,
                    needs: open.needs,
                },
                Err(error) => {
                    self.open = Some(open);
                    return Err(error);
                }
            });
        }
        self.device = device.clone();
        Ok(())
    }

    /// A session on `device` that holds what the open one does.
    async fn moved(&self, open: &mut Open, device: &Device) -> Result<Session> {
        let mut parts = self.parts();
        parts.target = device.target();
        let mut session = device.open(&parts.build(open.needs)?)?;
        session.restore(&carried(&mut open.session).await?)?;
        Ok(session)
    }

    /// The plan that the model runs now; a plan for prediction alone before the first `fit` or `evaluate`.
    pub fn plan(&mut self) -> Result<crate::Plan> {
        Ok(self.session_now()?.plan().clone())
    }

    /// The graph and plan that `fit` would run on a data set of so many rows, without opening a session.
    pub fn inspect(&self, rows: usize, batch: usize) -> Result<(crate::Graph, crate::Plan)> {
        if rows == 0 || batch == 0 {
            return Err(Error::argument(
                "rows",
                format!("and batch must be at least 1, got {rows} and {batch}"),
            ));
        }
        let room = Room {
            rows,
            batch: batch.min(rows),
            weights: 0,
            skips: false,
            micro: 1,
        };
        self.parts().graph_and_plan(Needs {
            train: Some(room),
            evaluate: None,
        })
    }

    /// The bytes that the model's session holds now, and the least that its plan could do with.
    pub fn bytes(&mut self) -> Result<(u64, u64)> {
        Ok(self.session_now()?.bytes())
    }

    /// Weights, optimizer states and rates as they are now, for [`Model::restore`].
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        self.through_losses(|model| {
            let device = model.device.clone();
            let now = device.block_on(carried(model.session_now()?))?;
            // What the session does without, such as states that only training reads, is part of it too.
            let mut snapshot = model.carried.clone();
            snapshot.variables.extend(now.variables);
            Ok(snapshot)
        })
    }

    /// Sets weights, optimizer states and rates to those of a snapshot of this model.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where the snapshot is of a model of another shape.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        if self.is_lost() {
            // What it had learned is gone, and replaced now.
            self.leave_session();
            self.behind = false;
        }
        self.through_losses(|model| model.session_now()?.restore(snapshot))?;
        let all = snapshot.variables.clone();
        self.carried.variables.extend(all);
        // The rate is the run's, not the weights'.
        self.write_rate_factor()
    }

    /// The learning rate of the next step: the optimizer's schedule times the factor that
    /// [`set_learning_rate`](Self::set_learning_rate) left.
    pub fn learning_rate(&self) -> Result<f32> {
        Ok(self.scheduled_rate() * self.rate_factor.unwrap_or(1.0))
    }

    /// Sets the learning rate of the next step; a schedule goes on from it in proportion.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `rate` is not a finite number from 0, and where the schedule is at 0, which no factor
    /// changes.
    pub fn set_learning_rate(&mut self, rate: f32) -> Result<()> {
        if !(rate >= 0.0 && rate.is_finite()) {
            let message = format!("must be at least 0 and finite, got {rate}");
            return Err(Error::argument("learning_rate", message));
        }
        let scheduled = self.scheduled_rate();
        if scheduled == 0.0 {
            let message = format!("the schedule is at 0 in this step, which cannot become {rate}");
            return Err(Error::argument("learning_rate", message));
        }
        self.rate_factor = Some(rate / scheduled);
        self.write_rate_factor()
    }

    /// Tells a session that trains of the factor of the learning rate.
    pub(super) fn write_rate_factor(&mut self) -> Result<()> {
        match (self.rate_factor, &mut self.open) {
            (Some(factor), Some(open)) if open.needs.train.is_some() => {
                open.session.set_learning_rate_factor("train", factor)
            }
            _ => Ok(()),
        }
    }

    fn scheduled_rate(&self) -> f32 {
        let step = u32::try_from(self.steps).unwrap_or(u32::MAX);
        self.optimizer.rates().learning_rate.value(step)
    }

    /// The open session, if there is one.
    pub(super) fn open_session(&mut self) -> Option<&mut Session> {
        self.open.as_mut().map(|open| &mut open.session)
    }

    /// The open session, or one for prediction alone.
    pub(super) fn session_now(&mut self) -> Result<&mut Session> {
        let device = self.device.clone();
        device.block_on(self.session(Needs::default()))
    }

    /// A session that serves `needs`, weights and states carried over from the one before.
    pub(super) async fn session(&mut self, needs: Needs) -> Result<&mut Session> {
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
            let variables = session.plan().variables.iter();
            let progress = variables.filter(|variable| variable.role == Role::Progress);
            self.progress
                .extend(progress.map(|variable| variable.name.clone()));
            session.restore(&self.carried)?;
            self.open = Some(Open { needs, session });
        }
        match &mut self.open {
            Some(open) => Ok(&mut open.session),
            None => Err(Error::Device {
                message: "the session could not be opened".into(),
            }),
        }
    }

    /// What the open session serves.
    pub(super) fn open_needs(&self) -> Needs {
        self.open
            .as_ref()
            .map_or(Needs::default(), |open| open.needs)
    }

    /// Bytes that the device's budget leaves a session in place of the open one; none without a budget.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let budget = self.device.budget()?;
        let own = self.open.as_ref().map_or(0, |open| open.session.bytes().0);
        let others = self.device.counters().bytes.saturating_sub(own);
        Some(budget.saturating_sub(others))
    }

    /// Notes on the host what the open session has learned.
    pub(super) async fn carry(&mut self) -> Result<()> {
        if let Some(open) = &mut self.open {
            let now = carried(&mut open.session).await?;
            self.carried.variables.extend(now.variables);
        }
        self.behind = false;
        Ok(())
    }

    /// Whether its session is on a device that is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.session.is_lost())
    }

    /// Whether there is no session that answers.
    pub(super) fn has_no_session(&self) -> bool {
        self.open.is_none() || self.is_lost()
    }

    /// Bytes that the open session holds.
    pub(super) fn open_bytes(&self) -> u64 {
        let open = self.open.as_ref();
        open.map_or(0, |open| open.session.bytes().0)
    }

    /// Closes the open session.
    pub(super) fn leave_session(&mut self) {
        self.open = None;
        self.aside = None;
    }

    /// Until what is returned is dropped, with the future of a run or in a panic too, the open session holds a run's data.
    pub(super) fn begin_run(&mut self) -> Result<Arc<()>> {
        if self.is_running() {
            let message = "is called by a callback while a run of this model is under way; evaluate and predict may be";
            return Err(Error::argument("fit", message));
        }
        let run = Arc::new(());
        (self.running, self.aside) = (Arc::downgrade(&run), None);
        Ok(run)
    }

    /// The run is over.
    pub(super) fn end_run(&mut self, run: Arc<()>) {
        drop(run);
        self.aside = None;
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.strong_count() > 0
    }

    /// Evaluates while a run is under way, with the weights as they are now: in a session of its own, so that the run's data
    /// and what it has under way stay as they are.
    pub(super) async fn evaluate_aside(&mut self, data: &Prepared<'_>) -> Result<Evaluation> {
        let Some(open) = &mut self.open else {
            return self.evaluate_prepared(data, None).await;
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
    pub(super) fn is_progress(&self, variable: &str) -> bool {
        self.progress.contains(variable)
    }

    /// Does something again on a device made again, where that is possible.
    pub(super) fn through_losses<T>(
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
    pub(super) fn evaluation_batch(&self) -> Option<usize> {
        let room = self.open.as_ref().and_then(|open| open.needs.evaluate);
        room.map(|room| room.batch)
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            architecture: &self.architecture,
            objectives: &self.objectives,
            optimizer: self.optimizer.as_ref(),
            target: self.device.target(),
        }
    }

    /// Sets a clock to a place in the data.
    pub(super) async fn set_clock(
        &mut self,
        name: &str,
        needs: Needs,
        start: ClockStart,
    ) -> Result<()> {
        self.session(needs)
            .await?
            .write_labels(&format!("{name}.cursor"), &start.words())
    }
}

/// Where a clock begins: see [`Model::set_clock`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ClockStart {
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
async fn carried(session: &mut Session) -> Result<Snapshot> {
    session.snapshot_async(|role| role == Role::State).await
}

/// Refuses objectives that the outputs do not have, twice or not at all, and settings out of range.
fn check_objectives(architecture: &Functional, objectives: &[Objective]) -> Result<()> {
    if objectives.is_empty() {
        let message = "must be given for at least one output";
        return Err(Error::argument("objectives", message));
    }
    for (index, objective) in objectives.iter().enumerate() {
        objective.validate()?;
        let name = &objective.output;
        let mut outputs = architecture.outputs.iter();
        if !outputs.any(|output| output.name == *name) {
            return Err(Error::NotFound {
                what: "output",
                name: name.clone(),
                known: architecture
                    .outputs
                    .iter()
                    .map(|o| o.name.clone())
                    .collect(),
            });
        }
        if objectives[..index]
            .iter()
            .any(|other| other.output == *name)
        {
            let message = format!("name the output `{name}` twice");
            return Err(Error::argument("objectives", message));
        }
    }
    Ok(())
}
