//! A compiled model: architecture, loss, optimizer, metrics, and the session that holds its weights.

use std::borrow::Cow;

use crate::data::LearnedNames;
use crate::nn::Functional;
use crate::optim::Optimizer;
use crate::session::{ElementsRef, resize_rates};
use crate::{Device, Error, Result, Session, Snapshot};

use super::engine::{Engine, Open};
use super::estimate::other_device;
use super::metric::with_whole_tallies;
use super::objective::{Objective, check_objectives, titles};
use super::programs::{Capacity, ClockStart, Extent, Member, Recipe, RowProgram};
use super::recovery::Recovery;
use super::sizes::DEFAULT_BATCH;
use super::state::RunState;

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
    /// The members of a population, side by side; none where the model is one network.
    pub(super) members: Vec<Member>,
    pub(super) engine: Engine,
    /// Optimizer steps since the model was compiled; the host's copy of the device's clock.
    pub(super) steps: u64,
    /// The steps that make one update: the parts of a batch.
    pub(super) micro: u32,
    /// Epochs since the model was compiled.
    pub(super) epochs: u64,
    /// The factor on the schedule's learning rate; none if nobody has set one.
    pub(super) rate_factor: Option<f32>,
    /// The last state of a run that lost its device for good.
    pub(super) unfinished: Option<Box<RunState>>,
}

