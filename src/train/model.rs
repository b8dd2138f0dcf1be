//! A compiled model: architecture, loss, optimizer, metrics, and the session that holds its weights.

mod session;

use std::collections::BTreeSet;
use std::sync::Weak;

use crate::nn::Functional;
use crate::optim::{Optimizer, resize_rates};
use crate::{Device, Error, Result, Snapshot};

use super::fit::DEFAULT_BATCH;
use super::loss::Loss;
use super::metric::Metric;
use super::objective::{Compile, Objective};
use super::programs::{Needs, Parts, Room, RowProgram};
use super::run_state::RunState;

use session::carried;
pub(super) use session::{ClockStart, Open};

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
    /// Those of these steps that made one update: the parts of a batch.
    pub(super) micro: u32,
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

impl Model {
    pub(crate) fn new(
        architecture: Functional,
        device: &Device,
        loss: Loss,
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
            micro: 1,
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
                let (title, weight) = (objective.loss.to_string(), objective.weight);
                let times = if weight == 1.0 {
                    String::new()
                } else {
                    format!("{weight}·")
                };
                format!("{times}{title} of {}", objective.output)
            });
            return told.collect::<Vec<_>>().join(" + ");
        };
        only.loss.to_string()
    }

    /// Takes the model to another device, with its weights and the optimizer's state.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where a callback calls it, as the run's rows lie where the model is; what opening it there raises. It
    /// then stays where it is.
    pub fn move_to(&mut self, device: &Device) -> Result<()> {
        self.refuse_in_run("move_to")?;
        if self.is_lost() && !self.behind {
            self.leave_session();
        }
        if let Some(mut open) = self.open.take() {
            let moved = self.device.block_on(self.moved(&mut open, device));
            self.open = Some(match moved {
                Ok(moved) => moved,
                Err(error) => {
                    self.open = Some(open);
                    return Err(error);
                }
            });
        }
        self.device = device.clone();
        Ok(())
    }

    /// The plan that the model runs now; a plan for prediction alone before the first `fit` or `evaluate`.
    ///
    /// # Errors
    ///
    /// What opening it raises: a badly shaped layer, memory, a device that fails.
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
        self.parts().graph_and_plan(Needs {
            train: Some(Room::new(rows, batch.min(rows))),
            evaluate: None,
        })
    }

    /// The bytes that the model's session holds now, and the least that its plan could do with.
    ///
    /// # Errors
    ///
    /// As [`plan`](Self::plan).
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
    /// [`Error::Argument`] where the snapshot is of a model of another shape; what the device raises.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        // What a run under way needs on its device, its rows too, is not in a snapshot: the run makes it again.
        if self.is_lost() && !self.is_running() {
            // What it had learned is gone, and replaced now.
            self.leave_session();
            self.behind = false;
        }
        let mut snapshot = snapshot.clone();
        self.through_losses(|model| {
            let session = model.session_now()?;
            resize_rates(&mut snapshot, RowProgram::Train.name(), session.plan());
            session.restore(&snapshot)
        })?;
        self.carried.variables.extend(snapshot.variables);
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
            (Some(factor), Some(open)) => match &open.handles.train {
                Some(handles) => handles.write_rate_factor(&mut open.session, factor),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn scheduled_rate(&self) -> f32 {
        let step = u32::try_from(self.steps).unwrap_or(u32::MAX);
        self.optimizer.rates().learning_rate.value(step)
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            architecture: &self.architecture,
            objectives: &self.objectives,
            optimizer: self.optimizer.as_ref(),
            target: self.device.target(),
        }
    }
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
