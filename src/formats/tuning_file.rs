//! Tables of measured choices as files: a table's text, read and written whole.

use std::path::Path;

use crate::target::TuningTable;
use crate::{Error, Result};

impl TuningTable {
    /// Reads a table.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no plain file, and [`Error::Format`] with the line that is no part of a table.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = super::read(path)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|refusal| Error::format(path, None, format!("it is no text: {refusal}")))?;
        Self::parse(text).map_err(|(line, message)| Error::format(path, Some(line), message))
    }

    /// Writes a table to a file, which appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        super::write(&super::System, path, [self.to_string()])
    }
}
