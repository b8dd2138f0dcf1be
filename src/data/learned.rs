//! What a model remembers of the tables that it learned from: the names of columns, categories and classes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::arrange::{listed, numbered};
use super::table::ColumnNames;
use super::{Dataset, Targets};

/// The names of columns, categories and classes that a model learned from.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LearnedNames {
    pub columns: ColumnNames,
    /// In the order of their numbers; empty where they have no names.
    pub classes: Arc<Vec<String>>,
}

/// The names as a model file has them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NamesDescription {
    #[serde(flatten)]
    columns: ColumnNames,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    classes: Vec<String>,
}

impl From<NamesDescription> for LearnedNames {
    fn from(NamesDescription { columns, classes }: NamesDescription) -> Self {
        LearnedNames {
            columns,
            classes: Arc::new(classes),
        }
    }
}

impl LearnedNames {
    /// The names of a data set: those of columns where it is one table.
    pub(crate) fn of(data: &Dataset) -> Self {
        let is_table = data.inputs().len() == 1;
        LearnedNames {
            columns: if is_table {
                data.table.clone()
            } else {
                ColumnNames::default()
            },
            classes: Arc::new(data.class_names.clone()),
        }
    }

    /// Takes over the names of what a model is trained on, where it knows none yet.
    pub(crate) fn learn(&mut self, data: LearnedNames) {
        if self.columns.is_empty() {
            self.columns = data.columns;
        }
        if self.classes.is_empty() {
            self.classes = data.classes;
        }
    }

    /// The names as data; none where there are none.
    pub(crate) fn describe(&self) -> Option<NamesDescription> {
        (*self != Self::default()).then(|| NamesDescription {
            columns: self.columns.clone(),
            classes: self.classes.to_vec(),
        })
    }

    /// Refuses names out of a file that are not those of a model of rows of `width` raw columns.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where the names are not as many as the columns.
    pub(crate) fn check(&self, width: usize) -> Result<()> {
        if self.columns.is_of(width) {
            return Ok(());
        }
        Err(Error::data(format!(
            "names of columns or categories are not as many as the {width} columns"
        )))
    }

    /// Takes over the names of the state that a run goes on from; what was learned so far must have been the same.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where the model knows other columns, categories or classes.
    pub(crate) fn learn_from_state(&mut self, state: LearnedNames, width: usize) -> Result<()> {
        let refused = |message: String| Error::argument("resume", message);
        state
            .check(width)
            .map_err(|refusal| refused(format!("is the state of another model: {refusal}")))?;
        self.check_same(
            &state,
            "a run on",
            "give preprocessing that was fitted on the same table",
        )
        .map_err(|message| refused(format!("is the state of {message}")))?;
        self.learn(state);
        Ok(())
    }

    /// The names that the model has when it takes the weights of a file, whose names these are: what one of them learned, both
    /// have learned. Columns of another number are those of another preprocessing, and say nothing here.
    ///
    /// # Errors
    ///
    /// What is wrong where the model knows other columns, categories or classes.
    pub(crate) fn with_those_of_weights(
        &self,
        mut file: LearnedNames,
        width: usize,
    ) -> Result<Self, String> {
        if file.check(width).is_err() {
            file.columns = ColumnNames::default();
        }
        self.check_same(
            &file,
            "a model of",
            "load them into a model that was compiled anew",
        )
        .map_err(|message| format!("its weights are those of {message}"))?;
        let mut names = self.clone();
        names.learn(file);
        Ok(names)
    }

    /// Refuses other columns, categories or classes where both sides know some.
    fn check_same(&self, theirs: &LearnedNames, what: &str, mend: &str) -> Result<(), String> {
        let (own, other) = (&self.columns, &theirs.columns);
        if !own.is_empty() && !other.is_empty() && own != other {
            return Err(format!(
                "{what} the columns {}, and the model's are {}, in other numbers of columns or categories: {mend}",
                listed(&other.names),
                listed(&own.names)
            ));
        }
        let (own, other) = (&self.classes, &theirs.classes);
        if !own.is_empty() && !other.is_empty() && own != other {
            return Err(format!(
                "{what} the classes {}, and the model's are {}",
                listed(other),
                listed(own)
            ));
        }
        Ok(())
    }

    /// The labels of a data set by the model's numbers of classes, or its one-hot columns in the model's order, where the data set
    /// numbers its classes in another way.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] with the row and the name of a class that the model does not know.
    pub(crate) fn relabelled(&self, data: &Dataset) -> Result<Option<Targets>> {
        let theirs = &data.class_names;
        if self.classes.is_empty() || theirs.is_empty() || *theirs == *self.classes {
            return Ok(None);
        }
        let numbers = numbered(&self.classes);
        // Labels are u32, of which there are no more.
        let known: Vec<Option<u32>> = (theirs.iter())
            .map(|name| numbers.get(name.as_str()).map(|&number| number as u32))
            .collect();
        if let Targets::Values { values, columns } = data.targets() {
            return self.reordered(&known, theirs, (values, *columns)).map(Some);
        }
        let Some((labels, each, _)) = data.targets().as_labels() else {
            return Ok(None);
        };
        let mut mapped = labels.to_vec();
        for (at, label) in mapped.iter_mut().enumerate() {
            let number = *label as usize;
            match (known.get(number), theirs.get(number)) {
                (Some(Some(own)), _) => *label = *own,
                (_, Some(name)) => return Err(self.unknown(at / each.max(1), name)),
                // A label that stands for no class, such as one that is ignored.
                (_, None) => {}
            }
        }
        let classes = self.classes.len();
        Ok(Some(match data.targets() {
            Targets::LabelTable { columns, .. } => Targets::LabelTable {
                labels: mapped,
                columns: *columns,
                classes,
            },
            _ => Targets::Labels {
                labels: mapped,
                classes,
            },
        }))
    }

    /// Columns of classes, for each position a column for each of `theirs`, in the model's order; `known` are their numbers there.
    fn reordered(
        &self,
        known: &[Option<u32>],
        theirs: &[String],
        (values, columns): (&[f32], usize),
    ) -> Result<Targets> {
        let (theirs_wide, own_wide) = (theirs.len(), self.classes.len());
        let positions = columns / theirs_wide;
        let len = (values.len() / theirs_wide).checked_mul(own_wide);
        let mut mapped = reserved(len, "the one-hot values")?;
        mapped.resize(values.len() / theirs_wide * own_wide, 0.0);
        let rows = values.chunks_exact(theirs_wide);
        for (at, (own, row)) in mapped.chunks_exact_mut(own_wide).zip(rows).enumerate() {
            for ((value, number), name) in row.iter().zip(known).zip(theirs) {
                match number {
                    Some(number) => own[*number as usize] = *value,
                    None if *value == 0.0 => {}
                    None => return Err(self.unknown(at / positions.max(1), name)),
                }
            }
        }
        Ok(Targets::Values {
            values: mapped,
            columns: positions * own_wide,
        })
    }

    fn unknown(&self, row: usize, name: &str) -> Error {
        Error::data(format!(
            "row {row} is of the class `{name}`, which is none of those that the model learned: {}",
            listed(&self.classes)
        ))
    }
}
