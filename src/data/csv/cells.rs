//! One cell of a CSV file: a number, a missing one, or a text.

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell {
    /// A number that f32 can hold.
    Number(f32),
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
    /// What these bytes of a record are; `missing` are the texts that stand for a missing number, in any case.
    pub(super) fn of(bytes: &[u8], missing: &[String]) -> Self {
        let text = match str::from_utf8(bytes) {
            Ok(text) => text.trim(),
            Err(_) => return Cell::Text,
        };
        if text.is_empty() {
            Cell::Empty
        } else if missing.iter().any(|word| text.eq_ignore_ascii_case(word)) {
            Cell::Missing
        } else {
            match text.parse::<f32>() {
                Ok(number)
                    if number.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) =>
                {
                    Cell::TooLarge
                }
                Ok(number) => Cell::Number(number),
                Err(_) => Cell::Text,
            }
        }
    }
}

/// The cell's text without blanks around it, to show or to name something with.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
