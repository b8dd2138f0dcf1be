//! Tables in dialects.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [dialect, table @ ..] = bytes else { return };
    let csv = match dialect % 4 {
        0 => kiln::Csv::new(),
        1 => kiln::Csv::new().labels(),
        2 => kiln::Csv::new().categorical(0),
        _ => kiln::Csv::new().no_target().comment(b'#').delimiter(b';'),
    };
    drop(csv.read_from(table, "fuzz"));
});
