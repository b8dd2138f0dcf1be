//! Batches split into micro-batches: gradients of the parts collected, one update for them all.

use crate::optim::Optimizer;
use crate::schedule::Schedule;
use crate::{Error, Result};

use super::Model;
use super::loss::Reduction;
use super::objective::Objective;
use super::programs::{Needs, Room};
use super::stream::Supply;

/// Into how many parts the batches of a run are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Micro {
    /// So many.
    Count(u32),
    /// As few as find room on the device.
    Fitting,
}

impl Micro {
    pub fn validate(self) -> Result<()> {
        match self {
            Micro::Count(0) => Err(refused("must be at least 1, got 0".into())),
            Micro::Count(_) | Micro::Fitting => Ok(()),
        }
    }
}

impl Model {
    /// The parts of a batch of so many rows.
    pub(super) fn parts_of_batch(
        &self,
        micro: Micro,
        supply: &Supply<'_>,
        batch: usize,
        evaluate: Option<Room>,
    ) -> Result<u32> {
        match (micro, self.device().gpu()) {
            (Micro::Count(count), _) => {
                self.can_split(supply.rows, batch, count)?;
                Ok(count)
            }
            // The processor's memory is the machine's, which swaps.
            (Micro::Fitting, None) => Ok(1),
            (Micro::Fitting, Some(device)) => {
                // What the session at hand holds is given back before another is opened.
                let freed = self.open_bytes();
                let most = u32::try_from(batch).unwrap_or(u32::MAX);
                let mut outcome = Ok(1);
                for count in (1..=most).filter(|count| most.is_multiple_of(*count)) {
                    if self.can_split(supply.rows, batch, count).is_err() {
                        break;
                    }
                    // Rows that find no room beside it come in parts.
                    let part = batch / count as usize;
                    let train = Some(Room {
                        rows: supply.rows.min(2 * part),
                        micro: count,
                        ..supply.room(part)
                    });
                    let plan = self.parts().build(Needs { train, evaluate });
                    outcome = plan.and_then(|plan| device.admit(&plan, freed).map(|()| count));
                    match &outcome {
                        // Beyond the memory, or a binding.
                        Err(Error::OutOfMemory { .. } | Error::Limit { .. }) => {}
                        Err(_) => break,
                        Ok(_) => {
                            if count > 1 {
                                tracing::info!(
                                    batch,
                                    parts = count,
                                    "no room for whole batches: they are split"
                                );
                            }
                            break;
                        }
                    }
                }
                outcome
            }
        }
    }

    /// Counts the steps that the model has done as steps of which `micro` are an update, as the clock of a run does: the updates
    /// remain as many, by which optimizers go. A run that an error ended within an update leaves parts that led to none.
    pub(super) fn count_in_parts(&mut self, micro: u32) {
        let whole = self.steps / u64::from(self.micro);
        self.steps = whole.saturating_mul(u64::from(micro));
        self.micro = micro;
    }

    /// Refuses what would not come to the same in micro-batches.
    fn can_split(&self, rows: usize, batch: usize, count: u32) -> Result<()> {
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
        let of_weights =
            |objective: &&Objective| objective.loss.reduction == Reduction::MeanWithSampleWeight;
        if let Some(objective) = self.objectives.iter().find(of_weights) {
            let message = format!(
                "need a reduction that adds up, but {} divides by the weights of a whole batch",
                objective.loss
            );
            return Err(refused(message));
        }
        let schedule = self.optimizer.rates().learning_rate;
        if !matches!(schedule, Schedule::Constant(_)) {
            let message = "need a constant learning rate: schedules count micro-batches";
            return Err(refused(message.into()));
        }
        accumulating(self.optimizer.as_ref(), count).map(drop)
    }
}

/// An optimizer that takes a step for so many batches of the one given.
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
    Ok(config.into_optimizer())
}

fn refused(message: String) -> Error {
    Error::argument("micro_batches", message)
}
