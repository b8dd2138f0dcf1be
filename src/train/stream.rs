//! Rows for training that lie on the device, or are brought there in parts: the next one while this one trains.

use std::fmt;
use std::ops::Range;

use crate::op::Permutation;
use crate::session::{ElementsRef, Picked};
use crate::{Error, Result};

use super::Model;
use super::batches::Batches;
use super::prepare::Prepared;
use super::programs::{Needs, Room, RowProgram, chunk_rows};
use super::run::Run;

/// Parts that the device has room for: one that trains, and the next.
pub(super) const CHUNKS_AT_ONCE: usize = 2;

/// Steps of a part where batches come from an iterator and nothing else is said.
const STEPS: usize = 32;

/// Bytes that are kept free beside a plan's own: params, readbacks, what a driver rounds up to.
pub(super) const SPARE_BYTES: u64 = 1 << 20;

/// Rows to train on.
pub(super) struct Supply<'a> {
    source: Source<'a>,
    /// Rows of an epoch.
    pub rows: usize,
    /// Weights of a row.
    pub weights: usize,
    /// Whether a step whose gradients are not finite changes nothing.
    pub skips: bool,
    /// Batches to an update.
    pub micro: u32,
    parts: Option<Parts>,
}

enum Source<'a> {
    /// All of them, in the host's memory.
    Rows(Prepared<'a>),
    /// As they come.
    Batches(Batches<'a>),
}

/// Where the bringing of parts has come to. Steps and epochs count from the beginning of the run.
#[derive(Debug)]
struct Parts {
    /// Rows of a part, whole batches.
    rows: usize,
    batch: usize,
    /// The place of the next row to bring.
    epoch: u64,
    place: usize,
    /// The last part that was brought: the half of the room that it lies in, and its first step.
    last: Option<(usize, u64)>,
}

impl fmt::Debug for Supply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows an epoch, {:?}", self.rows, self.parts)
    }
}

impl<'a> Supply<'a> {
    /// All rows of a data set.
    pub fn whole(data: Prepared<'a>) -> Self {
        Supply {
            rows: data.rows,
            weights: data.weight_columns(),
            micro: 1,
            source: Source::Rows(data),
            skips: false,
            parts: None,
        }
    }

    /// Those of an iterator, in epochs of so many steps; one epoch where nothing is said.
    pub fn batches(batches: Batches<'a>, batch: usize, weights: usize) -> Self {
        // As many as the clock counts, for an epoch without an end of its own.
        let steps = batches.steps_per_epoch.unwrap_or(u64::from(u32::MAX));
        let most = u32::MAX as usize / batch;
        let steps = usize::try_from(steps).unwrap_or(most).min(most);
        Supply {
            rows: steps * batch,
            weights,
            micro: 1,
            source: Source::Batches(batches),
            skips: false,
            parts: None,
        }
    }

    /// The room for it on the device.
    pub fn room(&self, batch: usize) -> Room {
        Room {
            rows: self.window().unwrap_or(self.rows),
            batch,
            weights: self.weights,
            skips: self.skips,
            micro: self.micro,
        }
    }

    /// The least room for it on the device: that of two parts of a batch.
    pub fn least_room(&self, batch: usize) -> Room {
        Room {
            rows: self.rows.min(CHUNKS_AT_ONCE * batch),
            ..self.room(batch)
        }
    }

    /// The data set, where all of it lies on the device.
    pub fn resident(&self) -> Option<&Prepared<'a>> {
        match (&self.source, &self.parts) {
            (Source::Rows(data), None) => Some(data),
            _ => None,
        }
    }

    /// Whether rows that were brought once can be brought again.
    pub fn repeats(&self) -> bool {
        matches!(self.source, Source::Rows(_))
    }

    /// Whether its epoch ends where its iterator does.
    pub fn is_open(&self) -> bool {
        matches!(&self.source, Source::Batches(batches) if batches.steps_per_epoch.is_none())
    }

    /// Rows that there is room for where they come in parts.
    pub fn window(&self) -> Option<usize> {
        self.parts.as_ref().map(|parts| parts.rows * CHUNKS_AT_ONCE)
    }

    /// Brings them in parts of at least so many rows, whole batches.
    fn divide(&mut self, rows: usize, batch: usize) {
        let whole = |rows: usize| rows.div_ceil(batch).max(1) * batch;
        self.parts = Some(Parts {
            rows: whole(rows).min(whole(self.rows)),
            batch,
            epoch: 0,
            place: 0,
            last: None,
        });
    }

    /// Goes on from a step of the run: what was brought before is forgotten.
    pub fn seek(&mut self, step: u64) {
        let per_epoch = self.rows.div_ceil(self.batch()) as u64;
        if let Some(parts) = &mut self.parts {
            parts.epoch = step / per_epoch;
            parts.place = (step % per_epoch) as usize * parts.batch;
            parts.last = None;
        }
    }

    fn batch(&self) -> usize {
        self.parts.as_ref().map_or(1, |parts| parts.batch)
    }
}

