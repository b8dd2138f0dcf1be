//! A data set as a model takes it: checked, preprocessed, inputs and targets side by side, and its way to the device.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::data::Features;
use crate::data::check::check_finite;
use crate::reserve::reserved;
use crate::session::ElementsRef;
use crate::{Dataset, Error, Result, Targets};

use super::loss::{Reduction, Takes};
use super::objective::Objective;
use super::programs::{Place, Recipe};

/// A data set as the device takes it.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub rows: usize,
    /// The model's inputs side by side.
    pub features: Cow<'a, [f32]>,
    /// Targets that are numbers, those of all outputs side by side; none where there are none.
    pub values: Option<Cow<'a, [f32]>>,
    /// Targets that are labels, likewise.
    pub labels: Option<Cow<'a, [u32]>>,
    /// A weight for each row, or side by side one for each output.
    pub weights: Option<Cow<'a, [f32]>>,
    /// The most positions that an output has.
    pub positions: usize,
}

impl Prepared<'_> {
    /// Weights of a row: none, one for all outputs, or one for each.
    pub fn weight_columns(&self) -> usize {
        let weights = self.weights.as_deref();
        weights.map_or(0, |weights| weights.len() / self.rows.max(1))
    }

    /// Every array of the data set: inputs, targets that are numbers, targets that are labels, weights. One that the data set
    /// lacks is empty.
    pub fn arrays(&self) -> [ElementsRef<'_>; 4] {
        [
            ElementsRef::F32(&self.features),
            ElementsRef::F32(self.values.as_deref().unwrap_or_default()),
            ElementsRef::U32(self.labels.as_deref().unwrap_or_default()),
            ElementsRef::F32(self.weights.as_deref().unwrap_or_default()),
        ]
    }
}

