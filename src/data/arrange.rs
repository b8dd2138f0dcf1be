//! The rows of a table brought into the columns and categories of the table that was learned from: by their names.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};

use super::TypedValues;
use super::table::ColumnNames;

/// The most names that an error lists.
const MAX_LISTED: usize = 20;

impl ColumnNames {
    /// The rows of a table whose columns are `given` as `what` takes them, which learned from a table of these columns: columns in the
    /// order of these, categories by their numbers here. Columns go by their places where one of the two tables has no names.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] with the names of columns that are missing or unknown, and with the row, the column and the category that
    /// is unknown; where a column is one of categories in one of the tables and one of numbers in the other.
    pub(crate) fn arranged<'a>(
        &self,
        what: &str,
        given: &ColumnNames,
        rows: TypedValues<'a>,
    ) -> Result<TypedValues<'a>> {
        if self.is_empty() || given.is_empty() || self == given {
            return Ok(rows);
        }
        let places = self.places(what, given)?;
        let width = given.width();
        if self.width() != width {
            // By places alone these are not the same columns, which is refused by their number.
            return Ok(rows);
        }
        let mut rows = match &places {
            Some(places) => rows.reordered(width, places)?,
            None => rows,
        };
        for column in 0..width {
            let place = places.as_ref().map_or(column, |places| places[column]);
            let (own, theirs) = (self.categories(column), given.categories(place));
            if let (TypedValues::F32(cells), true) = (&mut rows, own != theirs) {
                let mut cells = cells.to_mut().iter_mut().skip(column).step_by(width);
                renumber(&mut cells, own, theirs)
                    .map_err(|message| Error::data(self.unfit(what, column, &message)))?;
            }
        }
        Ok(rows)
    }

    /// Where each of these columns is among those given; none where they are in the same order, or have no names.
    fn places(&self, what: &str, given: &ColumnNames) -> Result<Option<Vec<usize>>> {
        if self.names.is_empty() || given.names.is_empty() || self.names == given.names {
            return Ok(None);
        }
        let place = numbered(&given.names);
        let own: HashSet<&str> = self.names.iter().map(String::as_str).collect();
        let missing = self
            .names
            .iter()
            .filter(|name| !place.contains_key(name.as_str()));
        let unknown = given
            .names
            .iter()
            .filter(|name| !own.contains(name.as_str()));
        let told = [
            named("lacks", missing, ""),
            named("has", unknown, ", unknown there"),
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        if !told.is_empty() {
            return Err(Error::data(format!(
                "the {what} was fitted on the columns {}, and this table {}: name its columns as those, or take the names away \
                 by `with_feature_names(Vec::new())`, so that columns go by their places",
                listed(&self.names),
                told.join(" and ")
            )));
        }
        if place.len() < given.names.len() || own.len() < self.names.len() {
            return Err(Error::data(format!(
                "two columns have one name, so that only their order tells them apart: give them in the order in which the {what} \
                 was fitted, {}",
                listed(&self.names)
            )));
        }
        let places = self.names.iter().map(|name| place[name.as_str()]);
        Ok(Some(places.collect()))
    }

    fn unfit(&self, what: &str, column: usize, message: &str) -> String {
        let name = self.names.get(column);
        let name = name.map_or(String::new(), |name| format!(", `{name}`"));
        format!("column {column}{name} (counted from 0) {message}, as the {what} was fitted")
    }
}

/// Numbers of the categories `theirs` as those of the same names among `own`; NaN stays.
fn renumber(
    cells: &mut dyn Iterator<Item = &mut f32>,
    own: &[String],
    theirs: &[String],
) -> Result<(), String> {
    if own.is_empty() {
        let theirs = listed(theirs);
        return Err(format!(
            "is one of the categories {theirs} here, but one of numbers"
        ));
    }
    let numbers = numbered(own);
    let known: Vec<Option<usize>> = (theirs.iter())
        .map(|name| numbers.get(name.as_str()).copied())
        .collect();
    for (row, cell) in cells.enumerate().filter(|(_, cell)| !cell.is_nan()) {
        if theirs.is_empty() {
            return Err(format!(
                "is {cell} in row {row}, a number, but one of the categories {}: read it by `Csv::categorical`, or name its \
                 categories by `with_categories`",
                listed(own)
            ));
        }
        let number = *cell as usize;
        let is_whole = *cell >= 0.0 && cell.fract() == 0.0;
        match (known.get(number), theirs.get(number)) {
            (Some(Some(known)), _) if is_whole => *cell = *known as f32,
            (_, Some(name)) if is_whole => {
                return Err(format!(
                    "is `{name}` in row {row}, which is none of the categories {}",
                    listed(own)
                ));
            }
            _ => {
                return Err(format!(
                    "is {cell} in row {row}, which is the number of none of its categories {}",
                    listed(theirs)
                ));
            }
        }
    }
    Ok(())
}

/// Names after a verb, where there are any.
fn named<'a>(verb: &str, names: impl Iterator<Item = &'a String>, after: &str) -> Option<String> {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("{verb} {}{after}", listed(&names)))
}

/// The number of each name.
pub(super) fn numbered(names: &[String]) -> HashMap<&str, usize> {
    (names.iter().map(String::as_str)).zip(0..).collect()
}

/// The first names of a list, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    let (first, more) = names.split_at(names.len().min(MAX_LISTED));
    let first = first.join(", ");
    match more.len() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
