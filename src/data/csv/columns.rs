//! The columns of a CSV file: which of them are features and which targets, and the cells read so far.

use std::path::Path;

use csv::ByteRecord;

use crate::data::{Dataset, Targets};
use crate::error::{Error, Result};

use super::cells::{Cell, text};
use super::labels::{CellNames, Labels};
use super::{Column, Csv};

/// The table while it is being read.
pub(super) struct Columns<'a> {
    csv: &'a Csv,
    width: usize,
    names: Option<Vec<String>>,
    features: Vec<usize>,
    targets: Vec<usize>,
    read: Vec<f32>,
    values: Vec<f32>,
    labels: Option<Labels>,
    /// For each feature, its categories if it is one of them.
    categories: Vec<Option<CellNames>>,
}

impl<'a> Columns<'a> {
    /// The columns that `csv` asks for, of a file whose first record has `width` cells.
    pub(super) fn new(
        csv: &'a Csv,
        path: &Path,
        width: usize,
        names: Option<Vec<String>>,
    ) -> Result<Self> {
        let find = |column: &Column, argument| find(column, argument, width, names.as_deref());
        let skipped = csv
            .skipped
            .iter()
            .map(|column| find(column, "skip"))
            .collect::<Result<Vec<_>>>()?;
        let targets: Vec<usize> = match &csv.targets {
            None => Vec::from_iter((0..width).rfind(|column| !skipped.contains(column))),
            Some(given) => given
                .iter()
                .map(|column| find(column, "target"))
                .collect::<Result<_>>()?,
        };
        if let Some(both) = targets.iter().find(|column| skipped.contains(column)) {
            let message = format!("column {both} (counted from 0) is both a target and skipped");
            return Err(Error::argument("target", message));
        }
        let twice =
            |(at, column): (usize, &usize)| targets[..at].contains(column).then_some(*column);
        if let Some(column) = targets.iter().enumerate().find_map(twice) {
            let message = format!("column {column} (counted from 0) is given twice");
            return Err(Error::argument("target", message));
        }
        if csv.labels && targets.len() != 1 {
            let message = format!(
                "labels stand in one target column, and {} are chosen",
                targets.len()
            );
            return Err(Error::argument("labels", message));
        }
        let features: Vec<usize> = (0..width)
            .filter(|column| !targets.contains(column) && !skipped.contains(column))
            .collect();
        if features.is_empty() {
            let message = format!(
                "no column of {width} is left as a feature: is the delimiter `{}` right, and is a target wanted?",
                csv.delimiter.escape_ascii()
            );
            return Err(Error::format(path, None, message));
        }
        let labels = csv.labels.then(|| Labels::new(&csv.class_names));
        let mut categories: Vec<Option<CellNames>> = features.iter().map(|_| None).collect();
        for (column, listed) in &csv.categorical {
            let column = find(column, "categorical")?;
            let Some(feature) = features.iter().position(|feature| *feature == column) else {
                let message = format!(
                    "column {column} (counted from 0) is a target or skipped, so it is no feature"
                );
                return Err(Error::argument("categorical", message));
            };
            categories[feature] = Some(CellNames::new(listed));
        }
        Ok(Columns {
            csv,
            width,
            names,
            features,
            targets,
            read: Vec::new(),
            values: Vec::new(),
            labels,
            categories,
        })
    }

    /// Reads one record; the error says what is wrong with it.
    pub(super) fn push(&mut self, record: &ByteRecord) -> Result<(), String> {
        if record.len() != self.width {
            let (cells, width) = (record.len(), self.width);
            return Err(format!(
                "this record has {cells} cells, and the first one has {width}"
            ));
        }
        for (feature, column) in self.features.iter().enumerate() {
            let cell = &record[*column];
            self.read.push(
                match (
                    Cell::of(cell, &self.csv.missing),
                    &mut self.categories[feature],
                ) {
                    (Cell::Empty | Cell::Missing, _) => f32::NAN,
                    (_, Some(categories)) => {
                        let number = categories.number(&text(cell), "categories");
                        number
                            .map_err(|message| format!("{}: {message}", self.describe(*column)))?
                            as f32
                    }
                    (Cell::Number(number), None) => number,
                    (other, None) => return Err(self.refuse(*column, cell, other)),
                },
            );
        }
        for column in &self.targets {
            let cell = &record[*column];
            match (&mut self.labels, Cell::of(cell, &self.csv.missing)) {
                (Some(labels), _) => {
                    let pushed = labels.push(&text(cell), &self.csv.missing);
                    pushed.map_err(|message| format!("{}: {message}", self.describe(*column)))?;
                }
                (None, Cell::Number(number)) => self.values.push(number),
                (None, other) => return Err(self.refuse(*column, cell, other)),
            }
        }
        Ok(())
    }

