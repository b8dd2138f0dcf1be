//! `Fit`: how a model is trained.

use std::path::PathBuf;
use std::time::Duration;

use crate::data::LearnedNames;
use crate::{Dataset, Error, Result};

use super::callback::{Callback, Callbacks, at_least_one};
use super::checkpoints::{Checkpoints, Newest};
use super::hook::{Every, StateHook};
use super::interrupt::Interrupt;
use super::micro::Micro;
use super::non_finite::NonFinite;
use super::progress::Verbose;
use super::recovery::Recovery;
use super::sizes::DEFAULT_BATCH;
use super::state::RunState;

/// How a model is trained.
///
/// ```
/// use kiln::prelude::*;
///
/// let fit = Fit::epochs(10).batch_size(32).validation_split(0.2);
/// ```
#[derive(Debug)]
pub struct Fit<'a> {
    pub(super) epochs: u64,
    pub(super) steps: Option<u64>,
    pub(super) target_loss: Option<f64>,
    pub(super) batch_size: usize,
    pub(super) shuffle: bool,
    pub(super) seed: Option<u32>,
    pub(super) validation_split: f64,
    pub(super) validation: Option<&'a Dataset>,
    pub(super) class_weight: Vec<(u32, f32)>,
    pub(super) verbose: Verbose,
    pub(super) callbacks: Callbacks<'a>,
    pub(super) interrupt: Option<Interrupt>,
    pub(super) hooks: Vec<StateHook<'a>>,
    pub(super) checkpoints: Vec<Checkpoints>,
    pub(super) resume: Option<Resume>,
    pub(super) chunk_rows: Option<usize>,
    pub(super) steps_per_epoch: Option<u64>,
    pub(super) non_finite: NonFinite,
    pub(super) recovery: Recovery,
    pub(super) micro: Option<Micro>,
    pub(super) slice: Option<Duration>,
    /// Whether it is a step on a batch of a loop of somebody's own.
    pub(super) one_batch: bool,
}

/// The state that a run goes on from, or where its file is.
#[derive(Debug)]
pub(super) enum Resume {
    State(Box<Resumed>),
    Path(PathBuf),
}

/// The state that a run goes on from, and the file that it was read from.
#[derive(Debug)]
pub(super) struct Resumed {
    pub state: RunState,
    pub path: Option<PathBuf>,
}

impl Resume {
    /// The state; none where there is no checkpoint yet.
    pub(super) fn state(self) -> Result<Option<Resumed>> {
        let newest = match self {
            Resume::State(resumed) => return Ok(Some(*resumed)),
            Resume::Path(path) if path.is_file() => Some(Newest {
                state: RunState::load(&path)?,
                path,
                passed_over: Vec::new(),
            }),
            Resume::Path(folder) => Checkpoints::newest(folder)?,
        };
        Ok(newest.map(Newest::resumed))
    }
}

impl<'a> Fit<'a> {
    /// Reads the state that the run goes on from, where it is in a file: the names that it knows.
    pub(super) fn resumed_names(&mut self) -> Result<Option<LearnedNames>> {
        let Some(resume) = self.resume.take() else {
            return Ok(None);
        };
        let resumed = resume.state()?;
        let names = resumed.as_ref().map(|resumed| resumed.state.names.clone());
        self.resume = resumed.map(|resumed| Resume::State(Box::new(resumed)));
        Ok(names)
    }

    /// Trains for at most this many passes over the data, at least 1.
    pub fn epochs(epochs: u64) -> Self {
        Fit {
            epochs,
            steps: None,
            target_loss: None,
            batch_size: DEFAULT_BATCH,
            shuffle: true,
            seed: None,
            validation_split: 0.0,
            validation: None,
            class_weight: Vec::new(),
            verbose: Verbose::Auto,
            callbacks: Callbacks::default(),
            interrupt: None,
            hooks: Vec::new(),
            checkpoints: Vec::new(),
            resume: None,
            chunk_rows: None,
            steps_per_epoch: None,
            non_finite: NonFinite::Stop,
            recovery: Recovery::default(),
            micro: None,
            slice: None,
            one_batch: false,
        }
    }

    /// A step of a loop that is not ours.
    pub(super) fn on_one_batch(mut self) -> Self {
        self.one_batch = true;
        self
    }

    /// Trains for at most this many optimizer steps, at least 1, however many epochs they are.
    pub fn steps(steps: u64) -> Self {
        Fit {
            steps: Some(steps),
            ..Self::epochs(u64::MAX)
        }
    }

    /// Stops after this many optimizer steps at the latest, at least 1; default: as many as the epochs have. With
    /// [`micro_batches`](Self::micro_batches) a step is a whole batch, all of its parts.
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Stops after the first epoch whose mean loss is at most this, a number other than NaN; default: whatever the loss.
    pub fn until_loss(mut self, threshold: f64) -> Self {
        self.target_loss = Some(threshold);
        self
    }

