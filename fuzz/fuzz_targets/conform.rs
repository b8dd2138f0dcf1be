//! Conformance cases: their JSON, or their tensors beside sound JSON.
#![no_main]

#[path = "../../tools/conform/case.rs"]
#[allow(dead_code)]
mod case;

use std::path::Path;

use libfuzzer_sys::fuzz_target;

/// What `case` calls what ends a case.
#[derive(Debug)]
pub enum Stop {
    /// An error.
    Failed(#[allow(dead_code)] kiln::Error),
}

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzz.json");
    // The length of the JSON, the JSON, and the tensors.
    let [low, high, rest @ ..] = bytes else { return };
    let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (text, tensors) = rest.split_at(len);
    drop(case::Case::parse(path, text, tensors));
});
