//! `evaluate`: the loss and the metrics of the trained network on other data.

use std::fmt;

use crate::{Dataset, Error, Result, Snapshot};

use super::Model;
use super::evaluated::{Brought, window};
use super::ledger::Ledger;
use super::metric::{Board, ConfusionMatrix};
use super::model::ClockStart;
use super::prepare::Prepared;
use super::programs::{Needs, Room, RowProgram};
use super::recover::Recovery;
use super::submissions::{Answer, Submissions};

/// Most rows that `evaluate` computes at once. Its steps share a submission and a readback, so that more rows would save
/// dispatches alone; beside a training they would take room for activations that no step of that needs.
const EVALUATE_ROWS: usize = 1024;

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
        self.metrics
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| *value)
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}", self.loss)?;
        self.metrics
            .iter()
            .try_for_each(|(name, value)| write!(f, "  {name} {value:.4}"))
    }
}

impl Model {
    /// Loss and metrics over `data`, averaged over its rows.
    ///
    /// Rows that find no room at once within the [budget](crate::Options), or in the device's bindings, come in parts; the
    /// numbers are the same bits, but where so little is left that batches are smaller than 1024 rows too: then sums are
    /// rounded elsewhere, and fractions of a batch ([`Loss::Dice`](crate::train::Loss::Dice), a mean without an ignored class) are
    /// of smaller ones. Without a budget, rows that the bindings hold but the memory does not are
    /// [`Error::OutOfMemory`]. A callback may evaluate on any data while its run goes on, in what the run leaves of the budget.
    ///
    /// # Errors
    ///
    /// Data that does not fit the model, with the row; memory, a device that fails.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let device = self.device().clone();
        device.block_on(self.evaluate_async(data))
    }

    /// [`Model::evaluate`] without blocking the thread.
    pub async fn evaluate_async(&mut self, data: &Dataset) -> Result<Evaluation> {
        let prepared = self.prepare_evaluation(data)?;
        if self.is_running() {
            return self.evaluate_aside(&prepared).await;
        }
        let mut tries = Recovery::default().tries;
        loop {
            match self.evaluate_prepared(&prepared, None).await {
                Err(error) => self.try_again(&mut tries, error)?,
                done => return done,
            }
        }
    }

    /// With these weights, or those that the open session has.
    pub(super) async fn evaluate_prepared(
        &mut self,
        prepared: &Prepared<'_>,
        weights: Option<&Snapshot>,
    ) -> Result<Evaluation> {
        self.make_room(prepared).await?;
        let train = self.open_needs().train;
        let trains: Vec<Room> = train.into_iter().collect();
        let needs = Needs {
            evaluate: Some(self.place_evaluation(prepared, &trains, self.part_in_cache())?),
            ..Needs::default()
        };
        if let Some(weights) = weights {
            self.session(needs).await?.restore(weights)?;
        }
        self.load_evaluation(needs, prepared).await?;
        let board = self.parts().board()?;
        self.run_evaluation(needs, prepared, &board).await
    }

    /// Rows that a session on the processor takes at a time, in whole batches: it computes them while they are in its caches, and
    /// opens without room for all of them, which took six times as long as to evaluate 60 000 rows of 784 numbers.
    fn part_in_cache(&self) -> Option<usize> {
        self.device().gpu().is_none().then_some(EVALUATE_ROWS)
    }

    /// Runs over evaluation data once: what was uploaded, or what is brought in parts.
    pub(super) async fn run_evaluation(
        &mut self,
        needs: Needs,
        data: &Prepared<'_>,
        gauges: &Board,
    ) -> Result<Evaluation> {
        let window = window(needs, data);
        let start = ClockStart {
            window,
            ..ClockStart::at_beginning(data.rows)
        };
        self.set_clock(RowProgram::Evaluate, needs, start).await?;
        let batch = self.evaluation_batch().unwrap_or(EVALUATE_ROWS);
        let mut ledger = Ledger::new(data.rows as u64, batch as u64, gauges.layout(), 0);
        let device = self.device().clone();
        let steps = ledger.steps_per_epoch();
        let program = self.opened(needs).await?.program(RowProgram::Evaluate)?;
        let mut submissions = Submissions::new(program, gauges, steps, &device)?;
        let mut brought = window.map(|room| Brought::new(room, batch));
        let mut means = None;
        loop {
            let mut submitted = Ok(());
            // The part that is there, and the next one that can be brought once it is under way.
            for _ in 0..2 {
                let ready = match &mut brought {
                    None => steps,
                    Some(brought) => {
                        let done = submissions.submitted();
                        self.bring_evaluated(needs, data, brought, done).await?
                    }
                };
                let session = self.session(needs).await?;
                submitted = submitted.and_then(|()| submissions.ahead(session, ready.min(steps)));
            }
            submitted?;
            let session = self.session(needs).await?;
            let Some(Answer { sums, .. }) = submissions.next(session).await? else {
                break;
            };
            let Some((steps, copied)) = sums else {
                continue;
            };
            ledger.hold(copied);
            for step in steps {
                means = ledger.absorb(step).1;
            }
        }
        let Some(means) = means else {
            return Err(Error::data("there are no rows to evaluate on"));
        };
        Ok(Evaluation {
            loss: means.values.first().copied().unwrap_or(f64::NAN),
            metrics: gauges.report(&means)?,
            confusion: gauges.confusion(&means),
        })
    }
}

/// Room for evaluation data.
pub(super) fn evaluation_room(data: &Prepared<'_>) -> Room {
    // Positions are rows of their own to what counts them.
    let most = EVALUATE_ROWS / data.positions.next_power_of_two();
    // Sizes in few steps, so that a set a little larger needs no new session.
    let batch = data.rows.next_power_of_two().min(most.max(1));
    Room {
        weights: data.weight_columns(),
        ..Room::new(data.rows, batch)
    }
}
