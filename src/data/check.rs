//! The checks of a data set: lengths that fit, labels in range, finite numbers, and room in memory.

use crate::error::{Error, Result};

use super::rows::whole_rows;
use super::targets::signed;
use super::{Dataset, Targets};

impl Dataset {
    /// Checks that every feature and every target value is a number: no NaN, no infinity. Training does this first.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] naming the first row and column where it is not so.
    pub fn check_finite(&self) -> Result<()> {
        self.check_features(
            |x| x.is_finite(),
            "impute the missing cell or remove its row",
        )?;
        self.check_finite_targets()
    }

    /// The part of [`check_finite`](Self::check_finite) that looks at targets only.
    pub(crate) fn check_finite_targets(&self) -> Result<()> {
        for (_, targets) in &self.outputs {
            if let Targets::Values { values, columns } = targets
                && let Some(at) = first_unfit(values, |x| x.is_finite())
            {
                let (row, column) = (at / columns, at % columns);
                return Err(Error::data(format!(
                    "row {row}, target column {column} (counted from 0) is {}: remove the row or mend its target",
                    values[at]
                )));
            }
        }
        Ok(())
    }

    /// Checks that no feature is infinite; missing cells may be there.
    pub(super) fn check_not_infinite(&self) -> Result<()> {
        self.check_features(|x| !x.is_infinite(), "mend the cell or remove its row")
    }

    fn check_features(&self, fits: impl Fn(f32) -> bool, mend: &str) -> Result<()> {
        for (name, samples) in self.inputs() {
            let Some(numbers) = samples.values().as_f32() else {
                continue;
            };
            let Some(at) = first_unfit(numbers, &fits) else {
                continue;
            };
            let (row, column) = (at / samples.width(), at % samples.width());
            let column = match self.inputs().len() {
                1 => self.describe_column(column),
                _ => format!("column {column} of `{name}` (counted from 0)"),
            };
            let found = numbers[at];
            return Err(Error::data(format!(
                "row {row}, {column} is {found}: {mend}"
            )));
        }
        Ok(())
    }

    /// A column's index and name, for a message.
    pub(super) fn describe_column(&self, column: usize) -> String {
        match self.feature_names().get(column) {
            Some(name) => format!("column {column}, `{name}` (counted from 0)"),
            None => format!("column {column} (counted from 0)"),
        }
    }
}

/// The place of the first number that does not fit, looked for in blocks, whose loops vectorise: most sets have none.
fn first_unfit(values: &[f32], fits: impl Fn(f32) -> bool) -> Option<usize> {
    const BLOCK: usize = 1024;
    let fit = |block: &[f32]| block.iter().fold(true, |all, &value| all & fits(value));
    let block = values.chunks(BLOCK).position(|block| !fit(block))?;
    let rest = &values[block * BLOCK..];
    let unfit = rest.iter().position(|&value| !fits(value))?;
    Some(block * BLOCK + unfit)
}

/// Checks that preprocessing left numbers in rows of `columns`.
pub(crate) fn check_finite(features: &[f32], columns: usize) -> Result<()> {
    let Some(at) = first_unfit(features, |x| x.is_finite()) else {
        return Ok(());
    };
    Err(Error::data(format!(
        "row {}, column {} of what preprocessing makes (counted from 0) is {}: impute missing cells before other steps",
        at / columns,
        at % columns,
        features[at]
    )))
}

/// Refuses labels that name no class. Negative ones may be there: a loss may ignore them.
fn check_labels(labels: &[u32], columns: usize, classes: usize) -> Result<()> {
    let beyond = |label: &u32| *label as usize >= classes && signed(*label, classes) >= 0;
    match labels.iter().position(beyond) {
        None => Ok(()),
        Some(at) => Err(Error::data(format!(
            "row {} (counted from 0) has label {}, and {classes} classes have labels below {classes}: \
             count labels from 0, or say that there are more classes",
            at / columns,
            labels[at]
        ))),
    }
}

/// Refuses targets that are not of `rows` rows, and labels out of range.
pub(super) fn check_targets(targets: &Targets, rows: usize) -> Result<()> {
    let found = match targets {
        Targets::None => return Ok(()),
        Targets::Values { values, columns } => whole_rows("target values", values.len(), *columns)?,
        Targets::Labels { labels, classes } => {
            check_labels(labels, 1, *classes)?;
            labels.len()
        }
        Targets::LabelTable {
            labels,
            columns,
            classes,
        } => {
            let rows = whole_rows("labels", labels.len(), *columns)?;
            check_labels(labels, *columns, *classes)?;
            rows
        }
    };
    if found != rows {
        return Err(Error::data(format!(
            "{rows} rows of features and {found} of targets: give one row of targets per row of features"
        )));
    }
    Ok(())
}