impl Parts {
    /// The step before which all rows are there.
    fn ready(&self, per_epoch: u64) -> u64 {
        self.epoch * per_epoch + self.place.div_ceil(self.batch) as u64
    }

    fn half(&self) -> usize {
        self.place / self.rows % CHUNKS_AT_ONCE
    }
}

impl Model {
    /// Decides whether the rows lie on the device as a whole or come in parts of `wanted` rows: by itself where nothing is
    /// said, by what the device has room for beside the rest of `needs`.
    pub(super) fn place(
        &self,
        supply: &mut Supply<'_>,
        batch: usize,
        evaluate: Option<Room>,
        wanted: Option<usize>,
    ) -> Result<()> {
        let most = self.most_rows(supply, batch, evaluate)?;
        let part = match (&supply.source, wanted) {
            (_, Some(rows)) => Some(rows),
            (Source::Batches(batches), None) => {
                let piece = batches.held.as_ref().map_or(0, |(table, _)| table.rows);
                Some(piece.max(STEPS * batch))
            }
            (Source::Rows(_), None) => most,
        };
        if let Some(part) = part {
            // Parts that do not fit are made smaller.
            let part = most.map_or(part, |most| part.min(most));
            if part < supply.rows {
                // An even number of parts lets each be brought while the one before trains, those of the next epoch too.
                let parts = supply.rows.div_ceil(part).next_multiple_of(CHUNKS_AT_ONCE);
                if wanted.is_none() && most.is_some() {
                    tracing::info!(
                        rows = supply.rows,
                        parts,
                        "no room for all rows: they come in parts"
                    );
                }
                supply.divide(supply.rows.div_ceil(parts), batch);
            } else if matches!(supply.source, Source::Batches(_)) {
                supply.divide(supply.rows, batch);
            }
        }
        Ok(())
    }

