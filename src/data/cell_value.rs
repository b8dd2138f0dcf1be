//! Rows written down by the names of their columns, as they would stand in the file of the table that was learned from.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::reserve::reserved;

use super::arrange::{listed, numbered};
use super::notation::Notation;
use super::table::ColumnNames;

/// A cell of a row that is given by the names of its columns: a number, or a text as a file would have it.
#[derive(Debug, Clone, PartialEq)]
pub enum CellValue<'a> {
    /// A number; NaN is a missing cell. In a column of categories it stands for the one of its text, such as `3`.
    Number(f32),
    /// The name of a category, or the text of a number; an empty one, `?`, `NA`, `N/A`, `NaN` and `null` (in any case) is a missing
    /// cell. Where the table was read with another decimal point, separator or words for missing cells, texts are read by these.
    Text(Cow<'a, str>),
}

impl From<f32> for CellValue<'_> {
    fn from(number: f32) -> Self {
        CellValue::Number(number)
    }
}

impl<'a> From<&'a str> for CellValue<'a> {
    fn from(text: &'a str) -> Self {
        CellValue::Text(text.into())
    }
}

impl From<String> for CellValue<'_> {
    fn from(text: String) -> Self {
        CellValue::Text(text.into())
    }
}

/// Rows by the names of their columns.
pub(crate) type NamedRows<'a> = Vec<Vec<(&'a str, CellValue<'a>)>>;

impl ColumnNames {
    /// The numbers of rows of named cells in these columns, row-major.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] where these columns have no names, with the row and the name of a cell that is missing, unknown, given
    /// twice, no number or none of its column's categories.
    pub(crate) fn numbers(&self, rows: &NamedRows<'_>) -> Result<Vec<f32>> {
        if self.names.is_empty() {
            return Err(Error::data(
                "the model knows no names of columns: give rows of numbers, or train it on a table with names, as `Csv` reads them \
                 from a header and `with_feature_names` sets them",
            ));
        }
        let columns = numbered(&self.names);
        if columns.len() < self.names.len() {
            return Err(Error::data(
                "two columns of the model have one name: give rows of numbers in their order",
            ));
        }
        let categories: Vec<HashMap<&str, usize>> = (0..self.width())
            .map(|column| numbered(self.categories(column)))
            .collect();
        let mut numbers = reserved(rows.len().checked_mul(self.width()), "the rows")?;
        for (row, cells) in rows.iter().enumerate() {
            let unfit = |message: String| Error::data(format!("row {row}: {message}"));
            let mut found = vec![None; self.width()];
            for (name, cell) in cells {
                let Some(&column) = columns.get(name) else {
                    let known = listed(&self.names);
                    return Err(unfit(format!(
                        "no column is called `{name}`; there is: {known}"
                    )));
                };
                let number = number(cell, &categories[column], &self.notation).map_err(|what| {
                    let known = match self.categories(column) {
                        [] => told(&self.notation),
                        names => format!("one of the categories {}", listed(names)),
                    };
                    unfit(format!("`{name}` is {what}, not {known}"))
                })?;
                if found[column].replace(number).is_some() {
                    return Err(unfit(format!("`{name}` is given twice")));
                }
            }
            for (number, name) in found.iter().zip(&self.names) {
                let missing = || {
                    unfit(format!(
                        "`{name}` is missing; give NaN where it is not known"
                    ))
                };
                numbers.push(number.ok_or_else(missing)?);
            }
        }
        Ok(numbers)
    }
}

/// The number of a cell in a column of these categories, or in one of numbers where there are none; what it is that has none.
fn number(
    cell: &CellValue<'_>,
    categories: &HashMap<&str, usize>,
    notation: &Notation,
) -> Result<f32, String> {
    let text = match cell {
        CellValue::Number(number) if number.is_nan() || categories.is_empty() => {
            return Ok(*number);
        }
        CellValue::Number(number) => Cow::Owned(number.to_string()),
        CellValue::Text(text) => Cow::Borrowed(&**text),
    };
    // As in a file: other spaces than blanks and tabs are part of a name, but not of a number.
    let plain = text.trim_matches([' ', '\t']);
    let category = categories.get(&*text).or_else(|| categories.get(plain));
    if let Some(&number) = category {
        return Ok(number as f32);
    }
    if plain.is_empty() || notation.is_missing(plain) {
        return Ok(f32::NAN);
    }
    let number = notation
        .number::<f32>(plain.trim())
        .filter(|number| number.is_finite());
    number
        .filter(|_| categories.is_empty())
        .ok_or_else(|| format!("`{plain}`"))
}

/// What a text in a column of numbers is to be.
fn told(notation: &Notation) -> String {
    match (notation.decimal, notation.thousands) {
        ('.', None) => "a number".into(),
        (decimal, None) => {
            format!("a number with `{decimal}` for the decimal point, as in its table")
        }
        (decimal, Some(thousands)) => format!(
            "a number with `{decimal}` for the decimal point and `{thousands}` between thousands, as in its table"
        ),
    }
}
