//! What the engine has asked of wgpu, counted where the calls are made.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the engine has asked of wgpu so far; all of it counted where the call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Buffers, bind groups, layouts, shader modules and pipelines made.
    pub objects: u64,
    /// Writes from the host.
    pub uploads: u64,
    /// Bytes written by the host.
    pub upload_bytes: u64,
    /// Buffers mapped for the host to read.
    pub readbacks: u64,
    /// Submissions to the queue.
    pub submits: u64,
    /// Compute passes.
    pub passes: u64,
    /// Dispatches.
    pub dispatches: u64,
    /// Bytes of buffers alive now.
    pub bytes: u64,
    /// The most bytes of buffers that were alive at once.
    pub peak_bytes: u64,
    /// The peak without the buffers that the host reads, which a GPU with memory of its own keeps in the host's.
    pub peak_resident_bytes: u64,
}

impl Counters {
    /// What was added since `before`; bytes alive and their peak as they are now.
    pub fn since(&self, before: &Counters) -> Counters {
        Counters {
            objects: self.objects.saturating_sub(before.objects),
            uploads: self.uploads.saturating_sub(before.uploads),
            upload_bytes: self.upload_bytes.saturating_sub(before.upload_bytes),
            readbacks: self.readbacks.saturating_sub(before.readbacks),
            submits: self.submits.saturating_sub(before.submits),
            passes: self.passes.saturating_sub(before.passes),
            dispatches: self.dispatches.saturating_sub(before.dispatches),
            bytes: self.bytes,
            peak_bytes: self.peak_bytes,
            peak_resident_bytes: self.peak_resident_bytes,
        }
    }
}

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
