//! Where rows find room on the device: all of them, or parts as large as the memory and the bindings allow.

use crate::op::{MAX_CHUNKS, Parts};
use crate::plan::{Place, RowBytes};
use crate::train::micro::{Micro, can_split};
use crate::train::model::Model;
use crate::train::prepare::Prepared;
use crate::train::programs::{ArrayKind, Capacity, Extent, RowProgram, chunk_rows};
use crate::train::sizes::{MAX_EVALUATE_ROWS, READBACKS, RING_ROWS};
use crate::{Error, Result};

use super::Feeder;
use super::feeder::PARTS_AT_ONCE;

/// Bytes that are kept free beside a plan's own: params, readbacks, what a driver rounds up to.
const SPARE_BYTES: u64 = 1 << 20;

/// Rows of the smallest batches of an evaluation that are tried where larger ones have no room.
const MIN_BATCH: usize = 16;

/// What an evaluation has room for.
enum Fits {
    /// All rows.
    All,
    /// Parts of this many rows.
    Parts(usize),
    /// Less than two batches.
    Nothing,
}

/// Rows of the widest array of a data set that fit one binding.
fn bindable_rows(model: &Model, weights: usize) -> usize {
    let arrays = model.recipe().arrays(weights);
    let widest = arrays.iter().map(ArrayKind::words).max().unwrap_or(1);
    chunk_rows(model.device().target(), widest)
}

/// Whether all rows fit the bindings that one array may have.
fn binds(bindable: usize, rows: usize) -> bool {
    rows.div_ceil(bindable) <= MAX_CHUNKS
}

/// Rows of a part, whole batches, where the device has room for `rows` rows, of which one binding takes `bindable`.
fn part_of(rows: usize, bindable: usize, batch: usize) -> usize {
    (rows.min(bindable) / PARTS_AT_ONCE / batch).max(1) * batch
}

/// The bytes of a session's slots by the rows of a program's data set, of which `capacity` has room for `rows`.
fn row_bytes(
    model: &Model,
    capacity: Capacity,
    (program, rows): (RowProgram, usize),
) -> Result<RowBytes> {
    let recipe = model.recipe();
    let plan = recipe.build(capacity)?;
    let handles = recipe.handles(&plan)?;
    let chunks = handles.rows(program)?.arrays.iter();
    let places = chunks.map(|chunks| chunks.iter().map(|chunk| chunk.place()).collect());
    let places: Vec<Vec<Place>> = places.collect();
    Ok(plan.row_bytes(places.iter().map(Vec::as_slice), rows))
}

