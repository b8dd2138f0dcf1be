//! Whether the first record of a CSV file names the columns.

use std::collections::HashSet;

use super::cells::{Cell, text};
use super::dialect::Dialect;
use super::records::TableRecord;
use super::{Column, Csv};

/// Decides by what the caller said, and without that by the first two records.
pub(super) fn is_header(
    csv: &Csv,
    first: &TableRecord,
    second: Option<&TableRecord>,
) -> Result<bool, String> {
    if let Some(said) = csv.header {
        return Ok(said);
    }
    let dialect = &csv.dialect;
    // A text that is not UTF-8 may stand in a column that is left out.
    let kind = |cell: &[u8]| text(cell).map_or(Cell::Text, |text| Cell::of(text, dialect));
    let is_number = |cell: &[u8]| matches!(kind(cell), Cell::Number(_) | Cell::TooLarge);
    let has_numbers = first.cells().any(is_number);
    let words = Words::of(dialect, first);
    if !has_numbers && words == Words::Names {
        return Ok(true);
    }
    let below = second.into_iter().flat_map(TableRecord::cells);
    let above: Vec<(&[u8], &[u8])> = (first.cells().zip(below))
        .filter(|(top, cell)| kind(top) == Cell::Text && is_number(cell))
        .collect();
    if !has_numbers && above.iter().any(|(top, _)| !begins_as_number(top)) {
        return Ok(true);
    }
    let message = match above.first() {
        Some((top, cell)) => format!(
            "`{}` is a text above the number {}, next to {}: is it a name or a bad cell?",
            text(top)?,
            text(cell)?,
            if has_numbers {
                "other numbers"
            } else {
                "a missing one"
            }
        ),
        None if !has_numbers && words == Words::Either => {
            let shown: Vec<&str> = first.cells().filter_map(|cell| text(cell).ok()).collect();
            format!(
                "`{}` may name the columns, or be a row in which a number is missing or not finite: no text in it stands above a \
                 number. Which is it?",
                shown.join(char::from(dialect.delimiter).to_string().as_str())
            )
        }
        None => return Ok(false),
    };
    if csv.points_to(first) {
        return Ok(true);
    }
    Err(format!(
        "{message} Say whether the file has a header with `.header(true)` or `.header(false)`"
    ))
}

/// Whether a text that is no number begins as one, such as `14b` or `1_000`: a cell gone wrong rather than a name.
fn begins_as_number(cell: &[u8]) -> bool {
    let digits = cell.trim_ascii_start();
    let digits = digits.strip_prefix(b"-").unwrap_or(digits);
    digits.first().is_some_and(u8::is_ascii_digit)
}

/// What the cells of a record are that have no number among them.
#[derive(Debug, PartialEq, Eq)]
enum Words {
    /// Texts alone: names.
    Names,
    /// Texts, and cells that may be missing or not finite. An empty one tells nothing: some writers leave the name of the row
    /// numbers' column empty. A word such as `Na`, which stands for a missing cell too, may be a name once.
    Either,
    /// No names, as nothing is a text, or something can be nothing but a missing cell, such as `?`.
    Cells,
}

impl Words {
    fn of(dialect: &Dialect, first: &TableRecord) -> Self {
        let (mut words, mut texts, mut empty) = (HashSet::new(), 0, 0);
        for cell in first.cells() {
            match text(cell).map(|text| (text, Cell::of(text, dialect))) {
                Ok((word, Cell::Missing | Cell::NotFinite(_))) => {
                    if !word.chars().all(char::is_alphabetic) || !words.insert(word) {
                        return Words::Cells;
                    }
                }
                Ok((_, Cell::Empty)) => empty += 1,
                _ => texts += 1,
            }
        }
        match (texts, words.len() + empty) {
            (0, _) => Words::Cells,
            (_, 0) => Words::Names,
            _ => Words::Either,
        }
    }
}

impl Csv {
    /// Whether the caller points to a column by a name that stands in this record.
    fn points_to(&self, first: &TableRecord) -> bool {
        let categorical = self.categorical.iter().map(|(column, _)| column);
        let given = self.targets.iter().flatten().chain(&self.skipped);
        given.chain(categorical).any(|column| match column {
            Column::Name(name) => first.cells().any(|cell| cell == name.as_bytes()),
            Column::Index(_) => false,
        })
    }
}

/// The names in a header.
pub(super) fn names(first: &TableRecord) -> Result<Vec<String>, String> {
    first
        .cells()
        .map(|cell| text(cell).map(str::to_owned))
        .collect()
}
