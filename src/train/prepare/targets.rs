//! Targets in the form that each objective takes.

use crate::data::targets::signed;
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
        for (number, objective) in self.objectives.iter().enumerate() {
            let places = self.architecture.places_of(self.output(objective));
            positions = positions.max(places.0);
            let targets = self.targets_of(data, objective)?;
            let relabelled = self.architecture.names.relabelled(data)?;
            let named = |error: Error| match self.objectives.len() {
                1 => error,
                _ => Error::data(format!("the output `{}`: {error}", objective.output)),
            };
            let fitted = match &relabelled {
                Some(own) => fitted(objective, places, own).map(HostElements::into_owned),
                None => fitted(objective, places, targets),
            };
            all.push(match (fitted.map_err(named)?, self.scaler(objective)) {
                (HostElements::F32(values), Some(scaler)) => {
                    let mut values = values.into_owned();
                    scaler.transform_rows(&mut values)?;
                    HostElements::F32(values.into())
                }
                (values, _) => values,
            });
            let targets = relabelled.as_ref().unwrap_or(targets);
            self.check_left_out(number, objective, targets)?;
        }
        Ok((all, positions))
    }

    /// Refuses metrics that do not ignore what the loss does, where the label is there and names no class.
    fn check_left_out(
        &self,
        number: usize,
        objective: &Objective,
        targets: &Targets,
    ) -> Result<()> {
        let (_, classes) = self.architecture.places_of(self.output(objective));
        let ignored = objective.loss.settings.ignore_class;
        let (Some(ignored), Some((labels, ..))) = (ignored, targets.as_labels()) else {
            return Ok(());
        };
        let is_class = usize::try_from(ignored).is_ok_and(|class| class < classes);
        if is_class || !labels.contains(&ignored.cast_unsigned()) {
            return Ok(());
        }
        self.metrics()?.check_left_out(number, ignored)
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
    if let Some((labels, each, classes)) = targets.as_labels() {
        if each != positions {
            return Err(Error::data(format!(
                "the targets have {each} labels a row, but the model's output, {positions} × {columns} numbers, takes {positions}"
            )));
        }
        if takes_labels {
            let ignored = objective.loss.settings.ignore_class;
            in_range(targets, columns, ignored)?;
            return Ok(HostElements::U32(labels.into()));
        }
        // Whole numbers are numbers like others to a loss of numbers.
        let numbers = columns == 1 && matches!(objective.loss.takes(), Takes::Numbers | Takes::Any);
        if !numbers {
            in_range(targets, columns.max(2), None)?;
        }
        if columns == 1 {
            let values = labels.iter().map(|&label| signed(label, classes) as f32);
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

/// Refuses labels that name none of the classes which the model tells `apart`.
fn in_range(targets: &Targets, apart: usize, ignored: Option<i32>) -> Result<()> {
    let Some((labels, each, classes)) = targets.as_labels() else {
        return Ok(());
    };
    let ignored = ignored.map(i32::cast_unsigned);
    let unknown = |&label: &u32| label as usize >= apart && ignored != Some(label);
    let Some(at) = labels.iter().position(unknown) else {
        return Ok(());
    };
    let (row, label) = (at / each.max(1), signed(labels[at], classes));
    let mend = match label {
        ..0 => "; a loss of labels leaves its rows out by `ignore_class`",
        _ => "",
    };
    Err(Error::data(format!(
        "row {row} has the label {label}, but the model tells {apart} classes apart (0 to {}){mend}",
        apart.saturating_sub(1)
    )))
}
