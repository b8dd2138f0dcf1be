//! Whether a device still answers, and how it is left when it does not.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::edge::threads;
use crate::{Error, Result};

use super::fair_lock::locked;

/// What is known to be wrong with a device.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Set by the driver's word, by a mapping that fails, or by a wait that passed its deadline.
    gone: AtomicBool,
    /// Work that may never end is on it.
    hung: AtomicBool,
    reason: Mutex<String>,
    /// An error that no call of ours raised; the next one reports it.
    stray: Mutex<Option<String>>,
}

impl Health {
    /// Notes that the device is gone; the first reason stays.
    pub fn lose(&self, reason: impl Into<String>) {
        let mut first = locked(&self.reason);
        if !self.gone.load(Relaxed) {
            *first = reason.into();
            self.gone.store(true, Relaxed);
        }
    }

    /// Notes that work on the device passed its deadline: nothing may wait for it any more.
    pub fn hang(&self, reason: impl Into<String>) {
        self.hung.store(true, Relaxed);
        self.lose(reason);
    }

    /// Notes an error that came without a call.
    pub fn stray(&self, error: String) {
        locked(&self.stray).get_or_insert(error);
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    pub fn reason(&self) -> String {
        locked(&self.reason).clone()
    }

    pub fn is_hung(&self) -> bool {
        self.hung.load(Relaxed)
    }

    /// The error of a call on a device that is gone, or of one before it.
    pub fn check(&self, during: &str) -> Result<()> {
        if self.is_gone() {
            return Err(Error::DeviceLost {
                during: during.into(),
                message: self.reason(),
            });
        }
        match locked(&self.stray).take() {
            Some(message) => Err(Error::Gpu {
                during: format!("a call before {during}"),
                message,
            }),
            None => Ok(()),
        }
    }
}

/// The last owner of a device's handles. wgpu waits for the work under way before it lets a device go, and may panic if that
/// fails: of a device that hangs or is gone a thread of its own takes leave, so that nobody waits for what may never end.
#[derive(Debug)]
pub(super) struct LastHandles {
    pub health: Arc<Health>,
    pub handles: Option<(wgpu::Device, wgpu::Queue)>,
}

impl Drop for LastHandles {
    fn drop(&mut self) {
        let Some(handles) = self.handles.take() else {
            return;
        };
        let leave = move || {
            // The device is gone either way, and there is nobody to tell.
            drop(caught(|| drop(handles)));
        };
        if !self.health.is_hung() {
            leave();
            return;
        }
        // Without a thread the closure, and the handles with it, is dropped here.
        threads::detached("kiln: a device that hangs", leave);
    }
}

/// Runs calls of wgpu, which panics in a few places where a driver fails; what it said then.
pub(super) fn caught<R>(calls: impl FnOnce() -> R) -> std::result::Result<R, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(calls)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("no reason given").to_string()
    })
}
