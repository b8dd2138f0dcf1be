//! How a run is made of a `Fit`: room for the rows, limits, the state that it goes on from.

use std::time::Duration;

use crate::edge::WallTime;
use crate::op::is_long_to_compile;
use crate::train::epoch_sums::EpochSums;
use crate::train::feed::{Feeder, evaluation_place, parts_of_batch, place};
use crate::train::fit::{Fit, Resumed};
use crate::train::history::{History, Stop};
use crate::train::micro::Micro;
use crate::train::model::Model;
use crate::train::non_finite::NonFinite;
use crate::train::programs::{Capacity, Extent, RowProgram};
use crate::train::progress::{Progress, Verbose};
use crate::train::sizes::{FEW_STEPS, MAX_BATCH};
use crate::train::state::Order;
use crate::train::steps::RowPass;
use crate::{Error, Result};

use super::keeper::Keeper;
use super::{MemberRun, Run, Validation};

/// Trains a model, or the members of a population, to the end of a run: the history of each.
pub(in crate::train) async fn fit_on<'a>(
    model: &mut Model,
    feeder: Feeder<'a>,
    validation: Option<Validation<'a>>,
    fit: Fit<'a>,
    begun: WallTime,
) -> Result<Vec<History>> {
    let guard = model.engine.begin_run()?;
    let outcome = run_fit(model, feeder, validation, fit, begun).await;
    model.engine.end_run(guard);
    outcome
}

async fn run_fit<'a>(
    model: &mut Model,
    feeder: Feeder<'a>,
    validation: Option<Validation<'a>>,
    mut fit: Fit<'a>,
    begun: WallTime,
) -> Result<Vec<History>> {
    fit.callbacks.validate()?;
    model.count_dropped().await?;
    let resume = match fit.resume.take() {
        Some(resume) => resume.state()?,
        None => None,
    };
    let mut run = Run::new(model, feeder, validation, fit, (begun, resume.as_ref()))?;
    // What does not fit is refused here, before any work.
    run.call(model, |callback, moment| callback.begin(moment))?;
    // A session in which callbacks evaluated has no part in the room that the run was given.
    model.engine.for_callbacks = None;
    let from = resume.as_ref().map(|resumed| &resumed.state);
    run.start(model, from).await?;
    drop(resume);

    run.heard = WallTime::now();
    let outcome = match run.train_on(model).await {
        Err(Error::NonFinite { epoch, step, .. }) => Err(run.explained(model, (epoch, step)).await),
        outcome => outcome,
    };
    if outcome.is_err() {
        run.keep_what_is_left(model).await;
    }
    let ended = run.end_callbacks(model);
    run.progress.finish();
    let outcome = outcome.and(ended);
    if outcome.is_err()
        && model.engine.has_no_session()
        && let Err(error) = run.abandon(model)
    {
        // What ended the run is the error to tell, not that its last state found no room either.
        tracing::warn!(%error, "the last state of the run could not be handed on");
    }
    if outcome.is_err() && !model.members.is_empty() {
        run.leave_members(model);
    }
    outcome?;
    let histories = run.members.into_iter().map(|member| member.history);
    Ok(histories.collect())
}

impl<'a> Run<'a> {
    /// A run by these settings, which goes on from a state where there is one.
    fn new(
        model: &mut Model,
        mut feeder: Feeder<'a>,
        validation: Option<Validation<'a>>,
        mut fit: Fit<'a>,
        (begun, resume): (WallTime, Option<&Resumed>),
    ) -> Result<Self> {
        let (batch, evaluate) = find_room(model, &mut feeder, &validation, &fit, resume)?;
        let capacity = Capacity {
            train: Some(feeder.extent(batch)),
            evaluate,
        };
        let metrics = model.recipe().metrics()?;
        let (rows, micro, few) = (feeder.rows as u64, feeder.micro, feeder.few);
        let mut epoch_sums =
            EpochSums::new(rows, batch as u64, metrics.layout.clone(), model.epochs);
        if fit.non_finite == NonFinite::Skip {
            epoch_sums.leave_out();
        }
        for mut checkpoints in std::mem::take(&mut fit.checkpoints) {
            checkpoints.begin(resume, validation.is_some(), model)?;
            // Before the others: who is told of a state can rely on its file.
            fit.hooks.insert(0, checkpoints.hook());
        }
        let first = match resume {
            Some(Resumed { state, .. }) => state.model_steps.saturating_sub(state.steps),
            None => {
                count_in_parts(model, micro);
                model.steps
            }
        };
        let per_epoch = epoch_sums.steps_per_epoch();
        let (total, stop) = last_step(&fit, &feeder, per_epoch, first)?;
        let population = !model.members.is_empty();
        let seed = model.architecture.seed;
        let shuffles: Vec<Option<u32>> = if population {
            let members = model.members.iter();
            members.map(|member| fit.order(member.seed)).collect()
        } else {
            vec![fit.order(seed)]
        };
        feeder.shuffle = shuffles[0];
        let verbose = if population {
            Verbose::Silent
        } else {
            fit.verbose
        };
        let progress = Progress::new(total.div_ceil(per_epoch), per_epoch, verbose);
        if population {
            // A member whose loss becomes NaN does not stop the others.
            fit.non_finite = NonFinite::GoOn;
        }
        let member = || MemberRun {
            history: History::new(stop.clone()),
            stop: None,
            ended: None,
        };
        let epoch_sums = vec![epoch_sums; shuffles.len()];
        Ok(Run {
            keeper: Keeper::new(model.device(), fit.recovery, feeder.repeats()),
            order: Order {
                rows,
                batch: batch as u64,
                shuffle: shuffles[0],
                micro,
                few: (!population).then_some(few),
            },
            members: shuffles.iter().map(|_| member()).collect(),
            pass: RowPass {
                watched: progress.shows_steps(),
                ..RowPass::new((RowProgram::Train, capacity), feeder, epoch_sums, total)
            },
            first_step: first,
            first_epoch: resume.map_or(model.epochs, |resumed| {
                let state = &resumed.state;
                let done = state.steps.div_ceil(per_epoch);
                state.model_epochs.saturating_sub(done)
            }),
            metrics,
            shuffles,
            fit,
            validation,
            progress,
            begun,
            counted: None,
            before: Duration::ZERO,
            heard: begun,
            epoch_time: Duration::ZERO,
            resumed: resume.is_some(),
            stop: None,
        })
    }
}

