//! Tables of measured kernels.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(table) = kiln::plan::TuningTable::parse(&text) {
        assert_eq!(kiln::plan::TuningTable::parse(&table.to_string()), Ok(table));
    }
});
