//! The bytes and words by which a CSV file is written.

use crate::data::notation::Notation;
use crate::error::{Error, Result};

/// How a file parts cells, and writes numbers and missing cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub comment: Option<u8>,
    pub notation: Notation,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            delimiter: b',',
            quote: Some(b'"'),
            comment: None,
            notation: Notation::default(),
        }
    }
}

impl Dialect {
    /// Refuses bytes that cannot be told from each other.
    pub fn check(&self) -> Result<()> {
        let bytes = [
            ("delimiter", Some(self.delimiter)),
            ("quote", self.quote),
            ("comment", self.comment),
        ];
        for (at, (name, byte)) in bytes.iter().enumerate() {
            let Some(byte) = byte else { continue };
            if matches!(byte, b'\r' | b'\n') {
                let message = "must not be a line end, which ends a record";
                return Err(Error::argument(name, message));
            }
            if let Some((other, _)) = bytes[..at].iter().find(|(_, known)| *known == Some(*byte)) {
                let shown = byte.escape_ascii();
                let message = format!("must be another byte than {other}, got `{shown}` for both");
                return Err(Error::argument(name, message));
            }
        }
        self.check_numbers()
    }

    /// Refuses signs for the decimal point and between thousands that cannot be told from the rest of a number.
    fn check_numbers(&self) -> Result<()> {
        let Notation {
            decimal, thousands, ..
        } = self.notation;
        let quote = self.quote.map(char::from);
        let is_sign = |sign: char| {
            let apart = sign.is_ascii_punctuation() && !matches!(sign, '+' | '-');
            (apart || sign == ' ') && quote != Some(sign)
        };
        let given = [("decimal", Some(decimal)), ("thousands", thousands)];
        for (name, sign) in given {
            if let Some(sign) = sign.filter(|sign| !is_sign(*sign)) {
                let message = format!(
                    "must be a sign such as `,` or `.` that neither numbers nor quotes have, got `{}`",
                    sign.escape_default()
                );
                return Err(Error::argument(name, message));
            }
        }
        if thousands == Some(decimal) {
            let message =
                format!("must be another byte than the decimal point, got `{decimal}` for both");
            return Err(Error::argument("thousands", message));
        }
        Ok(())
    }
}
