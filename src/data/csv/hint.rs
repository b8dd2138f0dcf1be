//! What to set where a text that is no number may be one in another language.

use crate::data::notation::Notation;

/// What to set where a text that is no number may be one in another language.
pub(super) fn hint(text: &str, notation: &Notation) -> Option<String> {
    let digits = text.trim_start_matches(['-', '+']);
    let foreign = |c: char| c == ',' || c == '.' || c == '\'' || c.is_whitespace();
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || foreign(c));
    let set = |decimal: char, thousands: char| {
        format!(
            "where `{decimal}` is the decimal point, say `.decimal(b'{decimal}')`, and where `{thousands}` parts thousands, \
             `.thousands(b'{thousands}')`"
        )
    };
    match (notation.decimal, digits.contains(','), digits.contains('.')) {
        ('.', true, false) if is_number => Some(set(',', ',')),
        (_, true, true) if is_number && digits.find(',') > digits.find('.') => Some(set(',', '.')),
        (_, true, true) if is_number => Some(set('.', ',')),
        (',', _, true) if is_number => Some(set('.', '.')),
        _ => None,
    }
}
