//! What each row's loss is multiplied by: weights of samples, of classes, and what an evaluation divides by.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::reserve::reserved;
use crate::train::loss::Reduction;
use crate::train::objective::Objective;
use crate::train::programs::Recipe;
use crate::{Dataset, Error, Result, Targets};

use super::Prepared;

impl Recipe<'_> {
    /// [`prepare`](Self::prepare) for evaluation: weights carry what the losses' reductions divide by, so that the mean over all rows is the
    /// reduced loss however many rows a batch has. Weighted metrics divide by the sum of weights, and stay as they are.
    pub(in crate::train) fn prepare_evaluation<'a>(
        &self,
        data: &'a Dataset,
    ) -> Result<Prepared<'a>> {
        let mut prepared = self.prepare(data)?;
        let plain = |objective: &Objective| objective.loss.settings.reduction.is_mean();
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
            let factor = match objective.loss.settings.reduction {
                Reduction::Sum => rows as f64,
                Reduction::MeanWithSampleWeight
                    if objective.loss.settings.ignore_class.is_none() =>
                {
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
    pub(super) fn weights_of<'a>(&self, data: &'a Dataset) -> Result<Option<Cow<'a, [f32]>>> {
        let own: Vec<&(String, Vec<f32>)> = data.output_weights().collect();
        self.check_outputs(own.iter().map(|(name, _)| name.as_str()))?;
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

    /// [`prepare`](Self::prepare) with the weights of classes in those of the rows.
    pub(in crate::train) fn prepare_weighted<'a>(
        &self,
        data: &'a Dataset,
        by_class: &[(u32, f32)],
    ) -> Result<Prepared<'a>> {
        let weights = self.class_weights(data, by_class)?;
        let mut prepared = self.prepare(data)?;
        prepared.weights = weights.map(Cow::Owned).or(prepared.weights);
        Ok(prepared)
    }

    /// A weight for each row: that of its class, times its own if it has one; none where classes have no weights.
    fn class_weights(&self, data: &Dataset, by_class: &[(u32, f32)]) -> Result<Option<Vec<f32>>> {
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
        let relabelled = self.architecture.names.relabelled(data)?;
        let targets = match &relabelled {
            Some(own) => own,
            None => self.targets_of(data, objective)?,
        };
        let (of_rows, classes): (Vec<usize>, usize) = match (targets.as_labels(), targets) {
            (Some((labels, 1, classes)), _) => (
                labels.iter().map(|&label| label as usize).collect(),
                apart.max(classes),
            ),
            (Some((_, columns, _)), _) => {
                return refused(format!("needs a class for each row, got {columns} labels"));
            }
            (None, Targets::Values { values, columns: 1 }) => {
                if let Some(row) = values.iter().position(|&y| y != 0.0 && y != 1.0) {
                    let value = values[row];
                    return refused(format!(
                        "needs targets of 0 and 1, got {value} in row {row}"
                    ));
                }
                (values.iter().map(|&y| usize::from(y == 1.0)).collect(), 2)
            }
            (None, Targets::Values { values, columns }) => {
                let largest = |row: &[f32]| {
                    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
                };
                (
                    values.chunks_exact(*columns).map(largest).collect(),
                    *columns,
                )
            }
            (None, _) => return Ok(None),
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