/// None for a plan whose arrays exceed what the device binds.
fn bindable(bytes: Result<RowBytes>) -> Result<Option<RowBytes>> {
    match bytes {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::Limit { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Decides whether rows to train on lie on the device as a whole or come in parts of `wanted` rows: by itself where nothing is
/// said, by what the device has room for beside the rest.
pub(in crate::train) fn place(
    model: &Model,
    feeder: &mut Feeder<'_>,
    batch: usize,
    evaluate: Option<Extent>,
    wanted: Option<usize>,
) -> Result<()> {
    let most = most_of_part(model, feeder, batch, evaluate)?;
    let part = wanted.or(feeder.usual_part(batch)).or(most);
    let Some(part) = part else {
        return Ok(());
    };
    // Parts that do not fit are made smaller.
    let part = most.map_or(part, |most| part.min(most));
    if part < feeder.rows {
        // An even number of parts lets each be brought while the one before is computed on, those of the next epoch too.
        let parts = feeder.rows.div_ceil(part).next_multiple_of(PARTS_AT_ONCE);
        if wanted.is_none() && most.is_some() {
            let rows = feeder.rows;
            tracing::info!(rows, parts, "no room for all rows: they come in parts");
        }
        feeder.divide(feeder.rows.div_ceil(parts), batch);
    } else if !feeder.repeats() {
        feeder.divide(feeder.rows, batch);
    }
    Ok(())
}

/// The most rows of a part that the device has room for; none where all rows have room.
fn most_of_part(
    model: &Model,
    feeder: &Feeder<'_>,
    batch: usize,
    evaluate: Option<Extent>,
) -> Result<Option<usize>> {
    let bindable_rows = bindable_rows(model, feeder.weights);
    let capacity = |rows: usize| Capacity {
        train: Some(Extent {
            rows,
            ..feeder.extent(batch)
        }),
        evaluate: evaluate.or(model.engine.capacity().evaluate),
    };
    if model.engine.capacity().covers(&capacity(feeder.rows)) {
        // They have room in the session that is open.
        return Ok(None);
    }
    let Some(free) = model.engine.free_bytes() else {
        let part = part_of(usize::MAX, bindable_rows, batch);
        return Ok((!binds(bindable_rows, feeder.rows)).then_some(part));
    };
    let read = evaluate.map_or(Ok(0), |extent| read_back_bytes(model, extent.batch))?;
    let free = free.saturating_sub(SPARE_BYTES.saturating_add(read));
    let bytes = |rows: usize| row_bytes(model, capacity(rows), (RowProgram::Train, rows));
    let whole = bindable(bytes(feeder.rows))?;
    if whole
        .as_ref()
        .is_some_and(|whole| whole.at(feeder.rows) <= free)
    {
        return Ok(None);
    }
    let least = PARTS_AT_ONCE * batch;
    let bytes = match whole {
        Some(whole) => whole,
        None => bytes(least)?,
    };
    let rows = bytes.most_rows(free).unwrap_or(0);
    Ok(Some(part_of(rows, bindable_rows, batch)))
}

/// Room for an evaluation that has all rows on the device.
fn evaluation_extent(data: &Prepared<'_>) -> Extent {
    // Positions are rows of their own to what counts them.
    let most = MAX_EVALUATE_ROWS / data.positions.next_power_of_two();
    // Sizes in few steps, so that a set a little larger needs no new session.
    let batch = data.rows.next_power_of_two().min(most.max(1));
    Extent {
        weights: data.weight_columns(),
        ..Extent::new(data.rows, batch)
    }
}

/// The room for rows to evaluate on: for all of them, or for two parts where these have none, or parts of `wanted` rows are
/// asked for. `trains` is the least room that a training beside the evaluation needs, then the most that it has use for.
pub(in crate::train) fn evaluation_place(
    model: &Model,
    data: &Prepared<'_>,
    trains: &[Extent],
    wanted: Option<usize>,
) -> Result<Extent> {
    let whole = evaluation_extent(data);
    let open = model.engine.capacity();
    // A training that is to come may need another session, with less room.
    if wanted.is_none() && trains.len() < 2 && open.covers(&Capacity::evaluating(whole)) {
        return Ok(whole);
    }
    // Parts are whole batches, those of a session that is open already too.
    let mut batch = whole
        .batch
        .max(open.evaluate.map_or(0, |extent| extent.batch));
    let mut extent = whole;
    let most = loop {
        match evaluation_fits(model, data, trains, extent, batch)? {
            // Beside a run that fills the budget even two batches may be too many.
            Fits::Nothing if batch > MIN_BATCH => {
                batch = (batch / 2).max(MIN_BATCH);
                extent.batch = batch;
            }
            Fits::Nothing => break Some(batch),
            Fits::Parts(rows) => break Some(rows),
            Fits::All => break None,
        }
    };
    let wanted = wanted.map(|rows| rows.div_ceil(batch).max(1) * batch);
    let part = [most, wanted].into_iter().flatten().min();
    let Some(part) = part.filter(|part| part.saturating_mul(PARTS_AT_ONCE) < data.rows) else {
        return Ok(extent);
    };
    if wanted.is_none() {
        let rows = data.rows;
        tracing::info!(
            rows,
            part,
            batch,
            "no room for all rows to evaluate: they come in parts"
        );
    }
    Ok(Extent {
        rows: part * PARTS_AT_ONCE,
        ..extent
    })
}

/// What there is room for of an evaluation in batches of `batch`.
fn evaluation_fits(
    model: &Model,
    data: &Prepared<'_>,
    trains: &[Extent],
    whole: Extent,
    batch: usize,
) -> Result<Fits> {
    let bindable_rows = bindable_rows(model, whole.weights);
    let Some(free) = model.engine.free_bytes() else {
        return Ok(if binds(bindable_rows, data.rows) {
            Fits::All
        } else {
            Fits::Parts(part_of(usize::MAX, bindable_rows, batch))
        });
    };
    let read = read_back_bytes(model, batch)?;
    // If memory is short, readbacks get at most half of it, or what they need.
    let spare = SPARE_BYTES.saturating_add(read).min(read.max(free / 2));
    let free = free.saturating_sub(spare);
    let bytes = |train: Option<&Extent>, rows: usize| {
        let capacity = Capacity {
            train: train.copied(),
            evaluate: Some(Extent { rows, ..whole }),
        };
        bindable(row_bytes(model, capacity, (RowProgram::Evaluate, rows)))
    };
    let all = bytes(trains.last(), data.rows)?;
    if all.as_ref().is_some_and(|all| all.at(data.rows) <= free) {
        return Ok(Fits::All);
    }
    let least = PARTS_AT_ONCE * batch;
    let beside_least = match all {
        Some(all) if trains.len() < 2 => Some(all),
        _ => bytes(trains.first(), least)?,
    };
    let Some(bytes) = beside_least.filter(|bytes| bytes.at(least) <= free) else {
        return Ok(Fits::Nothing);
    };
    let mut limit = free;
    if trains.len() > 1 {
        // A training divides its rows too, and has half of what is left for them.
        let base = bytes.at(least);
        limit = base + free.saturating_sub(base) / 2;
        if binds(bindable_rows, data.rows) && bytes.at(data.rows) <= limit {
            return Ok(Fits::All);
        }
    }
    let rows = bytes.most_rows(limit).unwrap_or(0);
    Ok(Fits::Parts(part_of(rows, bindable_rows, batch)))
}

/// Bytes that the figures of an evaluation in such batches are read back through.
fn read_back_bytes(model: &Model, batch: usize) -> Result<u64> {
    let layout = model.recipe().metrics()?.layout;
    let ring = RING_ROWS * layout.columns * Parts::of(batch).numbers();
    let tallies = 2 * layout.slots * layout.tallies.iter().sum::<usize>();
    Ok(4 * READBACKS as u64 * (ring + tallies) as u64)
}

/// Closes a session with room for training data beside which not even two batches of an evaluation have any: the next `fit`
/// makes another.
pub(in crate::train) async fn make_room(model: &mut Model, data: &Prepared<'_>) -> Result<()> {
    let (open, Some(free)) = (model.engine.capacity(), model.engine.free_bytes()) else {
        return Ok(());
    };
    if open.train.is_none() {
        return Ok(());
    }
    let whole = evaluation_extent(data);
    let rows = data.rows.min(PARTS_AT_ONCE * whole.batch);
    let evaluate = Some(Extent { rows, ..whole });
    let wanted = Capacity { evaluate, ..open };
    if !open.covers(&wanted) && model.recipe().build(wanted)?.slot_bytes() > free {
        model.count_dropped().await?;
        model.engine.read().await?;
        model.engine.close();
    }
    Ok(())
}

/// Into how many parts a batch of `batch` rows is split.
pub(in crate::train) fn parts_of_batch(
    model: &Model,
    micro: Micro,
    feeder: &Feeder<'_>,
    batch: usize,
    evaluate: Option<Extent>,
) -> Result<u32> {
    let recipe = model.recipe();
    let device = match (micro, model.device().gpu()) {
        (Micro::Count(count), _) => {
            can_split(&recipe, feeder.rows, batch, count)?;
            return Ok(count);
        }
        // The processor's memory is the machine's, which swaps.
        (Micro::Fitting, None) => return Ok(1),
        (Micro::Fitting, Some(device)) => device,
    };
    // What the session at hand holds is given back before another is opened.
    let freed = model.engine.bytes();
    let most = u32::try_from(batch).unwrap_or(u32::MAX);
    let mut outcome = Ok(1);
    for count in (1..=most).filter(|count| most.is_multiple_of(*count)) {
        if can_split(&recipe, feeder.rows, batch, count).is_err() {
            break;
        }
        // Rows that find no room beside it come in parts.
        let part = batch / count as usize;
        let train = Some(Extent {
            rows: feeder.rows.min(PARTS_AT_ONCE * part),
            micro: count,
            ..feeder.extent(part)
        });
        let plan = recipe.build(Capacity { train, evaluate });
        outcome = plan.and_then(|plan| device.admit(&plan, freed).map(|()| count));
        match &outcome {
            // The part exceeds the memory, or a binding.
            Err(Error::OutOfMemory { .. } | Error::Limit { .. }) => continue,
            Ok(parts) if *parts > 1 => {
                tracing::info!(batch, parts, "no room for whole batches: they are split");
            }
            _ => {}
        }
        break;
    }
    outcome
}
