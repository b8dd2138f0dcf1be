//! What is known of the columns of a table of numbers: their names, and the categories that cells stand for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

use super::Dataset;
use super::notation::Notation;

/// The names of a table's columns, and for columns of categories the names of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ColumnNames {
    /// In the order of the columns; empty where they have no names.
    #[serde(default, rename = "features", skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// For each column the names of its categories, whose numbers are the column's cells; empty for a column of numbers, and
    /// where no column is one of categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    categories: Vec<Vec<String>>,
    /// How the file of the table writes its cells, for rows that are written down by the names of their columns.
    #[serde(default, skip_serializing_if = "Notation::is_default")]
    pub(super) notation: Notation,
}

/// The columns are the same whatever way their file writes numbers.
impl PartialEq for ColumnNames {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names && self.categories == other.categories
    }
}

impl ColumnNames {
    /// Columns of numbers with these names, if there are any, written as those of this table.
    pub fn renamed(&self, names: Vec<String>) -> Self {
        ColumnNames {
            names,
            categories: Vec::new(),
            notation: self.notation.clone(),
        }
    }

    /// The same columns as ones of numbers, whose cells stand for categories no more.
    pub(super) fn without_categories(&self) -> Self {
        self.renamed(self.names.clone())
    }

    /// Whether nothing is known of the columns.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.categories.is_empty()
    }

    /// The number of columns; 0 where nothing is known of them.
    pub fn width(&self) -> usize {
        self.names.len().max(self.categories.len())
    }

    /// Whether they may be those of a table of this many columns: a file may hold anything.
    pub fn is_of(&self, columns: usize) -> bool {
        let fits = |len: usize| len == 0 || len == columns;
        fits(self.names.len()) && fits(self.categories.len())
    }

    /// The names of a column's categories in the order of their numbers; empty for a column of numbers.
    pub fn categories(&self, column: usize) -> &[String] {
        self.categories.get(column).map_or(&[], Vec::as_slice)
    }

    /// What is known of columns that were [arranged](Self::arranged) as these, with that of `given` where these lack it.
    pub(super) fn or(&self, given: &ColumnNames) -> ColumnNames {
        if self.is_empty() {
            return given.clone();
        }
        let named = if self.names.is_empty() { given } else { self };
        ColumnNames {
            names: named.names.clone(),
            categories: self.categories.clone(),
            notation: named.notation.clone(),
        }
    }
}

impl Dataset {
    /// The cells of a table: the numbers of the only input.
    pub(super) fn cells(&self) -> Result<&[f32]> {
        let [(_, only)] = self.inputs() else {
            let count = self.inputs().len();
            let message = format!("only a table has columns; this data set has {count} inputs");
            return Err(Error::data(message));
        };
        let not_numbers = || {
            Error::data(format!(
                "only a table of numbers has columns; the rows of this data set are {}",
                only.kind()
            ))
        };
        only.values().as_f32().ok_or_else(not_numbers)
    }

    /// Refuses other columns than those that `what` was fitted on.
    pub(super) fn check_columns(&self, what: &str, fitted: usize) -> Result<()> {
        let columns = self.columns();
        if columns == fitted {
            return Ok(());
        }
        Err(Error::data(format!(
            "the {what} was fitted on {fitted} columns and the data has {columns}: give it the same columns in the same \
             order"
        )))
    }

    /// Names the features, in the order of their columns; an empty list takes the names away.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there are not as many names as columns.
    pub fn with_feature_names(mut self, names: Vec<String>) -> Result<Self> {
        if !names.is_empty() && names.len() != self.columns() {
            let (given, columns) = (names.len(), self.columns());
            return Err(Error::data(format!(
                "{given} feature names for {columns} columns: give one name per column, or none"
            )));
        }
        self.table.names = names;
        Ok(self)
    }

    /// Says that a column's cells are numbers of categories, counted from 0, and names these; NaN is a missing cell.
    ///
    /// [`Step::OneHot`](super::Step::OneHot) makes a column for each category of them. No names make the column one of
    /// numbers again.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where there is no such column or a name is given twice, [`Error::Data`] where a cell is no number of
    /// a category.
    pub fn with_categories(mut self, column: usize, names: Vec<String>) -> Result<Self> {
        check_listed("names", &names)?;
        if column >= self.columns() {
            let message = format!(
                "there is no column {column}: {} columns are counted from 0",
                self.columns()
            );
            return Err(Error::argument("column", message));
        }
        let named = |x: f32| x.is_nan() || (x.fract() == 0.0 && x >= 0.0 && x < names.len() as f32);
        let cells = self.cells()?.iter().skip(column).step_by(self.columns());
        if let Some((row, x)) = cells
            .enumerate()
            .find(|(_, x)| !names.is_empty() && !named(**x))
        {
            return Err(Error::data(format!(
                "row {row}, {} is {x}, but {} categories have numbers from 0 below {}",
                self.describe_column(column),
                names.len(),
                names.len()
            )));
        }
        let columns = self.columns();
        self.table.categories.resize(columns, Vec::new());
        self.table.categories[column] = names;
        if self.table.categories.iter().all(Vec::is_empty) {
            self.table.categories.clear();
        }
        Ok(self)
    }

    /// The features' names in the order of the columns; empty where they have none.
    pub fn feature_names(&self) -> &[String] {
        &self.table.names
    }

    /// The names of a column's categories in the order of their numbers; empty for a column of numbers.
    pub fn categories(&self, column: usize) -> &[String] {
        self.table.categories(column)
    }
}

/// Refuses a list that has a name twice.
pub(super) fn check_listed(argument: &'static str, listed: &[String]) -> Result<()> {
    let mut known = HashSet::with_capacity(listed.len());
    match listed.iter().find(|name| !known.insert(name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("must be different names, got `{name}` twice");
            Err(Error::argument(argument, message))
        }
    }
}

/// Refuses `len` numbers that are not whole rows of the columns that `what` was fitted on.
pub(super) fn check_rows(what: &str, len: usize, columns: usize) -> Result<()> {
    if len.is_multiple_of(columns) {
        return Ok(());
    }
    Err(Error::data(format!(
        "{len} features are not whole rows of the {columns} columns that the {what} was fitted on"
    )))
}
