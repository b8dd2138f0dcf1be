//! Model files, and so the safetensors reader.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(kiln::train::Model::from_bytes(&kiln::Device::cpu(), bytes));
});
