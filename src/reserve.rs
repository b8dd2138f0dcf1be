//! Vectors with room that was asked for, so that too little memory is an error.

use crate::{Error, Result};

/// An empty vector with room for `len` elements; an error where `len` overflowed or memory does not suffice.
pub(crate) fn reserved<T>(len: Option<usize>, what: &str) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    let len = len.ok_or_else(|| Error::data(format!("{what} would be too many to count")))?;
    vector.try_reserve_exact(len).map_err(|refusal| {
        Error::data(format!(
            "{what}, {len} elements, do not fit into memory: {refusal}"
        ))
    })?;
    Ok(vector)
}
