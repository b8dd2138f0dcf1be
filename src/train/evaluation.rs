//! The loss and the metrics of a network on other data: a pass that updates nothing.

use std::fmt;

use crate::{Error, Result, Snapshot};

use super::epoch_sums::EpochSums;
use super::feed::{Feeder, evaluation_place, make_room};
use super::figures;
use super::history::find;
use super::metric::{ConfusionMatrix, ModelMetrics};
use super::model::Model;
use super::prepare::Prepared;
use super::programs::{Capacity, ClockStart, Extent, RowProgram};
use super::recovery::Recovery;
use super::sizes::MAX_EVALUATE_ROWS;
use super::steps::RowPass;

/// Loss and metrics over a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The mean loss over all rows.
    pub loss: f64,
    /// Metrics by name, in the order of `compile`.
    pub metrics: Vec<(String, f64)>,
    /// The confusion matrix, where one of the metrics is computed from it: Cohen's κ, balanced accuracy …
    pub confusion: Option<ConfusionMatrix>,
}

impl Evaluation {
    /// The metric of that name; `loss` too.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" {
            return Some(self.loss);
        }
        find(&self.metrics, name)
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loss = ("loss".to_string(), self.loss);
        let figures = std::iter::once(loss).chain(self.metrics.iter().cloned());
        f.write_str(&figures::lines(String::new(), figures, None))
    }
}

/// The figures of a model on prepared data, on a device made again where it is lost meanwhile.
pub(super) async fn evaluate(model: &mut Model, data: &Prepared<'_>) -> Result<Evaluation> {
    if model.engine.is_running() {
        return evaluate_in_run(model, data).await;
    }
    let mut tries = Recovery::default().tries;
    loop {
        match evaluate_once(model, data, None).await {
            Err(error) => model.engine.try_again(&mut tries, error)?,
            done => return done,
        }
    }
}

/// Evaluates while a run is under way, with the weights as they are now: in a session of its own, so that the run's data and
/// what it has under way stay as they are.
async fn evaluate_in_run(model: &mut Model, data: &Prepared<'_>) -> Result<Evaluation> {
    let Some(open) = &mut model.engine.open else {
        let outcome = evaluate_once(model, data, None).await;
        // The run that begins has its room planned without this one.
        model.engine.open = None;
        return outcome;
    };
    let weights = open.learned().await?;
    let aside = model.engine.set_aside();
    let outcome = evaluate_once(model, data, Some(&weights)).await;
    model.engine.take_up(aside);
    outcome
}

/// Evaluates with these weights, or those that the open session has.
async fn evaluate_once(
    model: &mut Model,
    data: &Prepared<'_>,
    weights: Option<&Snapshot>,
) -> Result<Evaluation> {
    make_room(model, data).await?;
    let train = model.engine.capacity().train;
    let trains = train.as_slice();
    // A session on the processor takes rows a batch at a time: it computes them while they are in its caches, and opens without
    // room for all of them, which took six times as long as to evaluate 60 000 rows of 784 numbers.
    let in_cache = model.device().gpu().is_none().then_some(MAX_EVALUATE_ROWS);
    let capacity = Capacity::evaluating(evaluation_place(model, data, trains, in_cache)?);
    if let Some(weights) = weights {
        model.session(capacity).await?.restore(weights)?;
    }
    load(model, capacity, data).await?;
    let metrics = model.recipe().metrics()?;
    measure(model, capacity, data, &metrics).await
}

/// Uploads the data that [`measure`] runs over, or opens a session to bring it to in parts.
pub(super) async fn load(model: &mut Model, capacity: Capacity, data: &Prepared<'_>) -> Result<()> {
    let (mut feeder, _) = feeder(model, capacity, data).await?;
    feeder.begin(model, (RowProgram::Evaluate, capacity)).await
}

/// What brings the data to a session, and the session's size of batches.
async fn feeder<'a>(
    model: &mut Model,
    capacity: Capacity,
    data: &'a Prepared<'a>,
) -> Result<(Feeder<'a>, usize)> {
    let open = model.opened(capacity).await?.capacity.evaluate;
    let batch = open.map_or(MAX_EVALUATE_ROWS, |extent| extent.batch);
    let rows = capacity.evaluate.map_or(data.rows, |extent| extent.rows);
    Ok((Feeder::once(data, Extent::new(rows, batch)), batch))
}

/// Runs over evaluation data once: what was [loaded](load), or what is brought in parts.
pub(super) async fn measure(
    model: &mut Model,
    capacity: Capacity,
    data: &Prepared<'_>,
    metrics: &ModelMetrics,
) -> Result<Evaluation> {
    let program = RowProgram::Evaluate;
    let (feeder, batch) = feeder(model, capacity, data).await?;
    let start = ClockStart {
        resident_rows: feeder.resident_rows(),
        ..ClockStart::at_beginning(data.rows)
    };
    model.set_clock(program, capacity, &start).await?;
    let epoch_sums = EpochSums::new(data.rows as u64, batch as u64, metrics.layout.clone(), 0);
    let steps = epoch_sums.steps_per_epoch();
    let mut pass = RowPass::new((program, capacity), feeder, vec![epoch_sums], steps);
    let mut submissions = pass.begin(model, metrics).await?;
    let mut figures = None;
    loop {
        pass.submit(model, &mut submissions, u64::MAX).await?;
        let Some((_, steps)) = pass.answer(model, &mut submissions).await? else {
            break;
        };
        for step in steps {
            figures = pass.epoch_sums[0].absorb(step).1;
        }
    }
    let figures = figures.ok_or_else(|| Error::data("there are no rows to evaluate on"))?;
    Ok(Evaluation {
        loss: figures.loss(),
        metrics: metrics.report(&figures)?,
        confusion: metrics.confusion(&figures),
    })
}
