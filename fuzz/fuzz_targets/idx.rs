//! IDX files, plain and gzipped.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(kiln::data::idx::read_from(bytes, "fuzz").and_then(|array| array.to_f32()));
});
