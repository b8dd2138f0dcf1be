//! Whether the first record of a CSV file names the columns.

use std::collections::HashSet;

use super::cells::{Cell, text};
use super::dialect::Dialect;
use super::records::TableRecord;

/// Decides by what the caller `said`, and without one by the first two records.
pub(super) fn is_header(
    said: Option<bool>,
    dialect: &Dialect,
    first: &TableRecord,
    second: Option<&TableRecord>,
) -> Result<bool, String> {
    if let Some(said) = said {
        return Ok(said);
    }
    // A text that is not UTF-8 may stand in a column that is left out.
    let kind = |cell: &[u8]| text(cell).map_or(Cell::Text, |text| Cell::of(text, dialect));
    let is_number = |cell: &[u8]| matches!(kind(cell), Cell::Number(_) | Cell::TooLarge);
    let has_numbers = first.cells().any(is_number);
    if !has_numbers && could_be_names(dialect, first) {
        return Ok(true);
    }
    let below = second.into_iter().flat_map(TableRecord::cells);
    let above = first
        .cells()
        .zip(below)
        .find(|(top, cell)| kind(top) == Cell::Text && is_number(cell));
    match above {
        None => Ok(false),
        Some(_) if !has_numbers => Ok(true),
        Some((top, cell)) => Err(format!(
            "`{}` is a text above the number {}, next to other numbers: is it a name or a bad cell? Say whether the \
             file has a header with `.header(true)` or `.header(false)`",
            text(top)?,
            text(cell)?
        )),
    }
}

/// Whether cells without a number among them may be names. An empty one tells nothing: some writers leave the name of the row
/// numbers' column empty. A word such as `Na`, which stands for a missing cell too, may be a name once, but `?` is none.
fn could_be_names(dialect: &Dialect, first: &TableRecord) -> bool {
    let (mut words, mut texts) = (HashSet::new(), 0);
    for cell in first.cells() {
        match text(cell).map(|text| (text, Cell::of(text, dialect))) {
            Ok((word, Cell::Missing)) => {
                if !word.chars().all(char::is_alphabetic) || !words.insert(word) {
                    return false;
                }
            }
            Ok((_, Cell::Empty)) => {}
            _ => texts += 1,
        }
    }
    words.is_empty() || texts > 0
}

/// The names in a header.
pub(super) fn names(first: &TableRecord) -> Result<Vec<String>, String> {
    first
        .cells()
        .map(|cell| text(cell).map(str::to_owned))
        .collect()
}
