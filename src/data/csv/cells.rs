//! One cell of a CSV file: a number, a missing one, or a text.

use super::dialect::Dialect;
use super::numbers::number;

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
    /// What this text is, which has no blanks around it.
    pub fn of(text: &str, dialect: &Dialect) -> Self {
        if text.is_empty() {
            return Cell::Empty;
        }
        // A NaN's sign says nothing, and C's library prints it.
        let unsigned = match text.strip_prefix(['-', '+']) {
            Some(rest) if rest.eq_ignore_ascii_case("nan") => rest,
            _ => text,
        };
        let missing = |word: &String| unsigned.eq_ignore_ascii_case(word);
        if dialect.missing.iter().any(missing) {
            return Cell::Missing;
        }
        match number::<f32>(text, dialect) {
            Some(number) if number.is_finite() => Cell::Number(number),
            Some(_) if text.contains(|c: char| c.is_ascii_digit()) => Cell::TooLarge,
            Some(number) => Cell::NotFinite(number),
            None => Cell::Text,
        }
    }
}

/// The cell's text without blanks around it. The error says what to do where it is not UTF-8: a text with a mark in place
/// of each such byte would be the same for many.
pub(super) fn text(bytes: &[u8]) -> Result<&str, String> {
    let text = str::from_utf8(bytes).map(str::trim);
    text.map_err(|refusal| {
        let (shown, at) = (bytes.trim_ascii().escape_ascii(), refusal.valid_up_to());
        let byte = bytes.get(at).copied().unwrap_or_default();
        format!(
            "`{shown}` is not UTF-8, by its byte {byte:02x}: say how the file is encoded, such as `.encoding(\"latin-1\")` or \
             `.encoding(\"windows-1252\")`"
        )
    })
}
