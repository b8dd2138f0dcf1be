//! The feeder: brings the rows of a data set to the device, whole, or in parts of which the next is brought while one is
//! computed on.

use std::ops::Range;

use crate::op::Permutation;
use crate::session::{ElementsRef, HostElements};
use crate::train::model::Model;
use crate::train::prepare::Prepared;
use crate::train::programs::{Capacity, Extent, RowProgram};
use crate::{Result, Session};

use super::Batches;
use crate::train::programs::RunHandles;

/// Parts that lie on the device at once: one that is computed on, and the next.
pub(super) const PARTS_AT_ONCE: usize = 2;

/// Steps of a part where batches come from an iterator and nothing else is said.
const STEPS_OF_PART: usize = 32;

/// Rows on their way to a program.
pub(in crate::train) struct Feeder<'a> {
    source: RowSource<'a>,
    /// Rows of an epoch.
    pub rows: usize,
    /// Weights of a row.
    pub weights: usize,
    /// Whether a step whose gradients are not finite changes nothing.
    pub skips: bool,
    /// Batches to an update.
    pub micro: u32,
    /// Whether the run is too short for a kernel of its own: see [`Extent::few`].
    pub few: bool,
    /// The seed by which rows that come in parts are shuffled.
    pub shuffle: Option<u32>,
    /// Whether a part is brought as soon as there is room, before a step of the part before is on its way: an evaluation then
    /// submits two parts at once, and reads their sums at once.
    eager: bool,
    /// The clock's number of the first epoch.
    first_epoch: u64,
    parts: Option<PartCursor>,
}

/// Where rows come from.
enum RowSource<'a> {
    /// All of them lie in the host's memory.
    Whole(&'a Prepared<'a>),
    /// An iterator gives them.
    Batches(Batches<'a>),
}

/// Where the bringing of parts has come to. Steps and epochs count from the beginning of the run.
#[derive(Debug)]
struct PartCursor {
    rows: usize,
    batch: usize,
    /// The place of the next row to bring.
    epoch: u64,
    place: usize,
    /// The last part that was brought: the half of the room that it lies in, and its first step.
    last: Option<(usize, u64)>,
}

/// The end of an iterator.
#[derive(Debug, Clone, Copy)]
pub(in crate::train) struct Cut {
    /// The step before which all rows were given.
    pub step: u64,
    /// The clock's number of the epoch that the end lies in.
    pub epoch: u64,
    /// Rows of that epoch; 0 where the iterator ended with the epoch before.
    pub rows: usize,
}

impl<'a> Feeder<'a> {
    /// Brings all rows of a data set.
    pub fn whole(data: &'a Prepared<'a>) -> Self {
        Feeder::over(RowSource::Whole(data), data.rows, data.weight_columns())
    }

    /// Brings all rows of a data set once, through the room of an extent.
    pub fn once(data: &'a Prepared<'a>, extent: Extent) -> Self {
        let mut feeder = Feeder::whole(data);
        feeder.eager = true;
        if extent.rows < data.rows {
            feeder.parts = Some(PartCursor::new(extent.rows / PARTS_AT_ONCE, extent.batch));
        }
        feeder
    }

    /// Brings the rows of an iterator, whose epochs have as many steps as it says; all of its rows are one epoch where it says
    /// nothing.
    pub fn batches(batches: Batches<'a>, batch: usize, weights: usize) -> Self {
        // An epoch without an end of its own has as many steps as the clock counts.
        let steps = batches.steps_per_epoch.unwrap_or(u64::from(u32::MAX));
        let most = u32::MAX as usize / batch;
        let steps = usize::try_from(steps).unwrap_or(most).min(most);
        Feeder::over(RowSource::Batches(batches), steps * batch, weights)
    }

    fn over(source: RowSource<'a>, rows: usize, weights: usize) -> Self {
        Feeder {
            source,
            rows,
            weights,
            skips: false,
            micro: 1,
            few: false,
            shuffle: None,
            eager: false,
            first_epoch: 0,
            parts: None,
        }
    }

