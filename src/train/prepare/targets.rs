//! Targets in the form that each objective takes.

use crate::reserve::reserved;
use crate::session::HostElements;
use crate::train::features::check_names;
use crate::train::loss::Takes;
use crate::train::objective::Objective;
use crate::train::programs::Recipe;
use crate::{Dataset, Error, Result, Targets};

impl Recipe<'_> {
    /// The targets of every objective, and the most positions that an output has.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where a data set has no targets for an objective, or not such as its loss takes.
    pub(super) fn fitted_targets<'a>(
        &self,
        data: &'a Dataset,
    ) -> Result<(Vec<HostElements<'a>>, usize)> {
        let (mut all, mut positions) = (Vec::new(), 1);
        for objective in self.objectives {
            let places = self.architecture.places_of(self.output(objective));
            positions = positions.max(places.0);
            let targets = self.targets_of(data, objective)?;
            let named = |error: Error| match self.objectives.len() {
                1 => error,
                _ => Error::data(format!("the output `{}`: {error}", objective.output)),
            };
            all.push(fitted(objective, places, targets).map_err(named)?);
        }
        Ok((all, positions))
    }

    /// Refuses names that no output has.
    pub(super) fn check_outputs<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        let outputs = self.architecture.outputs.iter();
        let names: Vec<&str> = names.collect();
        check_names("output", &names, outputs.map(|output| &output.name))
    }

    /// The data set's targets for an output.
    pub(super) fn targets_of<'a>(
        &self,
        data: &'a Dataset,
        objective: &Objective,
    ) -> Result<&'a Targets> {
        let named = data.outputs();
        self.check_outputs(named.iter().map(|(name, _)| name.as_str()))?;
        if named.is_empty() && self.objectives.len() == 1 {
            return Ok(data.targets());
        }
        let found = named.iter().find(|(name, _)| *name == objective.output);
        found.map(|(_, targets)| targets).ok_or_else(|| {
            Error::data(format!(
                "the data set has no targets called `{}`, as the output is; `Dataset::from_inputs` gives them names",
                objective.output
            ))
        })
    }
}

/// Targets in the form that an objective takes, for an output of `positions` positions with `columns` columns each.
fn fitted<'a>(
    objective: &Objective,
    (positions, columns): (usize, usize),
    targets: &'a Targets,
) -> Result<HostElements<'a>> {
    let takes_labels = objective.takes_labels();
    let outputs = positions * columns;
    if let Some((labels, each, _)) = targets.as_labels() {
        if each != positions {
            return Err(Error::data(format!(
                "the targets have {each} labels a row, but the model's output, {positions} × {columns} numbers, takes {positions}"
            )));
        }
        if takes_labels {
            in_range(
                (labels, each),
                columns,
                objective.loss.settings.ignore_class,
            )?;
            return Ok(HostElements::U32(labels.into()));
        }
        // Whole numbers are numbers like others to a loss of numbers.
        let numbers = columns == 1 && matches!(objective.loss.takes(), Takes::Numbers | Takes::Any);
        if !numbers {
            in_range((labels, each), columns.max(2), None)?;
        }
        if columns == 1 {
            let values = labels.iter().map(|&label| label as f32);
            return Ok(HostElements::F32(values.collect::<Vec<_>>().into()));
        }
        let len = labels.len().checked_mul(columns);
        let mut rows: Vec<f32> = reserved(len, "the one-hot targets")?;
        rows.resize(labels.len() * columns, 0.0);
        for (row, &label) in rows.chunks_exact_mut(columns).zip(labels) {
            row[label as usize] = 1.0;
        }
        return Ok(HostElements::F32(rows.into()));
    }
    match targets {
        Targets::Values { .. } if takes_labels => Err(Error::data(format!(
            "{} takes integer labels, but the targets are numbers; read them as labels or use \
             categorical_crossentropy",
            objective.loss.name()
        ))),
        Targets::Values { values, columns } if *columns == outputs => {
            Ok(HostElements::F32(values.as_slice().into()))
        }
        Targets::Values { columns, .. } => Err(Error::data(format!(
            "the targets have {columns} columns, but the model has {outputs} outputs"
        ))),
        _ => Err(Error::data(
            "the data set has no targets; training and evaluation need them",
        )),
    }
}

/// Refuses labels, `each` of them a row, that name no class.
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
