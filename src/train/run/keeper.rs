//! The last state of a run, kept in memory as it goes: for the loss of its device, and to find where a number that is not
//! finite came from.
//!
//! A state is copied on the device after the steps that were submitted, and comes to the host while later ones run; what the
//! host knows of the run is added when it has read the sums of those steps. How far apart two states are follows from what one
//! has cost, so that all of them together take at most one part in a hundred of the time.

use std::time::Duration;

use crate::edge::{WallTime, slice};
use crate::graph::Role;
use crate::session::PendingSnapshot;
use crate::{Device, Error, Result, Snapshot};

use crate::train::model::Model;
use crate::train::non_finite::NonFinite;
use crate::train::recovery::Recovery;
use crate::train::state::RunState;
use crate::train::steps::Submissions;

use super::Run;
use super::replay::MAX_BYTES;

/// The shortest time between two states: what a run repeats at most is as long, so shorter is not worth a thought.
const SHORTEST: Duration = Duration::from_secs(5);

/// Keeping states takes at most one part in this many of a run's time.
const SHARE: u32 = 100;

/// The last state of a run.
#[derive(Debug)]
pub(super) struct Keeper {
    /// With the tries that are left.
    pub recovery: Recovery,
    /// Whether the device can be lost, and the run is to go on then.
    recovers: bool,
    /// Whether steps are run again where a loss is not finite.
    pub explains: bool,
    /// Without what its histories list, which the run still has, as lists only grow.
    pub state: Option<RunState>,
    /// How long those lists were.
    pub lengths: Vec<(usize, usize)>,
    /// When that was taken.
    pub state_at: WallTime,
    /// One that is on its way.
    copy: Option<StateCopy>,
    /// Whether there is room to copy one on the device while steps run.
    copies: bool,
    /// Whether the run's rows can be had again.
    repeats: bool,
    /// When the last one was begun.
    begun: WallTime,
    /// The least that one was seen to take of the device: bounds from above, as the host hears late of what has ended where a
    /// driver lets it wait.
    device_cost: Option<Duration>,
    /// What one takes of device and host.
    cost: Duration,
}

/// A state on its way.
#[derive(Debug)]
struct StateCopy {
    snapshot: PendingSnapshot,
    /// The step of the run after which it was copied.
    step: u64,
    begun: WallTime,
    /// What the host knows of the run at that step, once it does.
    rest: Option<RestOfState>,
}

/// What the host knows of the run at the step of a copy.
#[derive(Debug)]
struct RestOfState {
    state: RunState,
    /// How long the lists of its histories are.
    lengths: Vec<(usize, usize)>,
    /// Since when it is known, and what finding it out took.
    read: WallTime,
    asked: Duration,
}

/// The time from one state to the next, by what one costs.
fn interval(cost: Duration) -> Duration {
    SHORTEST.max(cost.saturating_mul(SHARE))
}

impl Keeper {
    /// For a run on a device whose rows can be had again, or not.
    pub fn new(device: &Device, recovery: Recovery, repeats: bool) -> Self {
        let now = WallTime::now();
        Keeper {
            recovery,
            recovers: recovery.tries > 0 && device.gpu().is_some(),
            explains: false,
            state: None,
            lengths: Vec::new(),
            state_at: now,
            copy: None,
            copies: true,
            repeats,
            begun: now,
            device_cost: None,
            cost: Duration::ZERO,
        }
    }

    /// Whether the next state should be begun.
    pub fn is_late(&self) -> bool {
        let (age, rule) = (self.begun.elapsed(), interval(self.cost));
        let against_loss = self.recovers && age >= self.recovery.every.unwrap_or(rule);
        self.copy.is_none() && (against_loss || (self.explains && age >= rule))
    }

    /// Whether the run can go on after a loss.
    pub fn goes_on(&self) -> bool {
        self.recovers && self.repeats && self.recovery.tries > 0 && self.state.is_some()
    }

    /// The last state, where it was kept for the loss of the device.
    pub fn take_against_loss(&mut self) -> Option<RunState> {
        self.state.take().filter(|_| self.recovers)
    }

    /// Forgets what is on its way: its device is gone.
    pub fn forget_copy(&mut self) {
        self.copy = None;
    }

    /// Takes a state, [copied](StateCopy) while steps ran or not, and what it took of the host and of the device; none where
    /// the host heard too late to tell.
    fn hold(
        &mut self,
        (state, lengths): (RunState, Vec<(usize, usize)>),
        (begun, copied): (WallTime, bool),
        device: Option<Duration>,
        host: Duration,
    ) {
        self.device_cost = [self.device_cost, device].into_iter().flatten().min();
        self.cost = self.device_cost.unwrap_or_default() + host;
        let (step, seconds) = (state.steps, self.cost.as_secs_f64());
        tracing::debug!(step, seconds, copied, "state kept");
        (self.state, self.lengths) = (Some(state), lengths);
        self.state_at = begun;
    }
}