/// The targets of one output.
enum Own<'a> {
    Values(Cow<'a, [f32]>),
    Labels(&'a [u32]),
}

impl Recipe<'_> {
    /// Checks a data set against the model and preprocesses it: ready for upload.
    pub(super) fn prepare<'a>(&self, data: &'a Dataset) -> Result<Prepared<'a>> {
        if data.rows() == 0 {
            return Err(Error::data(
                "the data set is empty; give it at least one row",
            ));
        }
        if u32::try_from(data.rows()).is_err() {
            return Err(Error::data(format!(
                "the data set has {} rows; 2³² − 1 is the most",
                data.rows()
            )));
        }
        let features = match &self.architecture.preprocessing {
            None => {
                data.check_finite()?;
                self.preprocessed(Features::from(data))?
            }
            // A missing cell is what preprocessing may be there for, so its result is what is looked at.
            Some(preprocessing) => {
                data.check_finite_targets()?;
                let features = self.preprocessed(Features::from(data))?;
                check_finite(&features, preprocessing.outputs())?;
                features
            }
        };

        let mut own = Vec::new();
        let mut positions = 1;
        for objective in self.objectives {
            let places = self.architecture.places_of(self.output(objective));
            positions = positions.max(places.0);
            let targets = self.targets_of(data, objective)?;
            let named = |error: Error| match self.objectives.len() {
                1 => error,
                _ => Error::data(format!("the output `{}`: {error}", objective.output)),
            };
            own.push(fitted(objective, places, targets).map_err(named)?);
        }
        let (values, labels) = self.tables(own, data.rows())?;
        Ok(Prepared {
            rows: data.rows(),
            features,
            values,
            labels,
            weights: self.weights_of(data)?,
            positions,
        })
    }

    /// Likewise for evaluation: weights carry what the losses' reductions divide by, so that the mean over all rows is the
    /// reduced loss however many rows a batch has. Weighted metrics divide by the sum of weights, and stay as they are.
    pub(super) fn prepare_evaluation<'a>(&self, data: &'a Dataset) -> Result<Prepared<'a>> {
        let mut prepared = self.prepare(data)?;
        let plain = |objective: &Objective| objective.loss.reduction.is_mean();
        if self.objectives.iter().all(plain) {
            return Ok(prepared);
        }
        let (rows, columns) = (prepared.rows, self.objectives.len());
        let given = prepared.weights.as_deref().unwrap_or(&[]);
        let each = given.len() / rows;
        let len = rows.checked_mul(columns);
        let mut table: Vec<f32> = reserved(len, "the weights")?;
        for row in 0..rows {
            table.extend((0..columns).map(|column| match each {
                0 => 1.0,
                1 => given[row],
                _ => given[row * each + column],
            }));
        }
        for (column, objective) in self.objectives.iter().enumerate() {
            let own = || table.iter().skip(column).step_by(columns);
            let factor = match objective.loss.reduction {
                Reduction::Sum => rows as f64,
                Reduction::MeanWithSampleWeight if objective.loss.ignore_class.is_none() => {
                    let sum: f64 = own().map(|weight| f64::from(*weight)).sum();
                    if sum > 0.0 { rows as f64 / sum } else { 0.0 }
                }
                _ => continue,
            };
            for weight in table.iter_mut().skip(column).step_by(columns) {
                *weight = (f64::from(*weight) * factor) as f32;
            }
        }
        prepared.weights = Some(table.into());
        Ok(prepared)
    }

    /// The weights of the rows: a table of those of each output where some have their own.
    fn weights_of<'a>(&self, data: &'a Dataset) -> Result<Option<Cow<'a, [f32]>>> {
        let own = data.output_weights();
        let outputs = &self.architecture.outputs;
        let unknown = |(name, _): &&(String, _)| !outputs.iter().any(|o| o.name == *name);
        if let Some((name, _)) = own.iter().find(unknown) {
            return Err(Error::NotFound {
                what: "output",
                name: name.clone(),
                known: outputs.iter().map(|output| output.name.clone()).collect(),
            });
        }
        let of = |objective: &Objective| {
            let mut own = own.iter();
            let own = own.find(|(name, _)| *name == objective.output);
            own.map_or(data.weights(), |(_, weights)| Some(weights))
        };
        if own.is_empty() || self.objectives.len() == 1 {
            let only = self.objectives.first().and_then(of);
            return Ok(only.map(Cow::Borrowed));
        }
        let columns: Vec<Option<&[f32]>> = self.objectives.iter().map(of).collect();
        let len = data.rows().checked_mul(columns.len());
        let mut table = reserved(len, "the weights")?;
        for row in 0..data.rows() {
            let weight = |column: &Option<&[f32]>| column.map_or(1.0, |weights| weights[row]);
            table.extend(columns.iter().map(weight));
        }
        Ok(Some(table.into()))
    }

    /// The data set's targets for an output.
    fn targets_of<'a>(&self, data: &'a Dataset, objective: &Objective) -> Result<&'a Targets> {
        let named = data.outputs();
        let outputs = &self.architecture.outputs;
        let unknown = |(name, _): &&(String, Targets)| !outputs.iter().any(|o| o.name == *name);
        if let Some((name, _)) = named.iter().find(unknown) {
            return Err(Error::NotFound {
                what: "output",
                name: name.clone(),
                known: outputs.iter().map(|output| output.name.clone()).collect(),
            });
        }
        if named.is_empty() && self.objectives.len() == 1 {
            return Ok(data.targets());
        }
        let found = named.iter().find(|(name, _)| *name == objective.output);
        found.map(|(_, targets)| targets).ok_or_else(|| {
            Error::data(format!(
                "the data set has no targets called `{}`, as the output is; `Dataset::from_parts` gives them names",
                objective.output
            ))
        })
    }

    /// The targets of all outputs in two tables, numbers and labels.
    #[allow(clippy::type_complexity)]
    fn tables<'a>(
        &self,
        mut own: Vec<Own<'a>>,
        rows: usize,
    ) -> Result<(Option<Cow<'a, [f32]>>, Option<Cow<'a, [u32]>>)> {
        if own.len() == 1 {
            return Ok(match own.remove(0) {
                Own::Values(values) => (Some(values), None),
                Own::Labels(labels) => (None, Some(labels.into())),
            });
        }
        let placed = self.placed();
        let mut values: Vec<f32> = reserved(rows.checked_mul(placed.columns), "the targets")?;
        values.resize(rows * placed.columns, 0.0);
        let mut labels: Vec<u32> = reserved(rows.checked_mul(placed.labels), "the labels")?;
        labels.resize(rows * placed.labels, 0);
        for (own, place) in own.into_iter().zip(placed.places) {
            match (own, place) {
                (Own::Values(own), Place::Values { start, columns }) => {
                    let table = values.chunks_exact_mut(placed.columns);
                    for (row, own) in table.zip(own.chunks_exact(columns)) {
                        row[start..start + columns].copy_from_slice(own);
                    }
                }
                (Own::Labels(own), Place::Labels { start, positions }) => {
                    let table = labels.chunks_exact_mut(placed.labels);
                    for (row, own) in table.zip(own.chunks_exact(positions)) {
                        row[start..start + positions].copy_from_slice(own);
                    }
                }
                _ => return Err(Error::data("targets and losses are of different kinds")),
            }
        }
        let values = (placed.columns > 0).then_some(values.into());
        let labels = (placed.labels > 0).then_some(labels.into());
        Ok((values, labels))
    }

    /// A weight for each row: that of its class, times its own if it has one; none where classes have no weights.
    pub(super) fn class_weights(
        &self,
        data: &Dataset,
        by_class: &[(u32, f32)],
    ) -> Result<Option<Vec<f32>>> {
        if by_class.is_empty() {
            return Ok(None);
        }
        let refused = |message: String| Err(Error::argument("class_weight", message));
        let [objective] = self.objectives else {
            let count = self.objectives.len();
            return refused(format!("needs a model of one trained output, got {count}"));
        };
        let (positions, columns) = self.architecture.places_of(self.output(objective));
        // All that the model tells apart: the labels at hand may be a piece that has not every class.
        let apart = columns.max(2);
        if positions > 1 {
            return refused(format!(
                "needs a class for each row, got an output of {positions} positions"
            ));
        }
        let (of_rows, classes): (Vec<usize>, usize) = match self.targets_of(data, objective)? {
            Targets::None => return Ok(None),
            Targets::Labels { labels, classes }
            | Targets::LabelTable {
                labels,
                columns: 1,
                classes,
            } => (
                labels.iter().map(|&label| label as usize).collect(),
                apart.max(*classes),
            ),
            Targets::LabelTable { columns, .. } => {
                return refused(format!("needs a class for each row, got {columns} labels"));
            }
            Targets::Values { values, columns: 1 } => {
                if let Some(row) = values.iter().position(|&y| y != 0.0 && y != 1.0) {
                    let value = values[row];
                    return refused(format!(
                        "needs targets of 0 and 1, got {value} in row {row}"
                    ));
                }
                (values.iter().map(|&y| usize::from(y == 1.0)).collect(), 2)
            }
            Targets::Values { values, columns } => {
                let largest = |row: &[f32]| {
                    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
                };
                (
                    values.chunks_exact(*columns).map(largest).collect(),
                    *columns,
                )
            }
        };
        let mut table = BTreeMap::new();
        for &(class, weight) in by_class {
            if class as usize >= classes {
                let last = classes.saturating_sub(1);
                return refused(format!(
                    "names class {class}, but the targets have 0 to {last}"
                ));
            }
            if !(weight.is_finite() && weight >= 0.0) {
                return refused(format!(
                    "must be at least 0 and finite, got {weight} for class {class}"
                ));
            }
            if table.insert(class as usize, weight).is_some() {
                return refused(format!("names class {class} twice"));
            }
        }
        let given = self.weights_of(data)?;
        let own = |row: usize| given.as_ref().map_or(1.0, |weights| weights[row]);
        let weigh = |(row, &class): (usize, &usize)| table.get(&class).unwrap_or(&1.0) * own(row);
        Ok(Some(of_rows.iter().enumerate().map(weigh).collect()))
    }
}

