//! Steps run again after a loss that is not finite: which op made the first such number, and the model as it was before.

use std::time::Duration;

use crate::graph::Role;
use crate::session::PieceTimes;
use crate::train::model::Model;
use crate::train::programs::RowProgram;
use crate::train::state::RunState;
use crate::train::trace::Trace;
use crate::{Error, Result, Snapshot, Values};

use super::Run;

/// The most bytes of state that steps are run again from.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// The longest time of training that is done again.
const MAX_TIME: Duration = Duration::from_secs(60);

/// Steps of one submission as steps are run again.
const AT_ONCE: u64 = 64;

impl Run<'_> {
    /// The error for a run that ended at step `step` because its loss was not finite; the model goes back to before that.
    pub(super) async fn explained(
        &mut self,
        model: &mut Model,
        (epoch, step): (u64, u64),
    ) -> Error {
        let unknown = Error::NonFinite {
            epoch,
            step,
            what: "the loss".into(),
        };
        self.keeper.forget_copy();
        let near = self.keeper.explains && self.keeper.state_at.elapsed() <= MAX_TIME;
        if !near {
            return unknown;
        }
        let Some(kept) = self.keeper.state.take() else {
            return unknown;
        };
        let found = self.replayed(model, &kept, step).await;
        // What is left of the run if its device is gone.
        self.keeper.state = Some(kept);
        match found {
            Ok(Some((step, what))) => Error::NonFinite {
                epoch: (step - 1) / self.pass.steps_per_epoch() + 1,
                step,
                what,
            },
            Ok(None) => unknown,
            Err(error) => {
                tracing::warn!(%error, "the steps before the loss that is not finite could not be repeated");
                unknown
            }
        }
    }

    async fn replayed(
        &mut self,
        model: &mut Model,
        kept: &RunState,
        step: u64,
    ) -> Result<Option<(u64, String)>> {
        let (Some(extent), Some(data)) = (self.pass.capacity.train, self.pass.feeder.resident())
        else {
            return Ok(None);
        };
        self.put_back(model, &kept.snapshot, kept, 0).await?;
        // What the loss shows may have come about in the step before.
        let before = (step - kept.steps).saturating_sub(2);
        self.run_again(model, before).await?;
        let capacity = self.pass.capacity;
        let session = model.session(capacity).await?;
        let mut snapshot = session.snapshot_async(Role::is_kept).await?;
        let mut done = before;
        if kept.steps + done + 1 < step {
            self.run_again(model, 1).await?;
            let session = model.session(capacity).await?;
            let later = session.snapshot_async(Role::is_kept).await?;
            if is_finite(&later) {
                (snapshot, done) = (later, done + 1);
            }
        }
        let mut trace = Trace::open(model, extent, &snapshot, data)?;
        let at = kept.steps + done + 1;
        let found = trace.step(at)?;
        // Where it cannot be told, back to the beginning: the steps have not come out as they did.
        let (snapshot, done) = match found {
            Some(_) => (&snapshot, done),
            None => (&kept.snapshot, 0),
        };
        self.put_back(model, snapshot, kept, done).await?;
        Ok(found.map(|found| (at, found.to_string())))
    }

    /// Sets the model to a snapshot of `done` steps after what was kept.
    async fn put_back(
        &mut self,
        model: &mut Model,
        snapshot: &Snapshot,
        kept: &RunState,
        done: u64,
    ) -> Result<()> {
        let per_epoch = self.pass.steps_per_epoch();
        let rows = self.order.rows;
        let begun = kept.seen.div_ceil(self.order.batch.max(1)) + done;
        (model.steps, model.epochs) = (
            kept.model_steps + done,
            kept.model_epochs + begun / per_epoch,
        );
        let offset = (begun % per_epoch * self.order.batch).min(rows);
        let capacity = self.pass.capacity;
        model.session(capacity).await?.restore(snapshot)?;
        let start = self.clock_start(model.steps, model.epochs, offset);
        model.set_clock(RowProgram::Train, capacity, &start).await?;
        model.write_rate_factor()
    }

    async fn run_again(&mut self, model: &mut Model, mut steps: u64) -> Result<()> {
        let open = model.opened(self.pass.capacity).await?;
        open.uncounted = true;
        let (session, handles) = open.program(RowProgram::Train)?;
        let mut times = PieceTimes::default();
        while steps > 0 {
            let now = steps.min(AT_ONCE);
            let submitted = session.submit_sliced(handles.program, now, &[], &mut times);
            let (pending, _) = submitted.await?;
            session.finish(pending).await?;
            steps -= now;
        }
        Ok(())
    }
}

fn is_finite(snapshot: &Snapshot) -> bool {
    let finite = |values: &Values| match values {
        Values::F32(values) => values.iter().all(|value| value.is_finite()),
        Values::F64(values) => values.iter().all(|value| value.is_finite()),
        Values::U32(_) => true,
    };
    let mut variables = snapshot.variables.values();
    variables.all(|(_, values)| finite(values))
}
