//! One cell of a CSV file: a number, a missing one, or a text.

use super::dialect::Dialect;

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// A finite number that f32 can hold.
    Number(f32),
    /// An infinity or a NaN that is written out, such as `inf`.
    NotFinite(f32),
    /// A number beyond the largest f32, about 3.4e38.
    TooLarge,
    /// Nothing at all.
    Empty,
    /// One of the words that stand for a missing number.
    Missing,
    /// Anything else.
    Text,
}

impl Cell {
    /// What this text is. Within quotes, blanks may stand around a number.
    pub fn of(text: &str, dialect: &Dialect) -> Self {
        let plain = text.trim_matches([' ', '\t']);
        if plain.is_empty() {
            return Cell::Empty;
        }
        if dialect.notation.is_missing(plain) {
            return Cell::Missing;
        }
        match dialect.notation.number::<f32>(plain.trim()) {
            Some(number) if number.is_finite() => Cell::Number(number),
            Some(_) if text.contains(|c: char| c.is_ascii_digit()) => Cell::TooLarge,
            Some(number) => Cell::NotFinite(number),
            None => Cell::Text,
        }
    }
}

/// The text of a cell. The error says what to do where it is not UTF-8: a text with a mark in place of each such byte would be
/// the same for many.
pub(super) fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|refusal| {
        let (shown, at) = (bytes.trim_ascii().escape_ascii(), refusal.valid_up_to());
        let byte = bytes.get(at).copied().unwrap_or_default();
        format!(
            "`{shown}` is not UTF-8, by its byte {byte:02x}: say how the file is encoded, such as `.encoding(\"latin-1\")` or \
             `.encoding(\"windows-1252\")`"
        )
    })
}