/// Targets in the form that an objective takes, for an output of so many positions with so many columns each.
fn fitted<'a>(
    objective: &Objective,
    (positions, columns): (usize, usize),
    targets: &'a Targets,
) -> Result<Own<'a>> {
    let takes_labels = objective.takes_labels();
    let outputs = positions * columns;
    if let Some((labels, each, _)) = targets.as_labels() {
        if each != positions {
            return Err(Error::data(format!(
                "the targets have {each} labels a row, but the model's output, {positions} × {columns} numbers, takes {positions}"
            )));
        }
        if takes_labels {
            in_range((labels, each), columns, objective.loss.ignore_class)?;
            return Ok(Own::Labels(labels));
        }
        // Whole numbers are numbers like others to a loss of numbers.
        let numbers = columns == 1 && matches!(objective.loss.takes(), Takes::Numbers | Takes::Any);
        if !numbers {
            in_range((labels, each), columns.max(2), None)?;
        }
        if columns == 1 {
            let values = labels.iter().map(|&label| label as f32);
            return Ok(Own::Values(values.collect::<Vec<_>>().into()));
        }
        let len = labels.len().checked_mul(columns);
        let mut rows: Vec<f32> = reserved(len, "the one-hot targets")?;
        rows.resize(labels.len() * columns, 0.0);
        for (row, &label) in rows.chunks_exact_mut(columns).zip(labels) {
            row[label as usize] = 1.0;
        }
        return Ok(Own::Values(rows.into()));
    }
    match targets {
        Targets::Values { .. } if takes_labels => Err(Error::data(format!(
            "{} takes integer labels, but the targets are numbers; read them as labels or use \
             categorical_crossentropy",
            objective.loss.name()
        ))),
        Targets::Values { values, columns } if *columns == outputs => {
            Ok(Own::Values(values.as_slice().into()))
        }
        Targets::Values { columns, .. } => Err(Error::data(format!(
            "the targets have {columns} columns, but the model has {outputs} outputs"
        ))),
        _ => Err(Error::data(
            "the data set has no targets; training and evaluation need them",
        )),
    }
}

/// Refuses labels, so many a row, that name no class.
fn in_range((labels, each): (&[u32], usize), classes: usize, ignored: Option<u32>) -> Result<()> {
    let unknown = |&label: &u32| label as usize >= classes && ignored != Some(label);
    match labels.iter().position(unknown) {
        None => Ok(()),
        Some(at) => Err(Error::data(format!(
            "row {} has the label {}, but the model tells {classes} classes apart (0 to {})",
            at / each.max(1),
            labels[at],
            classes.saturating_sub(1)
        ))),
    }
}