/// Counts the steps that the model has done as steps of which `micro` are an update, as the clock of a run does: the updates
/// remain as many, by which optimizers go. A run that an error ended within an update leaves parts that led to none.
fn count_in_parts(model: &mut Model, micro: u32) {
    let whole = model.steps / u64::from(model.micro);
    model.steps = whole.saturating_mul(u64::from(micro));
    model.micro = micro;
}

/// Whether the steps of a run are too few for a kernel that is written for this network alone, where that takes long to
/// compile. A run decides as it begins: one that goes on from a state keeps what was decided.
fn is_of_few_steps(model: &Model, feeder: &Feeder<'_>, fit: &Fit<'_>, batch: usize) -> bool {
    let per_epoch = feeder.rows.div_ceil(batch.max(1)) as u64;
    let steps = fit.epochs.saturating_mul(per_epoch);
    let steps = fit.steps.map_or(steps, |most| steps.min(most));
    let parameters = model.architecture.parameters().map(|it| it.elements());
    !feeder.is_open()
        && steps < FEW_STEPS
        && is_long_to_compile(parameters.sum(), model.device().target())
}

/// The room that an open session has for a batch of somebody's own loop: as for the last rows of an epoch, where there were more
/// in a batch before.
fn room_of_batches(model: &Model, feeder: &Feeder<'_>, fit: &Fit<'_>) -> Option<Extent> {
    let open = model.engine.capacity().train?;
    let alike = open.weights == feeder.weights && open.skips == feeder.skips && open.micro == 1;
    let has_room = feeder.rows <= open.batch.min(open.rows);
    (fit.one_batch && alike && has_room).then_some(open)
}

/// The rows of a step, and the room for rows to evaluate on; the feeder learns whether rows come in parts and batches are split.
fn find_room(
    model: &Model,
    feeder: &mut Feeder<'_>,
    validation: &Option<Validation<'_>>,
    fit: &Fit<'_>,
    resume: Option<&Resumed>,
) -> Result<(usize, Option<Extent>)> {
    feeder.skips = fit.non_finite == NonFinite::Skip;
    let open = room_of_batches(model, feeder, fit);
    let batch = open.map_or(fit.batch_size.min(feeder.rows), |open| open.batch);
    if batch > MAX_BATCH {
        let (rows, size) = (feeder.rows, fit.batch_size);
        let message = format!("must be at most {MAX_BATCH} on {rows} rows, got {size}");
        return Err(Error::argument("batch_size", message));
    }
    if !model.members.is_empty() {
        return Ok((batch, None));
    }
    let kept = resume.and_then(|resumed| resumed.state.order.few);
    feeder.few = match (kept, open) {
        (Some(few), _) => few,
        (None, Some(open)) => open.few,
        (None, None) => is_of_few_steps(model, feeder, fit, batch),
    };
    let evaluate = match validation {
        Some(Validation::Own(data)) => {
            let trains = [feeder.least_extent(batch), feeder.extent(batch)];
            Some(evaluation_place(model, data, &trains, fit.chunk_rows)?)
        }
        _ => None,
    };
    if let Some(mut micro) = fit.micro {
        // Other parts end in other bits: a run goes on with those it had, whatever room there is now.
        if let (Micro::Fitting, Some(resumed)) = (micro, resume) {
            micro = Micro::Count(resumed.state.order.micro);
        }
        feeder.micro = parts_of_batch(model, micro, feeder, batch, evaluate)?;
    }
    let batch = batch / feeder.micro as usize;
    place(model, feeder, batch, evaluate, fit.chunk_rows)?;
    Ok((batch, evaluate))
}

/// The step after which a run ends, and why; `first` steps of the model come before the run.
fn last_step(
    fit: &Fit<'_>,
    feeder: &Feeder<'_>,
    per_epoch: u64,
    first: u64,
) -> Result<(u64, Stop)> {
    let steps = fit.steps.unwrap_or(u64::MAX);
    let steps = steps.saturating_mul(u64::from(feeder.micro));
    let whole = fit.epochs.saturating_mul(per_epoch);
    let mut total = whole.min(steps);
    let stop = match fit.steps {
        Some(steps) if total != whole => Stop::Steps(steps),
        _ => Stop::Epochs(fit.epochs),
    };
    let left = u64::from(u32::MAX).saturating_sub(first);
    if feeder.is_open() && left > 0 {
        // Nobody has said how long the epoch is.
        total = total.min(left);
    }
    if total > left {
        let sum = first.saturating_add(total);
        let message = format!(
            "{total} steps after the {first} that the model has done are {sum}, more than the clock counts, 2³² − 1"
        );
        return Err(Error::argument("epochs", message));
    }
    Ok((total, stop))
}
