//! Rows of a model's inputs as the network takes them: in the model's order, in the type of each input, checked.

use std::borrow::Cow;
use std::ops::{Deref, Range};

use crate::data::{Features, Given, TypedValues};
use crate::nn::InputSpec;
use crate::session::{ElementsRef, Handle};
use crate::{Error, Result, Session};

use super::programs::Recipe;

/// Rows of each of a model's inputs, in the model's order.
#[derive(Debug, Clone)]
pub(super) struct Arranged<'a> {
    pub rows: usize,
    pub inputs: ArrangedInputs<'a>,
}

/// The values of each input. Those of a single one are in no list, so that none is allocated for a row.
#[derive(Debug, Clone)]
pub(super) enum ArrangedInputs<'a> {
    One(TypedValues<'a>),
    Several(Vec<TypedValues<'a>>),
}

impl<'a> Deref for ArrangedInputs<'a> {
    type Target = [TypedValues<'a>];

    fn deref(&self) -> &Self::Target {
        match self {
            ArrangedInputs::One(values) => std::slice::from_ref(values),
            ArrangedInputs::Several(inputs) => inputs,
        }
    }
}

impl<'a> ArrangedInputs<'a> {
    /// What `make` makes of each, with its specification.
    fn each(
        self,
        specs: &[InputSpec],
        make: impl Fn(TypedValues<'a>, &InputSpec) -> Result<TypedValues<'a>>,
    ) -> Result<Self> {
        Ok(match (self, specs) {
            (ArrangedInputs::One(values), [spec]) => ArrangedInputs::One(make(values, spec)?),
            (ArrangedInputs::One(values), _) => ArrangedInputs::One(values),
            (ArrangedInputs::Several(inputs), specs) => {
                let made = inputs.into_iter().zip(specs);
                let made = made.map(|(values, spec)| make(values, spec));
                ArrangedInputs::Several(made.collect::<Result<_>>()?)
            }
        })
    }

    /// The values as a list.
    pub fn into_list(self) -> Vec<TypedValues<'a>> {
        match self {
            ArrangedInputs::One(values) => vec![values],
            ArrangedInputs::Several(inputs) => inputs,
        }
    }
}

impl Arranged<'_> {
    /// The room that the numbers of the only input take, where they are no one else's.
    pub fn into_room(self) -> Option<Vec<f32>> {
        match self.inputs {
            ArrangedInputs::One(TypedValues::F32(Cow::Owned(room))) => Some(room),
            _ => None,
        }
    }

    /// Writes a range of rows to the inputs of a program.
    ///
    /// # Errors
    ///
    /// What the device raises.
    pub fn write(
        &self,
        session: &mut Session,
        handles: &[Option<Handle>],
        rows: &Range<usize>,
    ) -> Result<()> {
        for (values, handle) in self.inputs.iter().zip(handles) {
            let Some(handle) = *handle else {
                continue;
            };
            let width = values.len() / self.rows.max(1);
            match values.rows(width, rows) {
                TypedValues::U32(values) => session.put(handle, 0, ElementsRef::U32(&values))?,
                // Bytes are numbers to a model.
                values => session.put(handle, 0, ElementsRef::F32(&values.numbers()?))?,
            }
        }
        Ok(())
    }
}

impl Recipe<'_> {
    /// Rows of the model's inputs in its order: checked for their width, preprocessed, in the type of each input.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where values are no whole rows, of another width than the model's, of a type that an input does not
    /// take, or of other columns or categories than those that the model knows; [`Error::NotFound`] where the model has no input of
    /// a name.
    pub(super) fn arranged<'a>(&self, features: Features<'a>) -> Result<Arranged<'a>> {
        let known = &self.architecture.names.columns;
        let by_name = |values: TypedValues<'a>| match features.table {
            Some(table) => known.arranged("model", table, values),
            None => Ok(values),
        };
        let inputs = match features.given {
            Given::Rows { values, columns } => self.divided(by_name(values)?, columns)?,
            Given::Named(named) => {
                let named = named.into_iter();
                let named = named.map(|(name, rows, width)| Ok((name, by_name(rows)?, width)));
                ArrangedInputs::Several(self.in_order(named.collect::<Result<_>>()?)?)
            }
            Given::Cells(rows) => {
                self.divided(known.numbers(&rows)?.into(), Some(known.width()))?
            }
        };
        let specs = &self.architecture.inputs;
        let steps = self.architecture.preprocessing.as_ref();
        let inputs = inputs.each(specs, |values, spec| {
            let converted = values.converted(spec.kind.dtype);
            let preprocessed = converted.and_then(|values| match (steps, values) {
                (Some(steps), TypedValues::F32(cells)) => {
                    Ok(TypedValues::F32(steps.transform_rows(cells)?))
                }
                (_, values) => Ok(values),
            });
            preprocessed.map_err(|error| match specs.len() {
                1 => error,
                _ => Error::data(format!("the input `{}`: {error}", spec.name)),
            })
        })?;
        let first = inputs.first().zip(specs.first());
        Ok(Arranged {
            rows: first.map_or(0, |(values, spec)| values.len() / spec.width()),
            inputs,
        })
    }

    /// The inputs of rows in which they lie side by side.
    fn divided<'a>(
        &self,
        values: TypedValues<'a>,
        columns: Option<usize>,
    ) -> Result<ArrangedInputs<'a>> {
        let preprocessing = self.architecture.preprocessing.as_ref();
        let own = self.architecture.input_width();
        let wanted = self.architecture.raw_columns();
        if let Some(columns) = columns.filter(|&columns| columns != wanted) {
            let message =
                format!("the rows have {columns} columns, but the model has {wanted} inputs");
            return Err(Error::data(message));
        }
        // Preprocessing says so in its own words.
        if preprocessing.is_none() && !values.len().is_multiple_of(own) {
            let len = values.len();
            let message = format!("{len} numbers are no whole rows of the model's {own} inputs");
            return Err(Error::data(message));
        }
        if self.architecture.inputs.len() == 1 {
            return Ok(ArrangedInputs::One(values));
        }
        let mut start = 0;
        let part = |spec: &InputSpec| {
            let range = start..start + spec.width();
            start = range.end;
            values.columns(own, &range)
        };
        let parts = self.architecture.inputs.iter().map(part);
        parts.collect::<Result<_>>().map(ArrangedInputs::Several)
    }

    fn in_order<'a>(
        &self,
        mut named: Vec<(&'a str, TypedValues<'a>, Option<usize>)>,
    ) -> Result<Vec<TypedValues<'a>>> {
        let names: Vec<&str> = named.iter().map(|(name, ..)| *name).collect();
        let inputs = &self.architecture.inputs;
        check_names("input", &names, inputs.iter().map(|input| &input.name))?;
        if let Some(missing) = inputs
            .iter()
            .find(|own| !names.contains(&own.name.as_str()))
        {
            return Err(Error::data(format!(
                "the input `{}` is missing; there is: {}",
                missing.name,
                names.join(", ")
            )));
        }
        let mut ordered = Vec::new();
        let mut rows = None;
        for spec in inputs {
            let Some(place) = named.iter().position(|(name, ..)| *name == spec.name) else {
                continue;
            };
            let (name, values, given) = named.swap_remove(place);
            let preprocessing = self.architecture.preprocessing.as_ref();
            let wanted = preprocessing.map_or(spec.width(), |steps| steps.inputs());
            if let Some(given) = given.filter(|&given| given != wanted) {
                return Err(Error::data(format!(
                    "the input `{name}` has {given} numbers a row, but the model's is {}",
                    spec.kind
                )));
            }
            if !values.len().is_multiple_of(wanted) {
                let len = values.len();
                let message = format!("{len} numbers of `{name}` are no whole rows of {wanted}");
                return Err(Error::data(message));
            }
            let own = values.len() / wanted;
            let first = *rows.get_or_insert(own);
            if own != first {
                let message = format!("`{name}` has {own} rows, but the first input has {first}");
                return Err(Error::data(message));
            }
            ordered.push(values);
        }
        Ok(ordered)
    }
}

/// Refuses names that are not among those known.
pub(super) fn check_names<'a>(
    what: &'static str,
    names: &[&str],
    known: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let known: Vec<String> = known.cloned().collect();
    match names.iter().find(|name| !known.iter().any(|k| k == *name)) {
        None => Ok(()),
        Some(name) => Err(Error::not_found(what, name, known)),
    }
}
