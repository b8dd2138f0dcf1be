//! Batches split into micro-batches: gradients of the parts collected, one update for them all.

use crate::optim::{CommonSettings, Optimizer};
use crate::schedule::Schedule;
use crate::{Error, Result};

use super::loss::Reduction;
use super::objective::Objective;
use super::programs::Recipe;

/// Into how many parts the batches of a run are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Micro {
    /// The number of parts that was asked for.
    Count(u32),
    /// The fewest parts that find room on the device.
    Fitting,
}

/// Refuses what would not come to the same in micro-batches.
pub(super) fn can_split(recipe: &Recipe<'_>, rows: usize, batch: usize, count: u32) -> Result<()> {
    if count == 1 {
        return Ok(());
    }
    if !batch.is_multiple_of(count as usize) {
        let message = format!("must divide the batch of {batch} rows, got {count}");
        return Err(refused(message));
    }
    if !rows.is_multiple_of(batch) {
        let message = format!(
            "take batches of one size, but {rows} rows in batches of {batch} leave a smaller last one"
        );
        return Err(refused(message));
    }
    let of_weights = |objective: &&Objective| {
        objective.loss.settings.reduction == Reduction::MeanWithSampleWeight
    };
    if let Some(objective) = recipe.objectives.iter().find(of_weights) {
        let message = format!(
            "need a reduction that adds up, but {} divides by the weights of a whole batch",
            objective.loss
        );
        return Err(refused(message));
    }
    let schedule = recipe.optimizer.rates().learning_rate;
    if !matches!(schedule, Schedule::Constant(_)) {
        let message = "need a constant learning rate: schedules count micro-batches";
        return Err(refused(message.into()));
    }
    accumulating(recipe.optimizer, count).map(drop)
}

/// An optimizer that takes one step for `count` batches of the one given.
pub(super) fn accumulating(optimizer: &dyn Optimizer, count: u32) -> Result<Box<dyn Optimizer>> {
    let config = optimizer.config();
    let mut config = config.ok_or_else(|| {
        refused(format!(
            "need an optimizer that collects gradients, which {} does not",
            optimizer.name()
        ))
    })?;
    let steps = &mut config.common_mut().gradient_accumulation_steps;
    *steps = steps.saturating_mul(count);
    Ok(Box::new(config))
}

fn refused(message: String) -> Error {
    Error::argument("micro_batches", message)
}
