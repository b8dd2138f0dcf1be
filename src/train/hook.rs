//! When the state of a run is taken, and who is given it.

use std::fmt;
use std::time::Duration;

use crate::edge::WallTime;
use crate::{Error, Result};

use super::state::RunState;

/// How often the state of a run is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Every {
    /// After this many steps each: batches, or their [parts](super::Fit::micro_batches).
    Steps(u64),
    /// After this many epochs each.
    Epochs(u64),
    /// When this time has gone by since the last one.
    Time(Duration),
}

impl Every {
    /// Refuses what would be never, or always.
    pub(super) fn validate(self) -> Result<()> {
        let none = match self {
            Every::Steps(count) | Every::Epochs(count) => count == 0,
            Every::Time(time) => time.is_zero(),
        };
        if none {
            return Err(Error::argument("every", "must be more than nothing"));
        }
        Ok(())
    }
}

type TakeState<'a> = Box<dyn FnMut(&RunState) -> Result<()> + Send + 'a>;

/// Is given the states of a run as it goes, and the last one.
pub(super) struct StateHook<'a> {
    pub every: Every,
    pub take: TakeState<'a>,
    /// The step of the last one.
    pub taken: Option<u64>,
    /// When it was taken.
    pub at: WallTime,
}

impl fmt::Debug for StateHook<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "every {:?}", self.every)
    }
}

impl<'a> StateHook<'a> {
    pub fn new(every: Every, take: impl FnMut(&RunState) -> Result<()> + Send + 'a) -> Self {
        StateHook {
            every,
            take: Box::new(take),
            taken: None,
            at: WallTime::now(),
        }
    }

    /// Whether the time has gone by after which what is under way should come to an end.
    pub fn is_late(&self) -> bool {
        matches!(self.every, Every::Time(time) if self.at.elapsed() >= time)
    }

    /// Whether its time has come, between two steps.
    pub fn is_due(&self, steps: u64, epochs: u64, ends_epoch: bool) -> bool {
        self.taken != Some(steps)
            && match self.every {
                Every::Steps(count) => steps.is_multiple_of(count),
                Every::Epochs(count) => ends_epoch && epochs.is_multiple_of(count),
                Every::Time(time) => self.at.elapsed() >= time,
            }
    }
}

/// Which hooks are given the state of a run.
#[derive(Clone, Copy)]
pub(super) enum Due {
    /// The hooks whose time has come; whether an epoch has just ended.
    Now { ends_epoch: bool },
    /// All hooks: the run is over.
    Last,
}
