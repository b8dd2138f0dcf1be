//! What the tests share: the one device of a test process, taking turns on it, and the data that ships.
#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use kiln::plan::Target;
use kiln::{Device, Options};

/// Whether tests may open adapters: not under `KILN_NO_GPU=1`, the only skip.
pub fn may_open() -> bool {
    let skipped = std::env::var("KILN_NO_GPU").is_ok_and(|value| value == "1");
    if skipped {
        println!("KILN_NO_GPU=1: what needs a GPU is skipped");
    }
    !skipped
}

/// The device that `KILN_DEVICE` names, a software adapter by default.
///
/// Making or dropping two wgpu devices at once hangs some drivers: where a test opens one of its own, it takes its turn.
pub fn open(options: Options) -> kiln::Result<Device> {
    let name = std::env::var("KILN_DEVICE").unwrap_or_else(|_| "software".into());
    Device::named_with(&name, options)
}

/// The device that a process opens once and keeps; none under `KILN_NO_GPU=1`.
pub fn device() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let opened = || may_open().then(|| open(Options::default()).unwrap());
    DEVICE.get_or_init(opened).as_ref()
}

/// The CPU session, and that device.
pub fn devices() -> Vec<Device> {
    let devices = [Some(Device::cpu()), device().cloned()];
    devices.into_iter().flatten().collect()
}

/// The target with every node as a call of its own, for [`Device::with_target`].
pub fn unfused(target: Target) -> Target {
    Target {
        fusion: false,
        ..target
    }
}

/// A turn, one test at a time: for what is counted, lost or budgeted for a whole process.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that a look-up knows, by the names that it lists where it knows none.
pub fn known<T>(from_name: fn(&str) -> kiln::Result<T>) -> Vec<(String, T)> {
    match from_name("") {
        Err(kiln::Error::NotFound { known, .. }) => {
            let named = |name: String| (name.clone(), from_name(&name).unwrap());
            known.into_iter().map(named).collect()
        }
        _ => panic!("a look-up that knows nothing by no name"),
    }
}

/// A file that ships with the examples.
pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(name)
}
