//! NumPy's arrays.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = kiln::data::Array::from_bytes(bytes, "fuzz") {
        drop(array.to_labels());
        drop(array.to_f32());
    }
});
