//! The running counts of a device.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::counters::Counters;

/// The running counts of a device.
#[derive(Default)]
pub(super) struct LiveCounters {
    pub objects: AtomicU64,
    pub uploads: AtomicU64,
    pub upload_bytes: AtomicU64,
    pub readbacks: AtomicU64,
    pub submits: AtomicU64,
    pub passes: AtomicU64,
    pub dispatches: AtomicU64,
    pub bytes: AtomicU64,
    /// The part of these bytes that the host reads.
    pub readback_bytes: AtomicU64,
    pub peak_bytes: AtomicU64,
    pub peak_resident_bytes: AtomicU64,
}

impl LiveCounters {
    /// Counts objects made.
    pub fn made(&self, objects: u64) {
        self.objects.fetch_add(objects, Relaxed);
    }

    /// Counts a submission with its passes and dispatches.
    pub fn submitted(&self, passes: u64, dispatches: u64) {
        self.submits.fetch_add(1, Relaxed);
        self.passes.fetch_add(passes, Relaxed);
        self.dispatches.fetch_add(dispatches, Relaxed);
    }

    /// The counts now.
    pub fn read(&self) -> Counters {
        Counters {
            objects: self.objects.load(Relaxed),
            uploads: self.uploads.load(Relaxed),
            upload_bytes: self.upload_bytes.load(Relaxed),
            readbacks: self.readbacks.load(Relaxed),
            submits: self.submits.load(Relaxed),
            passes: self.passes.load(Relaxed),
            dispatches: self.dispatches.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            peak_bytes: self.peak_bytes.load(Relaxed),
            peak_resident_bytes: self.peak_resident_bytes.load(Relaxed),
        }
    }
}
