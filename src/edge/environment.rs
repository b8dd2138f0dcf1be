//! Variables of the process.

use std::env::VarError;
use std::ffi::OsString;

use crate::{Error, Result};

/// The variable of that name; none where it is not set.
pub(crate) fn text(name: &'static str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Error::argument(
            name,
            "the environment variable is not valid Unicode",
        )),
    }
}

/// The same where it may be no text, such as a path.
pub(crate) fn path(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
