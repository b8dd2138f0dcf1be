//! The columns of a CSV file: which of them are features and which targets, and the cells read so far.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::data::{Dataset, Targets};
use crate::error::{Error, Result};

use super::cells::{Cell, text};
use super::dialect::Dialect;
use super::hint::hint;
use super::labels::{CellNames, Labels};
use super::records::TableRecord;
use super::{Column, Csv};

/// The table while it is being read.
pub(super) struct Columns<'a> {
    dialect: &'a Dialect,
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
        let known = KnownColumns::new(width, names.as_deref());
        let skipped = csv
            .skipped
            .iter()
            .map(|column| known.find(column, "skip"))
            .collect::<Result<HashSet<_>>>()?;
        let targets: Vec<usize> = match &csv.targets {
            None => Vec::from_iter((0..width).rfind(|column| !skipped.contains(column))),
            Some(given) => given
                .iter()
                .map(|column| known.find(column, "target"))
                .collect::<Result<_>>()?,
        };
        if let Some(both) = targets.iter().find(|column| skipped.contains(column)) {
            let message = format!("column {both} (counted from 0) is both a target and skipped");
            return Err(Error::argument("target", message));
        }
        let mut chosen = HashSet::new();
        if let Some(column) = targets.iter().find(|column| !chosen.insert(**column)) {
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
            .filter(|column| !chosen.contains(column) && !skipped.contains(column))
            .collect();
        if features.is_empty() {
            let message = format!(
                "no column of {width} is left as a feature: is the delimiter `{}` right, and is a target wanted?",
                csv.dialect.delimiter.escape_ascii()
            );
            return Err(Error::format(path, None, message));
        }
        let labels = csv.labels.then(|| Labels::new(&csv.class_names));
        let mut categories: Vec<Option<CellNames>> = features.iter().map(|_| None).collect();
        for (column, listed) in &csv.categorical {
            let column = known.find(column, "categorical")?;
            let Ok(feature) = features.binary_search(&column) else {
                let message = format!(
                    "column {column} (counted from 0) is a target or skipped, so it is no feature"
                );
                return Err(Error::argument("categorical", message));
            };
            categories[feature] = Some(CellNames::new(listed));
        }
        Ok(Columns {
            dialect: &csv.dialect,
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
    pub(super) fn push(&mut self, record: &TableRecord) -> Result<(), String> {
        if record.len() != self.width {
            let (cells, width) = (record.len(), self.width);
            return Err(format!(
                "this record has {cells} cells, and the first one has {width}"
            ));
        }
        for (feature, column) in self.features.iter().enumerate() {
            let cell = self.text(record, *column)?;
            let categories = &mut self.categories[feature];
            let listed = categories.as_ref().and_then(|names| names.listed(cell));
            let number = match (Cell::of(cell, self.dialect), categories) {
                (Cell::Empty | Cell::Missing, _) if listed.is_none() => f32::NAN,
                (_, Some(categories)) => {
                    let number = categories.number(cell, "categories");
                    number.and_then(exact).map_err(|message| {
                        format!("{}: {message}", describe(self.names.as_deref(), *column))
                    })?
                }
                (Cell::Number(number) | Cell::NotFinite(number), None) => number,
                (other, None) => return Err(self.refuse(*column, cell, other)),
            };
            self.read.push(number);
        }
        for column in &self.targets {
            let cell = self.text(record, *column)?;
            match (&mut self.labels, Cell::of(cell, self.dialect)) {
                (Some(labels), _) => {
                    let pushed = labels.push(cell, self.dialect);
                    pushed.map_err(|message| format!("{}: {message}", self.describe(*column)))?;
                }
                (None, Cell::Number(number)) => self.values.push(number),
                (None, other) => return Err(self.refuse(*column, cell, other)),
            }
        }
        Ok(())
    }

    /// The text of a cell, which must be in UTF-8.
    fn text<'r>(&self, record: &'r TableRecord, column: usize) -> Result<&'r str, String> {
        text(record.cell(column)).map_err(|message| format!("{}: {message}", self.describe(column)))
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
        let mut data = Dataset::new(read, width, targets)?
            .with_feature_names(names)?
            .with_class_names(class_names)?;
        data.table.notation = self.dialect.notation.clone();
        let mut named = names_of.into_iter();
        named.try_fold(data, |data, (feature, names)| {
            data.with_categories(feature, names)
        })
    }

    /// What is wrong with a cell that should be a number.
    fn refuse(&self, column: usize, cell: &str, found: Cell) -> String {
        let target = self.targets.contains(&column);
        let column = self.describe(column);
        match found {
            Cell::TooLarge => format!("{column}: `{cell}` is beyond what f32 holds (3.4e38)"),
            Cell::Empty | Cell::Missing => format!("{column}: the target is missing (`{cell}`)"),
            Cell::NotFinite(_) => {
                format!(
                    "{column}: the target is `{cell}`, not a finite number: remove the row or mend its target"
                )
            }
            Cell::Number(_) | Cell::Text => {
                let mend = if target {
                    "`.labels()` reads names of classes"
                } else {
                    "`.skip()` leaves the column out, `.categorical()` reads it as categories"
                };
                let mend = hint(cell, &self.dialect.notation).unwrap_or_else(|| mend.into());
                format!("{column}: `{cell}` is not a number; {mend}")
            }
        }
    }

    fn describe(&self, column: usize) -> String {
        describe(self.names.as_deref(), column)
    }
}

