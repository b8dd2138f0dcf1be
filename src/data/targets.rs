//! What a model learns to say about each row of a data set.

use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::Dataset;
use super::check::check_targets;

/// What a network learns to say about each row.
#[derive(Debug, Clone, PartialEq)]
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
    Labels {
        /// One per row, each below `classes`.
        labels: Vec<u32>,
        /// How many classes there are, at least 1.
        classes: usize,
    },
    /// A class for each of several positions of a row, as a number: row-major `[rows, columns]`, for a model whose output is
    /// `[…, classes]` with as many positions before the classes.
    LabelTable {
        /// Row-major, `rows × columns` of them, each below `classes`.
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

    /// Elements of a row: 0 where there are no targets, 1 for a label a row.
    pub(super) fn columns(&self) -> usize {
        match self {
            Targets::None => 0,
            Targets::Values { columns, .. } | Targets::LabelTable { columns, .. } => *columns,
            Targets::Labels { .. } => 1,
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
        for (row, label) in values.chunks_exact_mut(classes).zip(labels) {
            row[*label as usize] = 1.0;
        }
        let columns = positions * classes;
        Ok(Targets::Values { values, columns })
    }
}

impl Dataset {
    /// Names the classes of labels, in the order of their numbers; an empty list takes the names away.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where there are not as many names as classes, or where the targets are not labels.
    pub fn with_class_names(mut self, names: Vec<String>) -> Result<Self> {
        let classes = self.classes().unwrap_or(0);
        if !names.is_empty() && names.len() != classes {
            let given = names.len();
            return Err(Error::data(format!(
                "{given} class names for {classes} classes: give one name per class, or none"
            )));
        }
        self.class_names = names;
        Ok(self)
    }

    /// Says that there are `classes` classes, where the labels at hand may lack the last ones.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, where a label is not below `classes`, and where class names
    /// are set and are not as many.
    pub fn with_classes(mut self, classes: usize) -> Result<Self> {
        self.targets = self.targets.with_classes(classes)?;
        check_targets(&self.targets, self.rows())?;
        let names = std::mem::take(&mut self.class_names);
        self.with_class_names(names)
    }

    /// The number of classes, where the targets are labels.
    pub fn classes(&self) -> Option<usize> {
        self.targets.as_labels().map(|(_, _, classes)| classes)
    }

    /// The classes' names in the order of the labels; empty where they have none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Turns labels into values `[rows, classes]`: 1 in the column of the row's class, 0 elsewhere; those of several positions
    /// into `[rows, positions × classes]`. Class names go.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the targets are not labels, or where the one-hot numbers do not fit into memory.
    pub fn one_hot(mut self) -> Result<Self> {
        self.targets = self.targets.one_hot()?;
        self.class_names = Vec::new();
        Ok(self)
    }
}

impl From<Vec<u32>> for Targets {
    /// A label a row, of as many classes as the largest says.
    fn from(labels: Vec<u32>) -> Self {
        let largest = labels.iter().copied().max().unwrap_or(0);
        Targets::Labels {
            labels,
            classes: (largest as usize).saturating_add(1),
        }
    }
}

/// The rows of a row-major table that `rows` name; they are below its number of rows.
pub(super) fn picked<T: Copy>(table: &[T], columns: usize, rows: &[usize]) -> Result<Vec<T>> {
    let mut picked = reserved(rows.len().checked_mul(columns), "the selected rows")?;
    for row in rows {
        picked.extend_from_slice(&table[row * columns..][..columns]);
    }
    Ok(picked)
}
