//! The checks of a data set: lengths that fit, labels in range, finite numbers, and room in memory.

use super::{Dataset, Targets};
use crate::error::{Error, Result};

impl Dataset {
    /// Checks that every feature and every target value is a number: no NaN, no infinity. Training does this first.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] naming the first row and column where it is not so.
    pub fn check_finite(&self) -> Result<()> {
        self.check_finite_features()?;
        if let Targets::Values { values, columns } = self.targets()
            && let Some(at) = values.iter().position(|x| !x.is_finite())
        {
            let (row, column) = (at / columns, at % columns);
            return Err(Error::data(format!(
                "row {row}, target column {column} (counted from 0) is {}: remove the row or mend its target",
                values[at]
            )));
        }
        Ok(())
    }

    /// The part of [`check_finite`](Self::check_finite) that looks at features only.
    pub(super) fn check_finite_features(&self) -> Result<()> {
        let Some(at) = self.features().iter().position(|x| !x.is_finite()) else {
            return Ok(());
        };
        let (row, column) = (at / self.columns(), at % self.columns());
        let name = self
            .feature_names()
            .get(column)
            .map(|name| format!(", `{name}`"))
            .unwrap_or_default();
        Err(Error::data(format!(
            "row {row}, column {column}{name} (counted from 0) is {}: impute the missing cell or remove its row",
            self.features()[at]
        )))
    }
}

/// An empty vector with room for `len` elements; an error where `len` overflowed or memory does not suffice.
pub(crate) fn room<T>(len: Option<usize>, what: &str) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    let len = len.ok_or_else(|| Error::data(format!("{what} would be too many to count")))?;
    vector.try_reserve_exact(len).map_err(|refusal| {
        Error::data(format!(
            "{what}, {len} elements, do not fit into memory: {refusal}"
        ))
    })?;
    Ok(vector)
}

/// The number of rows that `len` elements make.
pub(super) fn whole_rows(what: &str, len: usize, columns: usize) -> Result<usize> {
    if len == 0 || columns == 0 {
        return Err(Error::data(format!(
            "there are no {what} ({len} elements in rows of {columns}): give at least one row and one column"
        )));
    }
    if !len.is_multiple_of(columns) {
        return Err(Error::data(format!(
            "{len} {what} are not whole rows of {columns}: row {} would have only {} of its {columns} columns",
            len / columns,
            len % columns
        )));
    }
    Ok(len / columns)
}

/// Refuses targets that are not of `rows` rows, and labels out of range.
pub(super) fn check_targets(targets: &Targets, rows: usize) -> Result<()> {
    let found = match targets {
        Targets::None => return Ok(()),
        Targets::Values { values, columns } => whole_rows("target values", values.len(), *columns)?,
        Targets::Labels { labels, classes } => {
            let beyond = |label: &u32| usize::try_from(*label).is_ok_and(|label| label >= *classes);
            if let Some(row) = labels.iter().position(beyond) {
                return Err(Error::data(format!(
                    "row {row} (counted from 0) has label {}, and {classes} classes have labels below {classes}: \
                     count labels from 0, or say that there are more classes",
                    labels[row]
                )));
            }
            labels.len()
        }
    };
    if found != rows {
        return Err(Error::data(format!(
            "{rows} rows of features and {found} of targets: give one row of targets per row of features"
        )));
    }
    Ok(())
}
