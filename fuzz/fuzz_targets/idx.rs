//! IDX files, plain and gzipped.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(kiln::data::idx::read_from(bytes, "fuzz").and_then(kiln::data::idx::Idx::into_f32));
});
