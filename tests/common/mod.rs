//! What the tests share: the one device of a test process, and the data that ships.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kiln::{DEVICE_VARIABLE, Device};

/// The device that `KILN_DEVICE` names, a software adapter by default; none under `KILN_NO_GPU=1`, the only skip.
///
/// Making or dropping two wgpu devices at once hangs some drivers, so a process opens one and keeps it.
pub fn device() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
        if std::env::var("KILN_NO_GPU").is_ok_and(|value| value == "1") {
            println!("KILN_NO_GPU=1: what needs a GPU is skipped");
            return None;
        }
        let name = std::env::var(DEVICE_VARIABLE).unwrap_or_else(|_| "software".into());
        Some(Device::named(&name).unwrap())
    };
    DEVICE.get_or_init(open).as_ref()
}

/// A file that ships with the examples.
pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(name)
}