    /// The most rows of a part that the device has room for; none where all rows have room.
    fn most_rows(
        &self,
        supply: &Supply<'_>,
        batch: usize,
        evaluate: Option<Room>,
    ) -> Result<Option<usize>> {
        let placed = self.parts().placed();
        let weights = supply.weights;
        let widths = [
            self.architecture.input_width(),
            placed.columns,
            placed.labels,
            weights,
        ];
        let widest = widths.into_iter().max().unwrap_or(1);
        let whole = |rows: usize| (rows / batch).max(1) * batch;
        // A part and its neighbour in one binding.
        let bound = whole(chunk_rows(self.device().target(), widest) / CHUNKS_AT_ONCE);
        let needs = |rows: usize| Needs {
            train: Some(Room {
                rows,
                ..supply.room(batch)
            }),
            evaluate: evaluate.or(self.open_needs().evaluate),
        };
        let least = CHUNKS_AT_ONCE * batch;
        let Some(free) = self.free_bytes() else {
            let bindings = supply
                .rows
                .div_ceil(chunk_rows(self.device().target(), widest));
            return Ok((bindings > crate::op::MAX_CHUNKS).then_some(bound));
        };
        let read = evaluate.map_or(Ok(0), |room| self.read_back_bytes(room.batch))?;
        let free = free.saturating_sub(SPARE_BYTES.saturating_add(read));
        match self.parts().build(needs(supply.rows)) {
            Ok(plan) if plan.slot_bytes() <= free => return Ok(None),
            Ok(_) | Err(Error::Limit { .. }) => {}
            Err(error) => return Err(error),
        }
        let base = self.parts().build(needs(least))?.slot_bytes();
        let row = 4 * widths.iter().map(|&width| width as u64).sum::<u64>();
        let rows = free.saturating_sub(base) / row + least as u64;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX) / CHUNKS_AT_ONCE;
        Ok(Some(whole(rows).min(bound)))
    }

    /// Brings what the next steps need, once `submitted` steps are on their way, and the part behind it where there is room
    /// for it by now. Returns the step before which all rows are there.
    pub(super) async fn feed(&mut self, run: &mut Run<'_>, submitted: u64) -> Result<u64> {
        let per_epoch = run.ledger.steps_per_epoch();
        loop {
            let Some(parts) = &run.supply.parts else {
                return Ok(u64::MAX);
            };
            let ready = parts.ready(per_epoch);
            let next_half = match parts.place {
                place if place >= run.supply.rows => 0,
                _ => parts.half(),
            };
            let free = match parts.last {
                None => true,
                Some((half, first)) => half != next_half && submitted > first,
            };
            if ready >= run.total || !(free || ready <= submitted) {
                return Ok(ready);
            }
            self.bring(run, per_epoch).await?;
        }
    }

    /// Brings the next part.
    async fn bring(&mut self, run: &mut Run<'_>, per_epoch: u64) -> Result<()> {
        let supply = &mut run.supply;
        let Some(parts) = &mut supply.parts else {
            return Ok(());
        };
        if parts.place >= supply.rows {
            (parts.epoch, parts.place) = (parts.epoch + 1, 0);
        }
        let (first, half) = (parts.ready(per_epoch), parts.half());
        // Not beyond the epoch, nor beyond the last step.
        let to_end = usize::try_from(run.total.saturating_sub(first)).unwrap_or(usize::MAX);
        let end = (parts.place / parts.rows + 1) * parts.rows;
        let end = end.min(supply.rows).min(
            parts
                .place
                .saturating_add(to_end.saturating_mul(parts.batch)),
        );
        let places = parts.place..end;
        let epoch = run.first_epoch + parts.epoch;
        let at = places.start % (CHUNKS_AT_ONCE * parts.rows);
        let brought = match &mut supply.source {
            Source::Batches(batches) => {
                let table = batches.rows(self, supply.weights, places.len())?;
                let open = self.opened(run.needs).await?;
                let (session, handles) = open.program(RowProgram::Train)?;
                handles.write_rows(session, at, table.rows, &table.arrays())?;
                table.rows
            }
            Source::Rows(data) => {
                self.write_rows(
                    (RowProgram::Train, run.needs),
                    at,
                    data,
                    places.clone(),
                    (run.order.shuffle, epoch),
                )
                .await?;
                places.len()
            }
        };
        let Some(parts) = &mut run.supply.parts else {
            return Ok(());
        };
        parts.last = Some((half, first));
        parts.place += brought;
        if brought < places.len() {
            let (place, last) = (parts.place, parts.ready(per_epoch));
            self.end_supply(run, last, epoch, place).await?;
        }
        Ok(())
    }

    /// The iterator has come to its end: the run ends at step `last`, `place` rows into an epoch.
    async fn end_supply(
        &mut self,
        run: &mut Run<'_>,
        last: u64,
        epoch: u64,
        place: usize,
    ) -> Result<()> {
        run.total = run.total.min(last);
        run.data_ended = true;
        if place == 0 {
            return Ok(());
        }
        run.ledger.cut(epoch, place as u64);
        let rows = u32::try_from(place).unwrap_or(u32::MAX);
        let open = self.opened(run.needs).await?;
        let (session, handles) = open.program(RowProgram::Train)?;
        handles.write_data_rows(session, rows)
    }

    /// Writes rows of a program's data set, in the order of the epoch, from row `at` of the room on.
    pub(super) async fn write_rows(
        &mut self,
        (program, needs): (RowProgram, Needs),
        at: usize,
        data: &Prepared<'_>,
        places: Range<usize>,
        (shuffle, epoch): (Option<u32>, u64),
    ) -> Result<()> {
        let count = places.len();
        let (session, handles) = self.opened(needs).await?.program(program)?;
        let Some(seed) = shuffle else {
            // As they lie there: what a copy of them would cost is a good part of an evaluation.
            let own = data.arrays().map(|elements| {
                let width = elements.len() / data.rows;
                elements.range(places.start * width..places.end * width)
            });
            return handles.write_rows(session, at, count, &own);
        };
        let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
        let mut rows: Vec<u32> = (word(places.start)..word(places.end)).collect();
        Permutation::new(word(data.rows), seed, epoch).rows(word(places.start), &mut rows);
        let picked = data
            .arrays()
            .map(|elements| elements.picked(data.rows, &rows));
        let picked: Vec<ElementsRef<'_>> = picked.iter().map(Picked::as_ref).collect();
        handles.write_rows(session, at, count, &picked)
    }

    /// Readies the device for a run: all rows, or none yet where they come in parts.
    pub(super) async fn begin_supply(&mut self, run: &mut Run<'_>) -> Result<()> {
        match (&run.supply.parts, &run.supply.source) {
            (None, Source::Rows(data)) => self.upload(RowProgram::Train, run.needs, data).await,
            _ => self.session(run.needs).await.map(|_session| ()),
        }
    }
}
