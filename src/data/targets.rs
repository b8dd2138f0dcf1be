//! What a model learns to say about each row of a data set.

use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::rows::picked;

/// What a network learns to say about each row.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Targets {
    /// Nothing: rows to predict on.
    None,
    /// Numbers, row-major `[rows, columns]`: regression, 0/1 answers, one-hot classes.
    Values {
        /// Row-major, `rows × columns` of them.
        values: Vec<f32>,
        /// Numbers per row, at least 1.
        columns: usize,
    },
    /// One class per row, as a number. To a loss of numbers (a squared error …) on a single output they are these numbers.
    ///
    /// A negative label, such as PyTorch's −100 for rows that do not count, is no class: losses and metrics that ignore it by
    /// `ignore_class(-100)` leave its rows out, and others refuse it. It is kept in two's complement: `(-100_i32).cast_unsigned()`.
    Labels {
        /// One per row, each below `classes` or negative.
        labels: Vec<u32>,
        /// How many classes there are, at least 1.
        classes: usize,
    },
    /// A class for each of several positions of a row, as a number: row-major `[rows, columns]`, for a model whose output is
    /// `[…, classes]` with as many positions before the classes.
    LabelTable {
        /// Row-major, `rows × columns` of them, each below `classes` or negative, as in `Labels`.
        labels: Vec<u32>,
        /// Labels per row, at least 1.
        columns: usize,
        /// How many classes there are, at least 1.
        classes: usize,
    },
}

impl Targets {
    /// Labels with the number of them in a row and of classes, where they are labels.
    pub(crate) fn as_labels(&self) -> Option<(&[u32], usize, usize)> {
        match self {
            Targets::Labels { labels, classes } => Some((labels, 1, *classes)),
            Targets::LabelTable {
                labels,
                columns,
                classes,
            } => Some((labels, *columns, *classes)),
            Targets::None | Targets::Values { .. } => None,
        }
    }

    /// What they are, for errors.
    pub(super) fn told(&self) -> String {
        match self {
            Targets::None => "none".into(),
            Targets::Values { columns, .. } => format!("numbers, {columns} a row"),
            Targets::Labels { classes, .. } => format!("labels of {classes} classes"),
            Targets::LabelTable {
                columns, classes, ..
            } => format!("labels of {classes} classes, {columns} a row"),
        }
    }

    /// The targets of these rows, in this order.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self> {
        Ok(match self {
            Targets::None => Targets::None,
            Targets::Values { values, columns } => Targets::Values {
                values: picked(values, *columns, rows)?,
                columns: *columns,
            },
            Targets::Labels { labels, classes } => Targets::Labels {
                labels: picked(labels, 1, rows)?,
                classes: *classes,
            },
            Targets::LabelTable {
                labels,
                columns,
                classes,
            } => Targets::LabelTable {
                labels: picked(labels, *columns, rows)?,
                columns: *columns,
                classes: *classes,
            },
        })
    }

    /// The same labels, of `classes` classes.
    pub(super) fn with_classes(self, classes: usize) -> Result<Self> {
        match self {
            Targets::Labels { labels, .. } => Ok(Targets::Labels { labels, classes }),
            Targets::LabelTable {
                labels, columns, ..
            } => Ok(Targets::LabelTable {
                labels,
                columns,
                classes,
            }),
            Targets::None | Targets::Values { .. } => Err(Error::data(
                "only labels have a number of classes; the targets here are not labels",
            )),
        }
    }

    /// Labels as values `[rows, positions × classes]`: 1 in the column of the class, 0 elsewhere.
    pub(super) fn one_hot(&self) -> Result<Self> {
        let Some((labels, positions, classes)) = self.as_labels() else {
            return Err(Error::data(
                "one-hot values are made from labels; the targets here are not labels",
            ));
        };
        let mut values = reserved(labels.len().checked_mul(classes), "the one-hot values")?;
        values.resize(labels.len() * classes, 0.0);
        for (at, (row, label)) in values.chunks_exact_mut(classes).zip(labels).enumerate() {
            let Some(own) = row.get_mut(*label as usize) else {
                let (row, label) = (at / positions, signed(*label, classes));
                return Err(Error::data(format!(
                    "row {row} (counted from 0) has the label {label}, which is none of {classes} classes and has no one-hot \
                     values: leave its rows out before"
                )));
            };
            *own = 1.0;
        }
        let columns = positions * classes;
        Ok(Targets::Values { values, columns })
    }
}

impl From<Vec<u32>> for Targets {
    /// A label a row, of as many classes as the largest says.
    fn from(labels: Vec<u32>) -> Self {
        Targets::Labels {
            classes: classes(&labels),
            labels,
        }
    }
}

/// How many classes the largest label says that there are, at least 1. Negative labels are no classes.
pub(super) fn classes(labels: &[u32]) -> usize {
    let own = labels.iter().map(|label| label.cast_signed());
    let largest = own.max().unwrap_or(0).max(0);
    (largest as usize).saturating_add(1)
}

/// A number as a label: whole, from −2³¹, below 2³¹; negative ones in two's complement.
pub(super) fn label(number: f64) -> Option<u32> {
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    let fits = number.fract() == 0.0 && range.contains(&number);
    fits.then_some((number as i32).cast_unsigned())
}

/// The number that a label is: its class, or where it is none of `classes` perhaps a negative one.
pub(crate) fn signed(label: u32, classes: usize) -> i64 {
    if (label as usize) < classes {
        i64::from(label)
    } else {
        i64::from(label.cast_signed())
    }
}
