//! The names that a model remembers of the tables that it learned from.

use crate::Result;

use super::Model;
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
