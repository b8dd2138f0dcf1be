//! A training run: of one network, or of the members of a population side by side.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Run`] |
//! | `setup` | how a run is made of a `Fit` |
//! | `train` | the loop over its steps |
//! | `epochs` | what is done at the end of an epoch |
//! | `validation` | measuring between epochs |
//! | `resume` | states taken and taken up |
//! | `keeper` | states kept in memory as the run goes |
//! | `recover` | going on after the loss of the device |
//! | `replay` | finding the op that made a number that is not finite |

mod epochs;
mod keeper;
mod recover;
mod replay;
mod resume;
mod setup;
mod train;
mod validation;

use std::time::Duration;

use crate::Snapshot;
use crate::edge::WallTime;
use crate::gpu::Counters;

use super::fit::Fit;
use super::history::{History, Stop};
use super::metric::ModelMetrics;
use super::programs::ClockStart;
use super::progress::Progress;
use super::state::Order;
use super::steps::RowPass;

use keeper::Keeper;
pub(super) use setup::fit_on;
pub(super) use validation::{Validation, Validator};

struct Run<'a> {
    pass: RowPass<'a>,
    /// What is reported of each member of a population; of the only network where there is none.
    members: Vec<MemberRun>,
    /// Steps and epochs that the model had done before the run.
    first_step: u64,
    first_epoch: u64,
    /// What epochs report, the same for all of them.
    metrics: ModelMetrics,
    order: Order,
    /// The seed of each member's shuffle; none for the data's own order.
    shuffles: Vec<Option<u32>>,
    fit: Fit<'a>,
    keeper: Keeper,
    validation: Option<Validation<'a>>,
    progress: Progress,
    begun: WallTime,
    /// What the device had counted before the first attempt, so that steps repeated after a lost device count too.
    counted: Option<Counters>,
    /// Time that the run had taken before it was stopped and went on.
    before: Duration,
    /// When the host last heard of steps, or had validated.
    heard: WallTime,
    /// Time of the epoch at hand up to the last step that was heard of.
    epoch_time: Duration,
    /// Whether it goes on from where another call ended.
    resumed: bool,
    /// Set when the run ends before its time.
    stop: Option<Stop>,
}

struct MemberRun {
    history: History,
    /// Why the member ended, where others may go on.
    stop: Option<Stop>,
    /// Weights and states that the member ended with, where others go on.
    ended: Option<Snapshot>,
}

impl Run<'_> {
    fn elapsed(&self) -> Duration {
        self.before + self.begun.elapsed()
    }

    fn validates(&self) -> bool {
        self.validation.is_some()
    }

    /// What callbacks see: the history of the first member.
    fn history(&self) -> &History {
        &self.members[0].history
    }

    /// Epochs done, by those members that go on.
    fn epochs(&self) -> u64 {
        let members = self.members.iter();
        let epochs = members.map(|member| member.history.epochs.len());
        epochs.max().unwrap_or(0) as u64
    }

    /// The clock after `step` steps and `epoch` epochs of the model, `seen` rows into the next one.
    fn clock_start(&self, step: u64, epoch: u64, seen: u64) -> ClockStart {
        ClockStart {
            step,
            epoch,
            offset: seen,
            shuffles: self.shuffles.clone(),
            resident_rows: self.pass.feeder.resident_rows(),
            ..ClockStart::at_beginning(self.pass.feeder.rows)
        }
    }
}