    /// The room that it needs on the device.
    pub fn extent(&self, batch: usize) -> Extent {
        Extent {
            rows: self.resident_rows().unwrap_or(self.rows),
            batch,
            weights: self.weights,
            skips: self.skips,
            micro: self.micro,
            few: self.few,
        }
    }

    /// The least room that it can do with: that of two parts of a batch each.
    pub fn least_extent(&self, batch: usize) -> Extent {
        Extent {
            rows: self.rows.min(PARTS_AT_ONCE * batch),
            ..self.extent(batch)
        }
    }

    /// The data set, where all of it lies on the device.
    pub fn resident(&self) -> Option<&'a Prepared<'a>> {
        match (&self.source, &self.parts) {
            (RowSource::Whole(data), None) => Some(data),
            _ => None,
        }
    }

    /// Whether rows that were brought once can be brought again.
    pub fn repeats(&self) -> bool {
        matches!(self.source, RowSource::Whole(_))
    }

    /// Whether the epoch ends where the iterator does.
    pub fn is_open(&self) -> bool {
        matches!(&self.source, RowSource::Batches(batches) if batches.steps_per_epoch.is_none())
    }

    /// Rows that the device has room for, where they come in parts.
    pub fn resident_rows(&self) -> Option<usize> {
        let parts = self.parts.as_ref();
        parts.map(|parts| parts.rows * PARTS_AT_ONCE)
    }

    /// Rows of a part where nothing else is said; none where the rows may come whole.
    pub(super) fn usual_part(&self, batch: usize) -> Option<usize> {
        match &self.source {
            RowSource::Batches(batches) => Some(batches.held_rows().max(STEPS_OF_PART * batch)),
            RowSource::Whole(_) => None,
        }
    }

    /// Brings the rows in parts of at least `rows` rows, whole batches.
    pub(super) fn divide(&mut self, rows: usize, batch: usize) {
        let whole = |rows: usize| rows.div_ceil(batch).max(1) * batch;
        let part = whole(rows).min(whole(self.rows));
        self.parts = Some(PartCursor::new(part, batch));
    }

    /// Goes on from a step of the run, whose first epoch has this number: what was brought before is forgotten.
    pub fn seek(&mut self, step: u64, first_epoch: u64) {
        self.first_epoch = first_epoch;
        if let Some(parts) = &mut self.parts {
            let per_epoch = self.rows.div_ceil(parts.batch) as u64;
            parts.epoch = step / per_epoch;
            parts.place = (step % per_epoch) as usize * parts.batch;
            parts.last = None;
        }
    }

    /// Readies the device: all rows are there, or none yet where they come in parts.
    pub async fn begin(
        &mut self,
        model: &mut Model,
        (program, capacity): (RowProgram, Capacity),
    ) -> Result<()> {
        let (session, handles) = model.opened(capacity).await?.program(program)?;
        match self.resident() {
            Some(data) => handles.upload(session, &data.arrays()),
            None => Ok(()),
        }
    }

    /// Brings what the next steps need, once `submitted` steps are on their way, and the part after it where there is room for
    /// it by now. Returns the step before which all rows are there, and the end of the iterator where it has just come.
    pub async fn feed(
        &mut self,
        model: &mut Model,
        to: (RowProgram, Capacity),
        submitted: u64,
        total: u64,
    ) -> Result<(u64, Option<Cut>)> {
        loop {
            let Some(parts) = &self.parts else {
                return Ok((u64::MAX, None));
            };
            let ready = parts.ready(self.rows);
            let next_half = if parts.place >= self.rows {
                0
            } else {
                parts.half()
            };
            let free = match parts.last {
                None => true,
                Some((half, first)) => {
                    let under_way = submitted + u64::from(self.eager) > first;
                    half != next_half && under_way
                }
            };
            if ready >= total || !(free || ready <= submitted) {
                return Ok((ready, None));
            }
            if let Some(cut) = self.bring(model, to, total).await? {
                return Ok((cut.step, Some(cut)));
            }
        }
    }

