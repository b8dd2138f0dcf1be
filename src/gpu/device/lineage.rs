//! The devices that one adapter was opened as, each made after the one before was lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::adapter::Selector;

/// How an adapter was chosen, and the device that it was opened as last.
pub(super) struct Lineage<D> {
    /// The choice; none where the device is the host program's, which nobody else can make again.
    pub selector: Option<Selector>,
    latest: Mutex<Arc<D>>,
}

impl<D> Lineage<D> {
    /// A lineage that begins with this device.
    pub fn new(selector: Option<Selector>, first: Arc<D>) -> Self {
        Lineage {
            selector,
            latest: Mutex::new(first),
        }
    }

    /// The device that was made last.
    pub fn latest(&self) -> MutexGuard<'_, Arc<D>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