    /// Whether no record has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// The data set of all records.
    pub(super) fn finish(self) -> Result<Dataset> {
        let mut class_names = Vec::new();
        let targets = match self.labels {
            _ if self.targets.is_empty() => Targets::None,
            None => Targets::Values {
                values: self.values,
                columns: self.targets.len(),
            },
            Some(labels) => {
                let (labels, classes, names) = labels.finish();
                class_names = names;
                Targets::Labels { labels, classes }
            }
        };
        let names = self.names.map_or_else(Vec::new, |names| {
            self.features
                .iter()
                .map(|column| names[*column].clone())
                .collect()
        });
        let mut read = self.read;
        let width = self.features.len();
        let mut names_of = Vec::new();
        for (feature, categories) in self.categories.into_iter().enumerate() {
            let Some((names, places)) = categories.map(CellNames::finish) else {
                continue;
            };
            let cells = read.iter_mut().skip(feature).step_by(width);
            cells
                .filter(|x| !x.is_nan())
                .for_each(|x| *x = places[*x as usize] as f32);
            names_of.push((feature, names));
        }
        let data = Dataset::new(read, width, targets)?
            .with_feature_names(names)?
            .with_class_names(class_names)?;
        let mut named = names_of.into_iter();
        named.try_fold(data, |data, (feature, names)| {
            data.with_categories(feature, names)
        })
    }

    /// What is wrong with a cell that should be a number.
    fn refuse(&self, column: usize, cell: &[u8], found: Cell) -> String {
        let target = self.targets.contains(&column);
        let (column, cell) = (self.describe(column), text(cell));
        match found {
            Cell::TooLarge => format!("{column}: `{cell}` is beyond what f32 holds (3.4e38)"),
            Cell::Empty | Cell::Missing => format!("{column}: the target is missing (`{cell}`)"),
            Cell::Number(_) | Cell::Text => {
                let mend = if target {
                    "`.labels()` reads names of classes"
                } else {
                    "`.skip()` leaves the column out, `.categorical()` reads it as categories"
                };
                format!("{column}: `{cell}` is not a number; {mend}")
            }
        }
    }

    /// A column's name and index, for a message.
    fn describe(&self, column: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(column)) {
            Some(name) => format!("column {column} (counted from 0), `{name}`"),
            None => format!("column {column} (counted from 0)"),
        }
    }
}

/// The index of a column that the caller pointed out.
fn find(
    column: &Column,
    argument: &'static str,
    width: usize,
    names: Option<&[String]>,
) -> Result<usize> {
    match (column, names) {
        (Column::Index(index), _) if *index < width => Ok(*index),
        (Column::Index(index), _) => {
            let message = format!("there is no column {index}: {width} columns are counted from 0");
            Err(Error::argument(argument, message))
        }
        (Column::Name(name), None) => {
            let message = format!(
                "the file has no header to find `{name}` in: point to the column by its index"
            );
            Err(Error::argument(argument, message))
        }
        (Column::Name(name), Some(names)) => {
            let mut same = (0..width).filter(|index| names[*index] == *name);
            match (same.next(), same.next()) {
                (Some(index), None) => Ok(index),
                (None, _) => Err(Error::NotFound {
                    what: "column",
                    name: name.clone(),
                    known: names.to_vec(),
                }),
                (Some(first), Some(second)) => {
                    let message = format!(
                        "columns {first} and {second} are both named `{name}`: point to one by its index"
                    );
                    Err(Error::argument(argument, message))
                }
            }
        }
    }
}
