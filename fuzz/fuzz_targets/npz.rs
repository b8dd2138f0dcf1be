//! NumPy's archives.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(kiln::data::npy::all_from_bytes(bytes, "fuzz"));
});