fn with_room<T>(state: Result<T>, step: u64) -> Result<Option<T>> {
    match state {
        Ok(state) => Ok(Some(state)),
        Err(error @ Error::OutOfMemory { .. }) => {
            tracing::warn!(%error, step, "no memory to keep the state of the run");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Run<'_> {
    /// Keeps the state at the begin of a run: the one that is waited for.
    pub(super) async fn keep_first(&mut self, model: &mut Model) -> Result<()> {
        let resident = self.pass.feeder.resident().is_some();
        let session = model.session(self.pass.capacity).await?;
        self.keeper.explains = self.fit.non_finite == NonFinite::Stop
            && resident
            && session.snapshot_bytes(Role::is_kept) <= MAX_BYTES;
        // What the members of a population have learned is little: it is read between two submissions. So is what lies in the
        // host's memory, where nothing runs beside.
        self.keeper.copies = model.members.is_empty() && model.device().gpu().is_some();
        if self.keeper.recovers || self.keeper.explains {
            self.keep_now(model).await?;
        }
        Ok(())
    }

    /// Keeps the state with nothing under way.
    async fn keep_now(&mut self, model: &mut Model) -> Result<()> {
        let begun = WallTime::now();
        self.keeper.begun = begun;
        let session = model.session(self.pass.capacity).await?;
        let snapshot = session.snapshot_async(Role::is_kept).await;
        if let Some(snapshot) = with_room(snapshot, self.pass.absorbed)? {
            let state = self.state_with(model, snapshot, model.steps)?;
            let (kept, cost) = ((state, self.lengths()), begun.elapsed());
            self.keeper
                .hold(kept, (begun, false), Some(cost), Duration::ZERO);
        }
        Ok(())
    }

    /// Begins to keep the state where that is due, with steps under way: after the last that was submitted, if the host will
    /// know of the run as it was there. That is not so after steps whose sums nobody reads, and before a `pause`, at which
    /// callbacks may change the model.
    pub(super) async fn keep_while_running(
        &mut self,
        model: &mut Model,
        submissions: &Submissions,
        pause: u64,
    ) -> Result<()> {
        let step = submissions.submitted;
        let can = self.keeper.copies && step == submissions.settled() && step < pause;
        let (absorbed, total) = (self.pass.absorbed, self.pass.total);
        if !can || step == absorbed || step >= total || !self.keeper.is_late() {
            return Ok(());
        }
        self.begin_copy(model, step).await
    }

    /// Keeps the state where that is due, with nothing under way.
    pub(super) async fn keep_between(&mut self, model: &mut Model) -> Result<()> {
        let absorbed = self.pass.absorbed;
        if absorbed >= self.pass.total || !self.keeper.is_late() {
            return Ok(());
        }
        if self.keeper.copies {
            self.begin_copy(model, absorbed).await
        } else {
            self.keep_now(model).await
        }
    }

    async fn begin_copy(&mut self, model: &mut Model, step: u64) -> Result<()> {
        slice::time_for(self.keeper.cost).await;
        let begun = WallTime::now();
        self.keeper.begun = begun;
        let session = model.session(self.pass.capacity).await?;
        let snapshot = with_room(session.begin_snapshot(Role::is_kept), step)?;
        // Without room from now on in smaller parts, which are waited for.
        self.keeper.copies = snapshot.is_some();
        self.keeper.copy = snapshot.map(|snapshot| StateCopy {
            snapshot,
            step,
            begun,
            rest: None,
        });
        Ok(())
    }

    /// Adds what the host knows of the run to the state on its way, if that is of the step just read. `model_step` is the
    /// model's number of the step.
    pub(super) fn complete_copy(&mut self, model: &Model, model_step: u64) -> Result<()> {
        let absorbed = self.pass.absorbed;
        let of_step = |copy: &&StateCopy| copy.step == absorbed && copy.rest.is_none();
        if self.keeper.copy.as_ref().filter(of_step).is_none() {
            return Ok(());
        }
        let read = WallTime::now();
        let state = self.state_with(model, Snapshot::default(), model_step)?;
        let lengths = self.lengths();
        if let Some(copy) = &mut self.keeper.copy {
            copy.rest = Some(RestOfState {
                state,
                lengths,
                read,
                asked: read.elapsed(),
            });
        }
        Ok(())
    }

    /// Takes the state that was on its way, once it has arrived.
    pub(super) async fn keep_arrived(&mut self, model: &mut Model) -> Result<()> {
        let arrived =
            |copy: &mut StateCopy| copy.rest.is_some() && copy.snapshot.arrived().is_some();
        let Some(copy) = self.keeper.copy.take_if(arrived) else {
            return Ok(());
        };
        let arrived = copy.snapshot.arrived();
        let reading = WallTime::now();
        let session = model.session(self.pass.capacity).await?;
        let snapshot = session.finish_snapshot(copy.snapshot).await?;
        if let Some(rest) = copy.rest {
            let mut state = rest.state;
            state.set_snapshot(snapshot);
            // At most from the end of the step to the arrival. Submitting the copy is left out: where a driver blocks that,
            // it is for the steps before it, which are no cost. Where the host heard of both at once, it cannot tell.
            let device = arrived.and_then(|arrived| arrived.checked_duration_since(rest.read));
            let device = device.filter(|cost| !cost.is_zero());
            let host = rest.asked + reading.elapsed();
            let kept = (state, rest.lengths);
            self.keeper.hold(kept, (copy.begun, true), device, host);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_take_at_most_one_percent_of_the_time_however_long_one_takes() {
        for millis in [0, 1, 30, 49, 50, 51, 200, 3000, 90_000] {
            let cost = Duration::from_millis(millis);
            // One state, and the training until the next is begun.
            let (mut spent, mut all) = (Duration::ZERO, Duration::ZERO);
            for _ in 0..1000 {
                spent += cost;
                all += interval(cost);
            }
            assert!(spent * 100 <= all, "{cost:?}: {spent:?} of {all:?}");
            // And no state is left out for nothing.
            let wanted = (cost * 100).max(Duration::from_secs(5));
            assert_eq!(interval(cost), wanted);
        }
    }
}