    /// Brings the next part.
    async fn bring(
        &mut self,
        model: &mut Model,
        (program, capacity): (RowProgram, Capacity),
        total: u64,
    ) -> Result<Option<Cut>> {
        let Some(parts) = &mut self.parts else {
            return Ok(None);
        };
        if parts.place >= self.rows {
            (parts.epoch, parts.place) = (parts.epoch + 1, 0);
        }
        let (first, half) = (parts.ready(self.rows), parts.half());
        // A part ends at the latest where the epoch does, and with the last step.
        let to_end = usize::try_from(total.saturating_sub(first)).unwrap_or(usize::MAX);
        let end = (parts.place / parts.rows + 1) * parts.rows;
        let steps_end = to_end.saturating_mul(parts.batch);
        let end = end
            .min(self.rows)
            .min(parts.place.saturating_add(steps_end));
        let places = parts.place..end;
        let epoch = self.first_epoch + parts.epoch;
        let at = places.start % (PARTS_AT_ONCE * parts.rows);
        let brought = match &mut self.source {
            RowSource::Batches(batches) => {
                let table = batches.rows(&model.recipe(), self.weights, places.len())?;
                let (session, handles) = model.opened(capacity).await?.program(program)?;
                handles.write_rows(session, at, table.rows, &table.arrays())?;
                table.rows
            }
            RowSource::Whole(data) => {
                let to = model.opened(capacity).await?.program(program)?;
                let order = self.shuffle.map(|seed| (seed, epoch));
                write_rows(to, at, data, places.clone(), order)?;
                places.len()
            }
        };
        parts.last = Some((half, first));
        parts.place += brought;
        let cut = Cut {
            step: parts.ready(self.rows),
            epoch,
            rows: parts.place,
        };
        Ok((brought < places.len()).then_some(cut))
    }
}

impl PartCursor {
    fn new(rows: usize, batch: usize) -> Self {
        PartCursor {
            rows,
            batch,
            epoch: 0,
            place: 0,
            last: None,
        }
    }

    /// The step before which all rows are there, in epochs of `rows` rows.
    fn ready(&self, rows: usize) -> u64 {
        let per_epoch = rows.div_ceil(self.batch) as u64;
        self.epoch * per_epoch + self.place.div_ceil(self.batch) as u64
    }

    fn half(&self) -> usize {
        self.place / self.rows % PARTS_AT_ONCE
    }
}

/// Writes rows of a data set from row `at` of the room on: in the order of an epoch, shuffled by a seed, or in their own.
fn write_rows<'a>(
    (session, handles): (&mut Session, &RunHandles),
    at: usize,
    data: &'a Prepared<'a>,
    places: Range<usize>,
    order: Option<(u32, u64)>,
) -> Result<()> {
    let count = places.len();
    let Some((seed, epoch)) = order else {
        // No copy is made of the rows, which would cost a good part of an evaluation.
        let own = |elements: ElementsRef<'a>| {
            let width = elements.len() / data.rows;
            elements.range(places.start * width..places.end * width)
        };
        let own: Vec<ElementsRef<'_>> = data.arrays().into_iter().map(own).collect();
        return handles.write_rows(session, at, count, &own);
    };
    let word = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
    let mut rows: Vec<u32> = (word(places.start)..word(places.end)).collect();
    Permutation::new(word(data.rows), seed, epoch).rows(word(places.start), &mut rows);
    let picked = |elements: ElementsRef<'_>| elements.picked(data.rows, &rows);
    let picked: Vec<HostElements<'_>> = data.arrays().into_iter().map(picked).collect();
    let picked: Vec<ElementsRef<'_>> = picked.iter().map(HostElements::as_ref).collect();
    handles.write_rows(session, at, count, &picked)
}
