//! Rows for evaluation that lie on the device, or are brought there in parts: the next one while this one is evaluated.

use crate::op::{MAX_CHUNKS, Parts};
use crate::{Error, Result};

use super::Model;
use super::evaluate::evaluation_room;
use super::prepare::Prepared;
use super::programs::{Needs, RING_ROWS, Room, RowProgram, chunk_rows};
use super::stream::{CHUNKS_AT_ONCE, SPARE_BYTES};
use super::submissions::READBACKS;

/// Rows of the smallest batches that are tried where larger ones have no room.
const LEAST_BATCH: usize = 16;

/// What there is room for.
enum Most {
    /// All rows.
    All,
    /// Parts of so many rows.
    Rows(usize),
    /// Less than two batches.
    Nothing,
}

/// How far parts have been brought.
#[derive(Debug)]
pub(super) struct Brought {
    /// Rows of a part, whole batches.
    part: usize,
    batch: usize,
    rows: usize,
}

impl Brought {
    /// None yet, through room for so many rows.
    pub fn new(room: usize, batch: usize) -> Self {
        Brought {
            part: room / CHUNKS_AT_ONCE,
            batch,
            rows: 0,
        }
    }
}

/// The rows that there is room for, where that is not all.
pub(super) fn window(needs: Needs, data: &Prepared<'_>) -> Option<usize> {
    let room = needs.evaluate.map(|room| room.rows);
    room.filter(|&rows| rows < data.rows)
}

impl Model {
    /// The room for evaluation data: for all rows, or for two parts where these have none, or parts of `wanted` rows are asked
    /// for. `trains` is the least room that a training beside it needs, then the most that it has use for.
    pub(super) fn place_evaluation(
        &self,
        data: &Prepared<'_>,
        trains: &[Room],
        wanted: Option<usize>,
    ) -> Result<Room> {
        let whole = evaluation_room(data);
        let covered = Needs {
            train: None,
            evaluate: Some(whole),
        };
        // A training that is to come may need another session, with less room.
        if wanted.is_none() && trains.len() < 2 && self.open_needs().cover(&covered) {
            return Ok(whole);
        }
        // Parts are whole batches, those of a session that is open already too.
        let open = self.open_needs().evaluate.map_or(0, |room| room.batch);
        let mut batch = whole.batch.max(open);
        let mut room = whole;
        let most = loop {
            match self.most_evaluated(data, trains, room, batch)? {
                // Beside a run that fills the budget even two batches may be too many.
                Most::Nothing if batch > LEAST_BATCH => {
                    batch = (batch / 2).max(LEAST_BATCH);
                    room.batch = batch;
                }
                Most::Nothing => break Some(batch),
                Most::Rows(rows) => break Some(rows),
                Most::All => break None,
            }
        };
        let wanted = wanted.map(|rows| rows.div_ceil(batch).max(1) * batch);
        let part = [most, wanted].into_iter().flatten().min();
        let Some(part) = part.filter(|part| part.saturating_mul(CHUNKS_AT_ONCE) < data.rows) else {
            return Ok(room);
        };
        if wanted.is_none() {
            tracing::info!(
                rows = data.rows,
                part,
                batch,
                "no room for all rows to evaluate: they come in parts"
            );
        }
        Ok(Room {
            rows: part * CHUNKS_AT_ONCE,
            ..room
        })
    }