/// A column's name and index, for a message.
fn describe(names: Option<&[String]>, column: usize) -> String {
    match names.and_then(|names| names.get(column)) {
        Some(name) => format!("column {column} (counted from 0), `{name}`"),
        None => format!("column {column} (counted from 0)"),
    }
}

/// The number of a category as a cell of a table holds it.
fn exact(category: u32) -> Result<f32, String> {
    const MOST: u32 = 1 << f32::MANTISSA_DIGITS;
    if category < MOST {
        return Ok(category as f32);
    }
    Err(format!(
        "there are more than {MOST} categories, and numbers beyond that are not told apart in f32"
    ))
}

/// The columns of a file, to find those that the caller points out.
struct KnownColumns<'a> {
    width: usize,
    names: Option<&'a [String]>,
    /// Where a name stands first, and where it stands again.
    places: HashMap<&'a str, (usize, Option<usize>)>,
}

impl<'a> KnownColumns<'a> {
    fn new(width: usize, names: Option<&'a [String]>) -> Self {
        let mut places = HashMap::new();
        for (column, name) in names.unwrap_or_default().iter().enumerate() {
            let place = places.entry(name.as_str()).or_insert((column, None));
            if place.0 != column {
                place.1.get_or_insert(column);
            }
        }
        KnownColumns {
            width,
            names,
            places,
        }
    }

    /// The index of a column that the caller pointed out.
    fn find(&self, column: &Column, argument: &'static str) -> Result<usize> {
        let refused = |message: String| Err(Error::argument(argument, message));
        let width = self.width;
        match (column, self.names) {
            (Column::Index(index), _) if *index < width => Ok(*index),
            (Column::Index(index), _) => refused(format!(
                "there is no column {index}: {width} columns are counted from 0"
            )),
            (Column::Name(name), None) => refused(format!(
                "the file has no header to find `{name}` in: point to the column by its index"
            )),
            (Column::Name(name), Some(names)) => match self.places.get(name.as_str()) {
                Some((index, None)) => Ok(*index),
                Some((first, Some(second))) => refused(format!(
                    "columns {first} and {second} are both named `{name}`: point to one by its index"
                )),
                None => Err(Error::NotFound {
                    what: "column",
                    name: name.clone(),
                    known: names.to_vec(),
                }),
            },
        }
    }
}
