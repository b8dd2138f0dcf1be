//! Tables in dialects.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [dialect, table @ ..] = bytes else { return };
    let csv = match dialect % 8 {
        0 => kiln::Csv::new(),
        1 => kiln::Csv::new().labels(),
        2 => kiln::Csv::new().categorical(0),
        3 => kiln::Csv::new().no_target().comment(b'#').delimiter(b';'),
        4 => kiln::Csv::new().delimiter(b';').decimal(b',').thousands(b'.'),
        5 => kiln::Csv::new().encoding("utf-16").thousands(b' '),
        6 => kiln::Csv::new().labels().encoding("latin-1"),
        _ => kiln::Csv::new().labels().encoding("windows-1252").quote(b'\''),
    };
    drop(csv.read_from(table, "fuzz"));
});
