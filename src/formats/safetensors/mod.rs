//! The safetensors format: named tensors and texts in one file.
//!
//! Eight bytes hold the length of the header, little-endian; the header is a JSON object that gives for each tensor its
//! element type, its shape and its place in the bytes after the header, and for `__metadata__` an object of texts. Tensors
//! lie there row-major, little-endian, one after the other without gaps.

mod dtype;
mod read;
mod write;

pub(crate) use dtype::Dtype;
pub(crate) use read::File;
pub(crate) use write::{Elements, NewTensor, header};

/// The longest header that is read: a file of a hundred thousand tensors has one of about 10 MB.
const MAX_HEADER: usize = 16 << 20;

/// The most tensors of a file.
const MAX_TENSORS: usize = 100_000;

/// The most lists and objects, and the most commas, of a JSON in the metadata: what it takes in memory follows from them.
const MAX_JSON: (usize, usize) = (32_768, 500_000);

/// The name under which the header holds texts.
const METADATA: &str = "__metadata__";

/// Refuses a text that is JSON of more lists, objects and values than any model or run has.
fn fits(text: &str) -> Result<(), String> {
    let (max_lists, max_commas) = MAX_JSON;
    let (mut lists, mut commas) = (0, 0);
    let (mut within, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = within,
            b'"' => within = !within,
            b'[' | b'{' if !within => lists += 1,
            b',' if !within => commas += 1,
            _ => {}
        }
    }
    if lists > max_lists || commas > max_commas {
        Err(format!(
            "is JSON of {lists} lists and objects with {commas} commas; {max_lists} and {max_commas} are the most"
        ))
    } else {
        Ok(())
    }
}
