//! Rows of input numbers as a network takes them.

use std::borrow::Cow;

use crate::data::{Features, Inputs};
use crate::reserve::reserved;
use crate::{Error, Result};

use super::Model;

impl Model {
    /// Rows of the model's inputs side by side: checked for their width, preprocessed, those with names put in order.
    pub(super) fn preprocessed<'a>(&self, features: Features<'a>) -> Result<Cow<'a, [f32]>> {
        let Features(values, inputs) = features;
        let values = match inputs {
            Inputs::Unnamed => values,
            Inputs::Columns(columns) => {
                let preprocessing = self.architecture.preprocessing.as_ref();
                let own = self.architecture.input_width();
                let wanted = preprocessing.map_or(own, |steps| steps.inputs());
                if columns != wanted {
                    let message = format!(
                        "the rows have {columns} columns, but the model has {wanted} inputs"
                    );
                    return Err(Error::data(message));
                }
                values
            }
            Inputs::Packed(named) => self.in_order(values, named)?,
            Inputs::Apart(named) => self.joined(named)?.into(),
        };
        if let Some(preprocessing) = &self.architecture.preprocessing {
            return preprocessing.transform_rows(values);
        }
        let (len, inputs) = (values.len(), self.architecture.input_width());
        if len % inputs != 0 {
            let message = format!("{len} numbers are no whole rows of the model's {inputs} inputs");
            return Err(Error::data(message));
        }
        Ok(values)
    }

    /// Refuses names that are not those of the model's inputs, and inputs that none of them is.
    fn check_inputs(&self, names: &[&str]) -> Result<()> {
        let inputs = self.architecture.inputs.iter();
        let known: Vec<String> = inputs.map(|input| input.name.clone()).collect();
        if let Some(name) = names.iter().find(|name| !known.iter().any(|k| k == *name)) {
            return Err(Error::NotFound {
                what: "input",
                name: name.to_string(),
                known,
            });
        }
        match known.iter().find(|known| !names.contains(&known.as_str())) {
            Some(missing) => Err(Error::data(format!(
                "the input `{missing}` is missing; there is: {}",
                names.join(", ")
            ))),
            None => Ok(()),
        }
    }

    /// Named inputs of these widths that lie side by side, in the model's order.
    fn in_order<'a>(
        &self,
        values: Cow<'a, [f32]>,
        named: &[(String, usize)],
    ) -> Result<Cow<'a, [f32]>> {
        self.check_inputs(
            &named
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>(),
        )?;
        let mut ranges = Vec::new();
        for input in &self.architecture.inputs {
            let mut start = 0;
            for (name, width) in named {
                if *name == input.name {
                    if *width as u64 != input.shape.elements() {
                        let message = format!(
                            "the input `{name}` has {width} numbers a row, but the model's is {}",
                            input.shape
                        );
                        return Err(Error::data(message));
                    }
                    ranges.push(start..start + width);
                }
                start += width;
            }
        }
        if ranges.windows(2).all(|pair| pair[0].end == pair[1].start) {
            return Ok(values);
        }
        let width = self.architecture.input_width();
        let mut ordered = reserved(Some(values.len()), "the features")?;
        for row in values.chunks_exact(width) {
            for range in &ranges {
                ordered.extend_from_slice(&row[range.clone()]);
            }
        }
        Ok(ordered.into())
    }

    /// Inputs that lie apart, side by side in the model's order.
    fn joined(&self, named: &[(&str, &[f32])]) -> Result<Vec<f32>> {
        self.check_inputs(&named.iter().map(|(name, _)| *name).collect::<Vec<_>>())?;
        let mut parts = Vec::new();
        for input in &self.architecture.inputs {
            let width = usize::try_from(input.shape.elements()).unwrap_or(usize::MAX);
            let own = named.iter().find(|(name, _)| *name == input.name);
            let values = own.map_or(&[][..], |(_, values)| values);
            let rows = values.len() / width;
            if values.len() % width != 0 {
                let (len, name) = (values.len(), &input.name);
                let message = format!("{len} numbers of `{name}` are no whole rows of {width}");
                return Err(Error::data(message));
            }
            parts.push((values, width, rows, &input.name));
        }
        let rows = parts.first().map_or(0, |(_, _, rows, _)| *rows);
        if let Some((_, _, own, name)) = parts.iter().find(|(_, _, own, _)| *own != rows) {
            let message = format!("`{name}` has {own} rows, but the first input has {rows}");
            return Err(Error::data(message));
        }
        let width = self.architecture.input_width();
        let mut joined = reserved(rows.checked_mul(width), "the features")?;
        for row in 0..rows {
            for (values, width, ..) in &parts {
                joined.extend_from_slice(&values[row * width..][..*width]);
            }
        }
        Ok(joined)
    }
}