    /// The most rows of a part, whole batches, that the device has room for.
    fn most_evaluated(
        &self,
        data: &Prepared<'_>,
        trains: &[Room],
        whole: Room,
        batch: usize,
    ) -> Result<Most> {
        let placed = self.parts().placed();
        let widths = [
            self.architecture.input_width(),
            placed.columns,
            placed.labels,
            whole.weights,
        ];
        let widest = widths.into_iter().max().unwrap_or(1);
        let batches = |rows: usize| (rows / batch).max(1) * batch;
        // A part and its neighbour in one binding.
        let bindable = chunk_rows(self.device().target(), widest);
        let bound = batches(bindable / CHUNKS_AT_ONCE);
        let Some(free) = self.free_bytes() else {
            let bindings = data.rows.div_ceil(bindable);
            return Ok(match bindings > MAX_CHUNKS {
                true => Most::Rows(bound),
                false => Most::All,
            });
        };
        let read = self.read_back_bytes(batch)?;
        // Of the little that a run may have left, its readbacks and these share one half.
        let spare = SPARE_BYTES.saturating_add(read).min(free / 2);
        let free = free.saturating_sub(spare);
        let bytes = |train: Option<&Room>, rows: usize| {
            let evaluate = Some(Room { rows, ..whole });
            let train = train.copied();
            match self.parts().build(Needs { train, evaluate }) {
                Ok(plan) => Ok(Some(plan.slot_bytes())),
                Err(Error::Limit { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        if bytes(trains.last(), data.rows)?.is_some_and(|bytes| bytes <= free) {
            return Ok(Most::All);
        }
        let base = bytes(trains.first(), CHUNKS_AT_ONCE * batch)?.unwrap_or(u64::MAX);
        if base > free {
            return Ok(Most::Nothing);
        }
        // A training divides its rows too, and has half of what is left for them.
        let left = free.saturating_sub(base);
        let share = if trains.len() > 1 { left / 2 } else { left };
        let fits = |bytes: u64| bytes <= base.saturating_add(share);
        if trains.len() > 1 && bytes(trains.first(), data.rows)?.is_some_and(fits) {
            return Ok(Most::All);
        }
        let row = 4 * widths.iter().map(|&width| width as u64).sum::<u64>();
        let rows = usize::try_from(share / row).unwrap_or(usize::MAX);
        let rows = rows.saturating_add(CHUNKS_AT_ONCE * batch) / CHUNKS_AT_ONCE;
        Ok(Most::Rows(batches(rows).min(bound)))
    }

    /// Bytes that the figures of an evaluation in such batches are read back through.
    pub(super) fn read_back_bytes(&self, batch: usize) -> Result<u64> {
        let layout = self.parts().board()?.layout();
        let ring = RING_ROWS * layout.columns * Parts::of(batch).count;
        let tallies = layout.slots * layout.tallies.iter().sum::<usize>();
        Ok(4 * READBACKS as u64 * (ring + tallies) as u64)
    }

    /// Closes a session with room for training data beside which not even two batches have any: the next `fit` makes another.
    pub(super) async fn make_room(&mut self, data: &Prepared<'_>) -> Result<()> {
        let (needs, Some(free)) = (self.open_needs(), self.free_bytes()) else {
            return Ok(());
        };
        if needs.train.is_none() {
            return Ok(());
        }
        let whole = evaluation_room(data);
        let rows = data.rows.min(CHUNKS_AT_ONCE * whole.batch);
        let evaluate = Some(Room { rows, ..whole });
        let wanted = Needs { evaluate, ..needs };
        let fits = needs.cover(&wanted) || self.parts().build(wanted)?.slot_bytes() <= free;
        if !fits {
            self.carry().await?;
            self.leave_session();
        }
        Ok(())
    }

    /// Uploads the data that `run_evaluation` runs over, or opens a session to bring it to in parts.
    pub(super) async fn load_evaluation(
        &mut self,
        needs: Needs,
        data: &Prepared<'_>,
    ) -> Result<()> {
        match window(needs, data) {
            None => self.upload(RowProgram::Evaluate, needs, data).await,
            Some(_) => self.session(needs).await.map(|_session| ()),
        }
    }

    /// Brings parts as long as there is room for one, once `submitted` steps are on their way. Returns the step before which
    /// all rows are there.
    pub(super) async fn bring_evaluated(
        &mut self,
        needs: Needs,
        data: &Prepared<'_>,
        brought: &mut Brought,
        submitted: u64,
    ) -> Result<u64> {
        let part = brought.part;
        while brought.rows < data.rows {
            let first = brought.rows;
            // It takes the place of the part before the last, which no step to come may need.
            let last = first.saturating_sub(part);
            if submitted.saturating_mul(brought.batch as u64) < last as u64 {
                break;
            }
            let end = data.rows.min(first + part);
            let at = first % (CHUNKS_AT_ONCE * part);
            self.write_rows(
                (RowProgram::Evaluate, needs),
                at,
                data,
                first..end,
                (None, 0),
            )
            .await?;
            brought.rows = end;
        }
        Ok((brought.rows.div_ceil(brought.batch)) as u64)
    }
}
