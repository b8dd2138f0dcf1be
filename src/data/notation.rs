//! How texts stand for numbers and missing cells: the decimal point, separators between thousands, words for what is missing.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the file of a table writes numbers and missing cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Notation {
    /// The sign between the whole part of a number and its fraction.
    pub decimal: char,
    /// The sign between thousands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// The words for a missing cell, beside an empty one, in any case.
    pub missing: Vec<String>,
}

impl Default for Notation {
    fn default() -> Self {
        Notation {
            decimal: '.',
            thousands: None,
            missing: ["?", "na", "n/a", "nan", "null"].map(String::from).to_vec(),
        }
    }
}

impl Notation {
    /// Whether it is the one that readers begin with.
    pub fn is_default(&self) -> bool {
        *self == Notation::default()
    }

    /// Whether a text without blanks around it is a word for a missing cell.
    pub fn is_missing(&self, text: &str) -> bool {
        // A NaN's sign says nothing, and C's library prints it.
        let unsigned = match text.strip_prefix(['-', '+']) {
            Some(rest) if rest.eq_ignore_ascii_case("nan") => rest,
            _ => text,
        };
        let missing = |word: &String| unsigned.eq_ignore_ascii_case(word);
        self.missing.iter().any(missing)
    }

    /// The number that a text without blanks around it is, if it is one.
    pub fn number<T: FromStr>(&self, text: &str) -> Option<T> {
        if self.decimal == '.' && self.thousands.is_none() {
            return text.parse().ok();
        }
        plain(text, self.decimal, self.thousands)?.parse().ok()
    }
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
