//! The names that a model remembers of the tables that it learned from.

use std::sync::Arc;

use crate::Result;

use super::Model;
use super::engine::KnownBefore;
use super::fit::Fit;

impl Model {
    /// The names of the columns that the model takes, before its preprocessing, in their order: those of the first table with
    /// names that it was fitted on, or of the table that its preprocessing was. They are saved with the model.
    ///
    /// A table whose columns have names is put in this order, by name, wherever it meets the model; `fit`, `evaluate` and
    /// `predict` refuse columns that are missing or unknown. A table without names goes by the places of its columns.
    pub fn feature_names(&self) -> &[String] {
        &self.architecture.names.columns.names
    }

    /// Takes over the names of the state that a run goes on from, so that its table is put in their order.
    pub(super) fn learn_from_state(&mut self, fit: &mut Fit<'_>) -> Result<()> {
        match fit.resumed_names()? {
            None => Ok(()),
            Some(names) => {
                let columns = self.architecture.raw_columns();
                self.architecture.names.learn_from_state(names, columns)
            }
        }
    }

    /// Remembers the names that the model knows before a call of `fit` learns those of its table. What is given out is for the
    /// call to hold.
    pub(super) async fn remember_names(&mut self) -> Result<Arc<()>> {
        self.settle_dropped().await?;
        let call = Arc::new(());
        self.engine.known_before = Some(KnownBefore {
            names: self.architecture.names.clone(),
            steps: self.steps,
            call: Arc::downgrade(&call),
        });
        Ok(call)
    }

    /// Puts back the names from before a call that failed, or was dropped, before it had learned anything of its table.
    pub(super) fn settle_names(&mut self, succeeded: bool) {
        if let Some(before) = self.engine.known_before.take()
            && !succeeded
            && before.steps == self.steps
        {
            self.architecture.names = before.names;
        }
    }

    /// Counts the steps of a run whose future was dropped on its way, and settles its names.
    pub(super) async fn settle_dropped(&mut self) -> Result<()> {
        if self.engine.is_running() {
            return Ok(());
        }
        self.count_dropped().await?;
        let before = self.engine.known_before.as_ref();
        if before.is_some_and(KnownBefore::is_left) {
            self.settle_names(false);
        }
        Ok(())
    }

    /// [`settle_dropped`](Self::settle_dropped) for calls that block.
    pub(super) fn settle_now(&mut self) -> Result<()> {
        let device = self.device().clone();
        device.block_on(self.settle_dropped())
    }

    /// The names of the categories of such a column, in the order of the numbers that stand for them in rows of numbers; empty for a
    /// column of numbers.
    pub fn categories(&self, column: usize) -> &[String] {
        self.architecture.names.columns.categories(column)
    }

    /// The names of the classes that the model tells apart, in the order of their numbers; empty where it learned from labels
    /// without names. [`Predictions::class_names`](super::Predictions::class_names) gives those of rows.
    pub fn class_names(&self) -> &[String] {
        &self.architecture.names.classes
    }
}
