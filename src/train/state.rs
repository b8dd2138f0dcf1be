//! The state of a run as plain data: weights, states of the optimizer, place in the data, figures. Checkpoints write it, runs
//! are continued from it, also where a device is lost.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::data::LearnedNames;
use crate::{Error, Result, Snapshot};

use super::history::History;
use super::programs::RowProgram;

/// A training run between two of its steps: model, optimizer, place in the data, figures so far, callbacks.
///
/// [`Fit::states`](super::Fit::states) hands them out, [`Fit::resume`](super::Fit::resume) goes on from one, to the bits
/// that the run would have ended in had it never stopped: in the middle of an epoch too, on the same kind of device.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// Weights, states of the optimizer, rates, counts over the epoch under way.
    pub snapshot: Snapshot,
    /// Steps of the model since it was compiled, as its clock counts them: in [parts](super::Fit::micro_batches) of batches where
    /// the run has some.
    pub model_steps: u64,
    /// Epochs of the model since it was compiled.
    pub model_epochs: u64,
    /// The factor on the schedule's learning rate that callbacks have set; none if they never did.
    pub rate_factor: Option<f32>,
    /// The rows, batches and shuffle that `seen` counts in.
    pub order: Order,
    /// Steps of the run: its batches, or their parts.
    pub steps: u64,
    /// Rows seen of the epoch under way.
    pub seen: u64,
    /// Sums of loss and metrics over the rows seen; last the rows that are part of none, where steps are skipped.
    pub sums: Vec<f64>,
    /// The names of the metrics; none in a file of before they were kept, where no epoch had ended.
    pub metrics: Vec<String>,
    /// Epochs and losses so far.
    pub history: History,
    /// Time of training so far.
    pub elapsed: Duration,
    /// The state of each callback, in the order in which they were added.
    pub callbacks: Vec<Kept>,
    /// The names of columns, categories and classes that the model knew.
    pub(crate) names: LearnedNames,
    /// The members of a [`Population`](super::Population), in order; none where the run is a model's. `history` is the first
    /// member's then, and `sums` are those of all members one after the other.
    pub(crate) members: Vec<MemberState>,
}

/// What is kept of one member of a population beside the others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemberState {
    /// Epochs and losses so far.
    pub history: History,
    /// Weights and states that the member ended with, where others went on.
    pub ended: Option<Snapshot>,
}

/// The rows of a run, how many of them are a step, and their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Rows of the data set.
    pub rows: u64,
    /// Rows of a step.
    pub batch: u64,
    /// The seed of the shuffle; none for the data's own order.
    pub shuffle: Option<u32>,
    /// Steps that make one update of the weights: the [parts](super::Fit::micro_batches) of a batch, 1 where it is whole, and in
    /// files of before this was kept.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub micro: u32,
    /// Whether the run was to have so few steps that no kernel is written for its network alone; none in files of before this was
    /// kept. Other kernels end in other bits, so who goes on keeps them, however many steps there are then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) few: Option<bool>,
}

/// The parts of a batch in files that do not tell them.
fn whole() -> u32 {
    1
}

pub(super) fn is_whole(micro: &u32) -> bool {
    *micro == whole()
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Order {
            rows,
            batch,
            shuffle,
            micro,
            few: _,
        } = self;
        write!(f, "{rows} rows in batches of {batch}")?;
        if !is_whole(micro) {
            write!(f, ", {micro} of which are an update")?;
        }
        match shuffle {
            Some(seed) => write!(f, ", shuffled by seed {seed}"),
            None => write!(f, ", in their own order"),
        }
    }
}

/// The state of a callback, for a run that goes on later: values of the callback's own, and a snapshot of the model where it
/// holds one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    pub(crate) values: serde_json::Value,
    /// A snapshot of the model, where the callback holds one.
    pub snapshot: Option<Snapshot>,
}

impl Kept {
    /// Keeps the JSON of `values`.
    ///
    /// JSON has no NaN and no infinities: keep a number that may be one as its bits.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where serde cannot tell the values.
    pub fn of(values: &impl Serialize) -> Result<Self> {
        let values = serde_json::to_value(values).map_err(|error| {
            Error::argument("callback", format!("its state cannot be kept: {error}"))
        })?;
        Ok(Kept {
            values,
            snapshot: None,
        })
    }

    /// The values that [`of`](Self::of) was given.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where they are those of another callback.
    pub fn values<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&self.values).map_err(|error| {
            let message = format!("holds the state of another callback: {error}");
            Error::argument("resume", message)
        })
    }
}

impl RunState {
    /// Takes a snapshot of the session at the state's step.
    pub(super) fn set_snapshot(&mut self, mut snapshot: Snapshot) {
        // Where the clock is, the state says by numbers that can be checked.
        snapshot.variables.remove(&RowProgram::Train.cursor());
        self.snapshot = snapshot;
    }
}
