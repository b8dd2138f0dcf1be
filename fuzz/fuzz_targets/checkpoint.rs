//! Checkpoints. The fuzzer does not find checksums: `tests/mutate` seals its damaged copies instead.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(kiln::train::RunState::from_bytes(bytes, "fuzz"));
});
