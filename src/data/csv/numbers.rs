//! Numbers as other languages write them: a comma for the point, separators between thousands.

use std::str::FromStr;

use super::dialect::Dialect;

/// The number that a text is, if it is one, with the signs that `dialect` says.
pub(super) fn number<T: FromStr>(text: &str, dialect: &Dialect) -> Option<T> {
    if dialect.decimal == b'.' && dialect.thousands.is_none() {
        return text.parse().ok();
    }
    plain(
        text,
        char::from(dialect.decimal),
        dialect.thousands.map(char::from),
    )?
    .parse()
    .ok()
}

/// The number as Rust writes it.
fn plain(text: &str, decimal: char, thousands: Option<char>) -> Option<String> {
    if !text.contains(|c: char| c.is_ascii_digit()) {
        // An infinity or a NaN.
        return Some(text.into());
    }
    let unsigned = text.trim_start_matches(['-', '+']);
    let sign = &text[..text.len() - unsigned.len()];
    let exponent = unsigned.find(['e', 'E']).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(exponent);
    let (whole, fraction) = mantissa.split_once(decimal).unwrap_or((mantissa, ""));
    let whole = match thousands {
        Some(separator) => ungrouped(whole, separator)?,
        None => whole.into(),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (digits(&whole) && digits(fraction)).then(|| format!("{sign}{whole}.{fraction}{exponent}"))
}

/// The digits of `1.234.567`: the last group has three, those in between two, as in India, or three, and the first at most
/// three. Other texts with separators are no numbers: `1,23` may well have been meant as 1.23.
fn ungrouped(whole: &str, separator: char) -> Option<String> {
    // Beside the plain blank there are two that no line breaks at.
    let separates = |c: char| c == separator || (separator == ' ' && c.is_whitespace());
    let groups: Vec<&str> = whole.split(separates).collect();
    let [first, between @ .., last] = &groups[..] else {
        return Some(whole.into());
    };
    let fits = (1..=3).contains(&first.len())
        && between.iter().all(|group| (2..=3).contains(&group.len()))
        && last.len() == 3;
    fits.then(|| groups.concat())
}

/// What to set where a text that is no number may be one in another language.
pub(super) fn hint(text: &str, dialect: &Dialect) -> Option<String> {
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
    match (dialect.decimal, digits.contains(','), digits.contains('.')) {
        (b'.', true, false) if is_number => Some(set(',', ',')),
        (_, true, true) if is_number && digits.find(',') > digits.find('.') => Some(set(',', '.')),
        (_, true, true) if is_number => Some(set('.', ',')),
        (b',', _, true) if is_number => Some(set('.', '.')),
        _ => None,
    }
}
