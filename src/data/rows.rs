//! Rows of row-major tables: how many there are, and some of them picked.

use crate::error::{Error, Result};
use crate::reserve::reserved;

/// The number of rows that `len` elements make.
pub(super) fn whole_rows(what: &str, len: usize, columns: usize) -> Result<usize> {
    if len == 0 || columns == 0 {
        return Err(Error::data(format!(
            "there are no {what} ({len} elements in rows of {columns}): give at least one row and one column"
        )));
    }
    if !len.is_multiple_of(columns) {
        return Err(Error::data(format!(
            "{len} {what} are not whole rows of {columns}: row {} would have only {} of its {columns} columns",
            len / columns,
            len % columns
        )));
    }
    Ok(len / columns)
}

/// The rows of a row-major table that `rows` name; they are below its number of rows.
pub(super) fn picked<T: Copy>(table: &[T], columns: usize, rows: &[usize]) -> Result<Vec<T>> {
    let mut picked = reserved(rows.len().checked_mul(columns), "the selected rows")?;
    for row in rows {
        picked.extend_from_slice(&table[row * columns..][..columns]);
    }
    Ok(picked)
}
