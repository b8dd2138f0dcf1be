//! Whether the first record of a CSV file names the columns.

use csv::ByteRecord;

use super::Csv;
use super::cells::{Cell, text};

/// Decides by the setting, and without one by the first two records.
pub(super) fn is_header(
    csv: &Csv,
    first: &ByteRecord,
    second: Option<&ByteRecord>,
) -> Result<bool, String> {
    if let Some(said) = csv.header {
        return Ok(said);
    }
    // An empty cell tells nothing: some writers leave the name of the row numbers' column empty.
    let is_data = |cell: &[u8]| !matches!(Cell::of(cell, &csv.missing), Cell::Text | Cell::Empty);
    if !first.iter().any(is_data) {
        return Ok(true);
    }
    let is_number = |cell: &[u8]| matches!(Cell::of(cell, &csv.missing), Cell::Number(_));
    let below = second.into_iter().flat_map(ByteRecord::iter);
    let above = first
        .iter()
        .zip(below)
        .find(|(top, cell)| Cell::of(top, &csv.missing) == Cell::Text && is_number(cell));
    match above {
        None => Ok(false),
        Some((top, cell)) => Err(format!(
            "`{}` is a text above the number {}, next to other numbers: is it a name or a bad cell? Say whether the \
             file has a header with `.header(true)` or `.header(false)`",
            text(top),
            text(cell)
        )),
    }
}