    /// Rows of a step, at least 1; default 32. As many as the data has where those are fewer, and at most 65 536 then; from an
    /// iterator at most 65 536. The last batch of an epoch may be smaller and is averaged over its own rows.
    ///
    /// A model keeps its session from run to run. Batches of another size than before, and more rows than before, open another,
    /// which on a GPU compiles kernels and takes memory anew: tenths of a second, once for each change.
    /// [`train_on_batch`](super::Model::train_on_batch) takes smaller batches in the same one.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.batch_size = rows;
        self
    }

    /// Brings the rows to the device in parts of about this many, the next one while this one trains, in place of all at once;
    /// rounded to whole batches, and to less where two parts do not fit.
    ///
    /// By default a data set is resident where it has room, within the [budget](crate::Options) if there is one, and comes in
    /// parts as large as possible where it has not; so do the rows to validate on, in batches of their own. The results are the
    /// same bits. Batches from an iterator always come in
    /// parts: by default of 32 batches, or as large as the pieces that the iterator gives.
    pub fn chunk_rows(mut self, rows: usize) -> Self {
        self.chunk_rows = Some(rows);
        self
    }

    /// How many steps are an epoch, where batches come from an iterator; by default all that it gives are one.
    pub fn steps_per_epoch(mut self, steps: u64) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// Whether each epoch takes the rows in another random order; default true. The order follows from the seed.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Sets the seed of the shuffle; default: the model's.
    pub fn seed(mut self, seed: u32) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Keeps the last share of the rows, in [0, 1), out of training and measures the model on it after every epoch; default 0,
    /// which measures nothing. A share that leaves no row to train or to validate on is refused, and so is one beside
    /// [`validation`](Self::validation) or of batches from an iterator.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation_split = share;
        self
    }

    /// Measures the model on this data after every epoch; default: on none. Not beside a
    /// [`validation_split`](Self::validation_split).
    pub fn validation(mut self, data: &'a Dataset) -> Self {
        self.validation = Some(data);
        self
    }

    /// Multiplies the loss of the rows of each class by the class's weight, as Keras' `class_weight`; classes that are not
    /// named weigh 1, and validation looks at no weights of classes.
    ///
    /// The class of a row is its label, the place of the largest of its target's columns, or the 0 or 1 of a single one: by the
    /// model's numbers ([`Model::class_names`](super::Model::class_names)) where a data set with names counts its classes in
    /// another order.
    /// The loss of a batch is Σ w·l over its number of rows, as in Keras; PyTorch divides by Σ w.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (u32, f32)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// What is said of the epochs on standard error; default [`Verbose::Auto`]: a progress bar in a terminal, elsewhere a line an
    /// epoch. A [`Population`](super::Population) says nothing.
    pub fn verbose(mut self, verbose: Verbose) -> Self {
        self.verbose = verbose;
        self
    }

    /// Says nothing: [`Verbose::Silent`].
    pub fn silent(self) -> Self {
        self.verbose(Verbose::Silent)
    }

    /// Adds a callback, called after those that were added before: logs, files, stop rules, learning rates. One that is lent
    /// (`&mut`) can be read when the run is over.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.0.push(Box::new(callback));
        self
    }

    /// Ends the run after the steps that are under way when the interrupt is raised; the history says so.
    pub fn interrupt(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = Some(interrupt.clone());
        self
    }

    /// Gives the state of the run to `take` as often as `every` says, after callbacks, and when the run is over: what
    /// [`resume`](Self::resume) goes on from. The device waits while it is read.
    pub fn states(
        mut self,
        every: Every,
        take: impl FnMut(&RunState) -> Result<()> + Send + 'a,
    ) -> Self {
        self.hooks.push(StateHook::new(every, take));
        self
    }

    /// Goes on with a run from this state, to the bits that it would have ended in had it never stopped.
    ///
    /// Model, metrics, data, whether it validates, batch size and its parts, seed and callbacks are those of the run, or it is
    /// refused; rows from an iterator begin where the run stopped ([`Model::fit_batches`](super::Model::fit_batches)). Epochs and steps count from its beginning, so that
    /// the same settings end it where they would have. A run that a stop rule had ended is over, unless
    /// [`History::stop`](super::History::stop) of the state says otherwise. One that is made longer keeps the kernels that it began
    /// with, which on an adapter that compiles slowly are others for a few hundred steps than for many.
    pub fn resume(mut self, state: RunState) -> Self {
        let path = None;
        self.resume = Some(Resume::State(Box::new(Resumed { state, path })));
        self
    }

    /// Writes the state of the run to files as it goes: see [`Checkpoints`].
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints.push(checkpoints);
        self
    }

    /// Goes on, as [`resume`](Self::resume) does, from a checkpoint's file or from the newest one in a folder whose
    /// checksums are right; [`History::notes`](super::History::notes) and an event tell which it was, and what was damaged.
    ///
    /// From a folder that is not there, or without checkpoints, the run begins anew: a program that is started again by the
    /// same lines goes on where it was. Where all of a folder's checkpoints are damaged the run is refused.
    pub fn resume_from(mut self, path: impl Into<PathBuf>) -> Self {
        self.resume = Some(Resume::Path(path.into()));
        self
    }

    /// What is done about a loss or gradients that are NaN or infinite; default: [`NonFinite::Stop`], the run stops with an error
    /// that names the op which made the first such number. [`NonFinite::Skip`] is refused with an optimizer that adds up the
    /// gradients of several batches, and with [`micro_batches`](Self::micro_batches).
    pub fn on_non_finite(mut self, policy: NonFinite) -> Self {
        self.non_finite = policy;
        self
    }

    /// Computes each batch in this many parts, whose gradients are collected for one update: the memory of a smaller batch, and the
    /// result of the whole one but for rounding.
    ///
    /// Layers and losses that look at a whole batch see a part: batch normalisation, the mean of a loss with an ignored class,
    /// `Dice` and `Tversky`. They come to what batches of a part's size come to with
    /// [`gradient_accumulation_steps`](crate::optim::Common::gradient_accumulation_steps).
    ///
    /// Losses and steps of the history, and what callbacks, states and checkpoints count, are those of the parts; what
    /// [`max_steps`](Self::max_steps) is given is whole batches. The parts must divide the batch, and
    /// the batch the rows.
    pub fn micro_batches(mut self, parts: u32) -> Self {
        self.micro = Some(Micro::Count(parts));
        self
    }

    /// Splits batches as [`micro_batches`](Self::micro_batches) does, into as few parts as find room in the device's memory or
    /// budget, and not at all where neither is known. A run that goes on keeps the parts it had.
    pub fn micro_batches_to_fit(mut self) -> Self {
        self.micro = Some(Micro::Fitting);
        self
    }

    /// Sets what happens when the device is lost: by default the run makes it again and ends in the same bits, up to three
    /// times.
    pub fn recovery(mut self, recovery: Recovery) -> Self {
        self.recovery = recovery;
        self
    }

    /// Sets how long a poll of [`Model::fit_async`](super::Model::fit_async) works before it gives the thread back; default: 2 ms,
    /// and no limit where the thread blocks on the run. Results are the same bits for any.
    pub fn slice(mut self, slice: Duration) -> Self {
        self.slice = Some(slice);
        self
    }

    /// Whether a setting is one that populations do not take.
    pub(super) fn exceeds_populations(&self) -> bool {
        !self.class_weight.is_empty()
            || !self.callbacks.0.is_empty()
            || self.checkpoints.iter().any(|own| own.best.is_some())
            || self.non_finite == NonFinite::Skip
            || self.micro.is_some()
            || self.chunk_rows.is_some()
            || self.steps_per_epoch.is_some()
    }

    /// The rows to train on and those to validate on, where a share of them is asked for: the last ones, before any shuffle,
    /// as in Keras.
    pub(super) fn split(&self, data: &Dataset) -> Result<Option<(Dataset, Dataset)>> {
        if self.validation_split <= 0.0 {
            return Ok(None);
        }
        let kept = (data.rows() as f64 * (1.0 - self.validation_split)) as usize;
        if kept == 0 || kept == data.rows() {
            return Err(Error::argument(
                "validation_split",
                format!(
                    "{} of {} rows leaves training or validation empty",
                    self.validation_split,
                    data.rows()
                ),
            ));
        }
        data.split_at(kept).map(Some)
    }

    /// The seed of the order of the data for a model of that seed; none for the data's own order.
    pub(super) fn order(&self, model_seed: u64) -> Option<u32> {
        let seed = self
            .seed
            .unwrap_or((model_seed ^ (model_seed >> 32)) as u32);
        self.shuffle.then_some(seed)
    }

    pub(super) fn validate(&self) -> Result<()> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("steps", self.steps.unwrap_or(1))?;
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("chunk_rows", self.chunk_rows.unwrap_or(1) as u64)?;
        at_least_one("steps_per_epoch", self.steps_per_epoch.unwrap_or(1))?;
        if !(0.0..1.0).contains(&self.validation_split) {
            let message = format!(
                "must be at least 0 and below 1, got {}",
                self.validation_split
            );
            return Err(Error::argument("validation_split", message));
        }
        if self.validation_split > 0.0 && self.validation.is_some() {
            return Err(Error::argument(
                "validation",
                "give either a split or a data set, not both",
            ));
        }
        if self.target_loss.is_some_and(f64::is_nan) {
            return Err(Error::argument("until_loss", "must be a number, got NaN"));
        }
        if let Some(Micro::Count(count)) = self.micro {
            at_least_one("micro_batches", count.into())?;
        }
        let hooks = self.hooks.iter();
        hooks.map(|hook| hook.every).try_for_each(Every::validate)
    }
}