impl Model {
    pub(super) fn new(
        mut architecture: Functional,
        device: &Device,
        mut objectives: Vec<Objective>,
        optimizer: Box<dyn Optimizer>,
    ) -> Result<Self> {
        let fitted = architecture.preprocessing.as_ref();
        architecture.names = LearnedNames {
            columns: fitted.map_or_else(Default::default, |steps| steps.columns.clone()),
            ..LearnedNames::default()
        };
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
            members: Vec::new(),
            engine: Engine::new(device),
            steps: 0,
            micro: 1,
            epochs: 0,
            rate_factor: None,
            unfinished: None,
        };
        model.recipe().try_out()?;
        Ok(model)
    }

    /// The machine it runs on.
    pub fn device(&self) -> &Device {
        &self.engine.device
    }

    /// The layers of the model.
    pub fn architecture(&self) -> &Functional {
        &self.architecture
    }

    /// A table of the layers with output shapes and parameter counts, the loss, the optimizer and the device.
    ///
    /// Where by a rule of thumb the other kind of device (the CPU session, or a GPU) would train it at least twice as fast,
    /// a last line says so, for the batch that it was trained with last, else for 32 rows. Nothing is measured for it:
    /// [`Device::fastest`] does that.
    pub fn summary(&self) -> String {
        let trained = self.engine.capacity().train;
        let batch = trained.map_or(DEFAULT_BATCH, |extent| extent.batch);
        format!(
            "{}loss {}, optimizer {}, device {}\n{}",
            self.architecture.summary(),
            titles(&self.objectives),
            self.optimizer.name(),
            self.engine.device,
            other_device(&self.architecture, &self.engine.device, batch).unwrap_or_default()
        )
    }

    /// Takes the model to another device, with its weights and the optimizer's state.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where a callback calls it, as the run's rows lie where the model is; what opening it there raises. It
    /// then stays where it is.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        self.engine.refuse_in_run("move_to")?;
        self.engine.close_lost();
        let here = self.engine.device.clone();
        here.block_on(self.count_dropped())?;
        if let Some(mut open) = self.engine.open.take() {
            let moved = here.block_on(self.moved(&mut open, device));
            self.engine.open = Some(match moved {
                Ok(moved) => moved,
                Err(error) => {
                    self.engine.open = Some(open);
                    return Err(error);
                }
            });
        }
        self.engine.device = device.clone();
        Ok(())
    }

    /// A session on `device` that holds what the open one does.
    async fn moved(&self, open: &mut Open, device: &Device) -> Result<Open> {
        let recipe = Recipe {
            target: device.target(),
            ..self.recipe()
        };
        let mut moved = Open::new(&recipe, open.capacity, device)?;
        moved.session.restore(&open.learned().await?)?;
        Ok(moved)
    }

    /// The plan that the model runs now; a plan for prediction alone before the first `fit` or `evaluate`.
    ///
    /// # Errors
    ///
    /// What opening it raises: a badly shaped layer, memory, a device that fails.
    pub fn plan(&mut self) -> Result<crate::Plan> {
        Ok(self.session_now()?.plan().clone())
    }

    /// The graph and plan that `fit` would run on a data set of `rows` rows in batches of `batch`, without opening a session.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where one of the two is 0; a badly shaped layer, limits of the device.
    pub fn inspect(&self, rows: usize, batch: usize) -> Result<(crate::Graph, crate::Plan)> {
        if rows == 0 || batch == 0 {
            return Err(Error::argument(
                "rows",
                format!("and batch must be at least 1, got {rows} and {batch}"),
            ));
        }
        let extent = Extent::new(rows, batch.min(rows));
        self.recipe().graph_and_plan(Capacity::training(extent))
    }

    /// The bytes that the model's session holds now, and the least that its plan could do with.
    ///
    /// # Errors
    ///
    /// The errors of [`plan`](Self::plan).
    pub fn bytes(&mut self) -> Result<(u64, u64)> {
        Ok(self.session_now()?.bytes())
    }

    /// Weights, optimizer states and rates as they are now, for [`Model::restore`]. How many steps and epochs the model has done
    /// is no part of it: they go on counting. [`Fit::states`](super::Fit::states) gives all of a run.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] where what the model has learned is on a device that was lost; memory, a device that fails.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        let device = self.device().clone();
        device.block_on(self.share())?;
        self.through_losses(|model| {
            let device = model.engine.device.clone();
            model.session_now()?;
            let now = match &mut model.engine.open {
                Some(open) => device.block_on(open.learned())?,
                None => Snapshot::default(),
            };
            // What the session does without, such as states that only training reads, is part of it too.
            let mut snapshot = model.engine.kept.clone();
            snapshot.variables.extend(now.variables);
            Ok(snapshot)
        })
    }

    /// Sets weights, optimizer states and rates to those of a snapshot of this model.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where the snapshot is of a model of another shape; what the device raises.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        // What a run under way needs on its device, its rows too, is not in a snapshot: the run makes it again.
        if self.engine.is_lost() && !self.engine.is_running() {
            // What it had learned is gone, and replaced now.
            self.engine.close();
            self.engine.unread = false;
        }
        let mut snapshot = snapshot.clone();
        self.learning(|model| {
            model.through_losses(|model| {
                let session = model.session_now()?;
                resize_rates(&mut snapshot, RowProgram::Train.name(), session.plan());
                if let Cow::Owned(whole) = with_whole_tallies(&snapshot, session.plan()) {
                    snapshot = whole;
                }
                session.restore(&snapshot)
            })?;
            model.engine.kept.variables.extend(snapshot.variables);
            // The rate is the run's, not the weights'.
            model.write_rate_factor()
        })
    }

    /// The learning rate of the next step: the optimizer's schedule times the factor that
    /// [`set_learning_rate`](Self::set_learning_rate) left. Steps of a run whose future was dropped are counted by the next call
    /// that changes the model.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn learning_rate(&self) -> Result<f32> {
        Ok(self.scheduled_rate() * self.rate_factor.unwrap_or(1.0))
    }

    /// Sets the learning rate of the next step; a schedule goes on from it in proportion.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where `rate` is not a finite number from 0, and where the schedule is at 0, which no factor
    /// changes; a device that fails, after a run whose future was dropped.
    pub fn set_learning_rate(&mut self, rate: f32) -> Result<()> {
        if !(rate >= 0.0 && rate.is_finite()) {
            let message = format!("must be at least 0 and finite, got {rate}");
            return Err(Error::argument("learning_rate", message));
        }
        self.settle_now()?;
        let scheduled = self.scheduled_rate();
        if scheduled == 0.0 {
            let message = format!("the schedule is at 0 in this step, which cannot become {rate}");
            return Err(Error::argument("learning_rate", message));
        }
        self.rate_factor = Some(rate / scheduled);
        self.write_rate_factor()
    }

    /// Tells a session that trains of the factor of the learning rate, or of the members' learning rates.
    pub(super) fn write_rate_factor(&mut self) -> Result<()> {
        let Some(open) = &mut self.engine.open else {
            return Ok(());
        };
        let Some(handles) = &open.handles.train else {
            return Ok(());
        };
        let own = self.members.iter().map(|member| member.learning_rate);
        let only = self.rate_factor.filter(|_| self.members.is_empty());
        let factors: Vec<f32> = own.chain(only).collect();
        handles.write_rate_factors(&mut open.session, &factors)
    }

    fn scheduled_rate(&self) -> f32 {
        let step = u32::try_from(self.steps).unwrap_or(u32::MAX);
        self.optimizer.rates().learning_rate.value(step)
    }

    /// What the programs of the model are made from.
    pub(super) fn recipe(&self) -> Recipe<'_> {
        Recipe {
            architecture: &self.architecture,
            objectives: &self.objectives,
            optimizer: self.optimizer.as_ref(),
            members: &self.members,
            target: self.engine.device.target(),
        }
    }

    /// Counts the steps of a run that was dropped on its way, which the device knows: the next one goes on after them.
    pub(super) async fn count_dropped(&mut self) -> Result<()> {
        self.fall_back();
        if let Some(counted) = self.engine.left_by_dropped().await? {
            (self.steps, self.epochs) = counted;
        }
        Ok(())
    }

    /// A session that serves `capacity`: see [`Engine::opened`].
    pub(super) async fn opened(&mut self, capacity: Capacity) -> Result<&mut Open> {
        if self.engine.loss_is_told || !self.engine.capacity().covers(&capacity) {
            // Another one is opened, whose clock begins anew.
            self.count_dropped().await?;
        }
        let device = self.engine.device.clone();
        // Not by `recipe`, which would borrow the engine.
        let recipe = Recipe {
            architecture: &self.architecture,
            objectives: &self.objectives,
            optimizer: self.optimizer.as_ref(),
            members: &self.members,
            target: device.target(),
        };
        self.engine.opened(&recipe, capacity).await
    }

    /// The same without handles.
    pub(super) async fn session(&mut self, capacity: Capacity) -> Result<&mut Session> {
        self.opened(capacity).await.map(|open| &mut open.session)
    }

    /// The open session, or one for prediction alone.
    pub(super) fn session_now(&mut self) -> Result<&mut Session> {
        let device = self.engine.device.clone();
        device.block_on(self.session(Capacity::default()))
    }

    /// Does something again on a device made again, where that is possible.
    pub(super) fn through_losses<T>(
        &mut self,
        mut what: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut tries = Recovery::default().tries;
        loop {
            match what(self) {
                Err(error) => self.engine.try_again(&mut tries, error)?,
                done => return done,
            }
        }
    }

    /// Sets the clock of a program to a place in the data.
    pub(super) async fn set_clock(
        &mut self,
        program: RowProgram,
        capacity: Capacity,
        start: &ClockStart,
    ) -> Result<()> {
        let open = self.opened(capacity).await?;
        let (session, handles) = open.program(program)?;
        session.put(handles.cursor, 0, ElementsRef::U32(&start.words()))?;
        if program == RowProgram::Train {
            // It is where the host says.
            open.uncounted = false;
        }
        Ok(())
    }
}
