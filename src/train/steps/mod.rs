//! Steps of a program over the rows of a data set: the one way in which training and evaluation submit and read them.

mod pace;
mod submissions;

use std::ops::Range;

use crate::Result;

use super::epoch_sums::EpochSums;
use super::feed::{Cut, Feeder};
use super::metric::ModelMetrics;
use super::model::Model;
use super::programs::{Capacity, RowProgram};

pub(super) use submissions::Submissions;

/// A program on its way over a data set: rows are fed, steps submitted ahead, and their sums read after them.
pub(super) struct RowPass<'a> {
    pub program: RowProgram,
    pub capacity: Capacity,
    pub feeder: Feeder<'a>,
    /// The sums of the epoch under way, of every member of a population.
    pub epoch_sums: Vec<EpochSums>,
    /// Steps whose sums were read.
    pub absorbed: u64,
    /// Steps after which the pass ends.
    pub total: u64,
    /// Whether somebody watches the loss of the steps.
    pub watched: bool,
    /// Whether the iterator that rows come from has ended: the pass does, after the rows that it gave.
    pub data_ended: bool,
}

impl<'a> RowPass<'a> {
    pub fn new(
        (program, capacity): (RowProgram, Capacity),
        feeder: Feeder<'a>,
        epoch_sums: Vec<EpochSums>,
        total: u64,
    ) -> Self {
        RowPass {
            program,
            capacity,
            feeder,
            epoch_sums,
            absorbed: 0,
            total,
            watched: false,
            data_ended: false,
        }
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        let epoch_sums = self.epoch_sums.first();
        epoch_sums.map_or(1, |epoch_sums| epoch_sums.steps_per_epoch().max(1))
    }

    pub async fn begin(
        &mut self,
        model: &mut Model,
        metrics: &ModelMetrics,
    ) -> Result<Submissions> {
        let device = model.device().clone();
        let program = model.opened(self.capacity).await?.program(self.program)?;
        let steps = (self.steps_per_epoch(), self.absorbed);
        Submissions::new(program, metrics, steps, self.watched, &device)
    }

    /// Brings rows and submits steps until enough is under way, or step `until` is.
    pub async fn submit(
        &mut self,
        model: &mut Model,
        submissions: &mut Submissions,
        until: u64,
    ) -> Result<()> {
        let to = (self.program, self.capacity);
        // The part that is there, and the next one that can be brought once the first is under way.
        for _ in 0..2 {
            let feeder = &mut self.feeder;
            let (ready, cut) = feeder
                .feed(model, to, submissions.submitted, self.total)
                .await?;
            if let Some(cut) = cut {
                self.end_data(model, cut).await?;
            }
            let session = model.session(self.capacity).await?;
            let until = until.min(self.total).min(ready);
            submissions.ahead(session, until).await?;
        }
        Ok(())
    }

    /// Waits for the submission that ends next, and takes its sums: the steps done so far, and those whose sums came. None where
    /// nothing is under way.
    pub async fn answer(
        &mut self,
        model: &mut Model,
        submissions: &mut Submissions,
    ) -> Result<Option<(u64, Range<u64>)>> {
        let session = model.session(self.capacity).await?;
        let Some((done, steps, copied)) = submissions.next(session).await? else {
            return Ok(None);
        };
        let each = (copied.len() / self.epoch_sums.len().max(1)).max(1);
        if steps.is_empty() {
            // Nothing was read.
        } else if let [only] = &mut self.epoch_sums[..] {
            only.hold(copied);
        } else {
            for (epoch_sums, copied) in self.epoch_sums.iter_mut().zip(copied.chunks_exact(each)) {
                epoch_sums.hold(copied.to_vec());
            }
        }
        Ok(Some((done, steps)))
    }

    /// The iterator has ended: so does the pass, with the rows that it gave.
    async fn end_data(&mut self, model: &mut Model, cut: Cut) -> Result<()> {
        self.total = self.total.min(cut.step);
        self.data_ended = true;
        if cut.rows == 0 {
            return Ok(());
        }
        for epoch_sums in &mut self.epoch_sums {
            epoch_sums.cut(cut.epoch, cut.rows as u64);
        }
        let rows = u32::try_from(cut.rows).unwrap_or(u32::MAX);
        let open = model.opened(self.capacity).await?;
        let (session, handles) = open.program(self.program)?;
        handles.write_data_rows(session, rows)
    }
}
