//! `evaluate` and `predict`: the trained network on other data.

use std::fmt;

use crate::data::check::room;
use crate::{Dataset, Error, Result, Session, Snapshot};

use super::Model;
use super::evaluated::{Brought, window};
use super::features::Features;
use super::ledger::Ledger;
use super::metric::{Board, ConfusionMatrix};
use super::model::ClockStart;
use super::prepare::Prepared;
use super::programs::{Needs, PREDICT_ROWS, Room};
use super::recover::Recovery;
use super::submissions::{Answer, Submissions};

/// Most rows that `evaluate` computes at once.
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

/// The model's outputs for rows of input.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    values: Vec<f32>,
    columns: usize,
    outputs: Vec<Own>,
}

/// The predictions' part that is one output's.
#[derive(Debug, Clone, PartialEq)]
struct Own {
    name: String,
    columns: usize,
    /// Columns of each of its positions.
    classes: usize,
}

impl Predictions {
    /// Those of one output of a model of several.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where the model has no output of that name.
    pub fn output(&self, name: &str) -> Result<Predictions> {
        let place = self.outputs.iter().position(|own| own.name == name);
        let Some(place) = place else {
            return Err(Error::NotFound {
                what: "output",
                name: name.into(),
                known: self.outputs.iter().map(|own| own.name.clone()).collect(),
            });
        };
        let before = self.outputs[..place].iter().map(|own| own.columns);
        let (start, columns) = (before.sum::<usize>(), self.outputs[place].columns);
        let own = |row: &[f32]| row[start..start + columns].to_vec();
        Ok(Predictions {
            values: self.rows().flat_map(own).collect(),
            columns,
            outputs: vec![self.outputs[place].clone()],
        })
    }

    /// All outputs, row-major; those of a model of several side by side.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Outputs of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The outputs of every row.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.columns)
    }

    /// The class of every row: that of the largest output, the first of equals; with a single output, whether it is
    /// above one half. Where the output has several positions, those of every position, row by row; where there are several
    /// outputs all columns count as one's.
    pub fn classes(&self) -> Vec<usize> {
        let class = |row: &[f32]| match row {
            [single] => usize::from(*single > 0.5),
            row => (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best }),
        };
        let classes = match &self.outputs[..] {
            [only] => only.classes,
            _ => self.columns,
        };
        self.values.chunks_exact(classes).map(class).collect()
    }
}

impl Model {
    /// Loss and metrics over `data`, averaged over its rows.
    ///
    /// Rows that find no room at once within the [budget](crate::Options), or in the device's bindings, come in parts; the
    /// numbers are the same bits. Without a budget, rows that the bindings hold but the memory does not are
    /// [`Error::OutOfMemory`]. A callback may evaluate on any data while its run goes on.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let device = self.device().clone();
        device.block_on(self.evaluate_async(data))
    }

    /// [`Model::evaluate`] without blocking the thread.
    pub async fn evaluate_async(&mut self, data: &Dataset) -> Result<Evaluation> {
        let prepared = self.prepare(data)?;
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
            evaluate: Some(self.place_evaluation(prepared, &trains, None)?),
            ..Needs::default()
        };
        if let Some(weights) = weights {
            self.session(needs).await?.restore(weights)?;
        }
        self.load_evaluation(needs, prepared).await?;
        let board = self.parts().board()?;
        self.run_evaluation(needs, prepared, &board).await
    }

    /// Runs over evaluation data once: what was uploaded, or what is brought in parts.
    pub(super) async fn run_evaluation(
        &mut self,
        needs: Needs,
        data: &Prepared<'_>,
        gauges: &Board,
    ) -> Result<Evaluation> {
        let window = window(needs, data);
        self.set_clock(
            "evaluate",
            needs,
            ClockStart {
                step: 0,
                epoch: 0,
                offset: 0,
                rows: data.rows,
                shuffle: None,
                window,
            },
        )
        .await?;
        let batch = self.evaluation_batch().unwrap_or(EVALUATE_ROWS);
        let mut ledger = Ledger::new(data.rows as u64, batch as u64, gauges.layout(), 0);
        let device = self.device().clone();
        let session = self.session(needs).await?;
        let steps = ledger.steps_per_epoch();
        let mut submissions = Submissions::new("evaluate", gauges, steps, &device, session)?;
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

    /// The model's outputs for rows of input, preprocessed first if the model has such steps.
    ///
    /// Rows come from a data set, a slice of numbers (row-major) or an array of rows; no rows give no predictions. Those of
    /// a model of several inputs come from a data set that names them, or as `&[("a", &a[..]), ("b", &b)]`.
    pub fn predict<'a>(&mut self, rows: impl Into<Features<'a>>) -> Result<Predictions> {
        let device = self.device().clone();
        device.block_on(self.predict_async(rows))
    }

    /// [`Model::predict`] without blocking the thread.
    pub async fn predict_async<'a>(
        &mut self,
        rows: impl Into<Features<'a>>,
    ) -> Result<Predictions> {
        let features = self.preprocessed(rows.into())?;
        let mut tries = Recovery::default().tries;
        loop {
            match self.predict_prepared(&features).await {
                Err(error) => self.try_again(&mut tries, error)?,
                done => return done,
            }
        }
    }

    async fn predict_prepared(&mut self, features: &[f32]) -> Result<Predictions> {
        let (inputs, columns) = (
            self.architecture.input_width(),
            self.architecture.output_width(),
        );
        let session = self.session(Needs::default()).await?;
        let len = (features.len() / inputs).checked_mul(columns);
        let mut values = room(len, "the predictions")?;
        let (whole, rest) =
            features.split_at(features.len() / (PREDICT_ROWS * inputs) * (PREDICT_ROWS * inputs));
        for batch in whole.chunks_exact(PREDICT_ROWS * inputs) {
            values.extend(predict_batch(session, "predict", batch).await?);
        }
        // A row alone has a program of its own; a longer rest runs in a whole batch.
        if rest.len() == inputs {
            values.extend(predict_batch(session, "predict_row", rest).await?);
        } else if !rest.is_empty() {
            let outputs = predict_batch(session, "predict", rest).await?;
            values.extend_from_slice(&outputs[..rest.len() / inputs * columns]);
        }
        let outputs = self.architecture.outputs.iter().enumerate();
        let outputs = outputs.map(|(index, output)| Own {
            name: output.name.clone(),
            columns: self.architecture.width_of(index),
            classes: self.architecture.places_of(index).1,
        });
        Ok(Predictions {
            outputs: outputs.collect(),
            values,
            columns,
        })
    }
}

async fn predict_batch(session: &mut Session, program: &str, rows: &[f32]) -> Result<Vec<f32>> {
    session.write_head(&format!("{program}.x"), rows)?;
    let pending = session.run_and_copy(program, 1, &format!("{program}.y"))?;
    session.finish(pending).await
}

/// Room for evaluation data.
pub(super) fn evaluation_room(data: &Prepared<'_>) -> Room {
    // Positions are rows of their own to what counts them.
    let most = EVALUATE_ROWS / data.positions.next_power_of_two();
    Room {
        rows: data.rows,
        // Sizes in few steps, so that a set a little larger needs no new session.
        batch: data.rows.next_power_of_two().min(most.max(1)),
        weights: data.weight_columns(),
        skips: false,
        micro: 1,
    }
}
