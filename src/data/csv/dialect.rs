//! The bytes and words by which a CSV file is written.

use crate::error::{Error, Result};

/// How a file parts cells, and writes numbers and missing cells.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub comment: Option<u8>,
    pub decimal: u8,
    pub thousands: Option<u8>,
    /// The words for a missing cell, beside an empty one.
    pub missing: Vec<String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect {
            delimiter: b',',
            quote: Some(b'"'),
            comment: None,
            decimal: b'.',
            thousands: None,
            missing: ["?", "na", "n/a", "nan", "null"].map(String::from).to_vec(),
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

    /// Refuses bytes for the decimal point and the separator of thousands that cannot be told from the rest of a number.
    fn check_numbers(&self) -> Result<()> {
        let is_sign = |byte: u8| {
            let apart = byte.is_ascii_punctuation() && !matches!(byte, b'+' | b'-');
            (apart || byte == b' ') && self.quote != Some(byte)
        };
        let given = [
            ("decimal", Some(self.decimal)),
            ("thousands", self.thousands),
        ];
        for (name, byte) in given {
            if let Some(byte) = byte.filter(|byte| !is_sign(*byte)) {
                let message = format!(
                    "must be a sign such as `,` or `.` that neither numbers nor quotes have, got `{}`",
                    byte.escape_ascii()
                );
                return Err(Error::argument(name, message));
            }
        }
        if self.thousands == Some(self.decimal) {
            let message = format!(
                "must be another byte than the decimal point, got `{}` for both",
                self.decimal.escape_ascii()
            );
            return Err(Error::argument("thousands", message));
        }
        Ok(())
    }
}
