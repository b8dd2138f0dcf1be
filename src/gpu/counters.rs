//! What the engine has asked of wgpu, counted where the calls are made.

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
    /// The part of the bytes alive in buffers that the host reads.
    pub readback_bytes: u64,
    /// The peak without the buffers that the host reads, which a GPU with memory of its own keeps in the host's.
    pub peak_resident_bytes: u64,
    /// How often the device was lost and made again.
    pub generation: u64,
    /// Faults that were let in and have fired: see [`Device::inject`](crate::Device::inject).
    pub faults: u64,
}

impl Counters {
    /// What was added since `before`; bytes alive and their peaks as they are now.
    pub fn since(&self, before: &Counters) -> Counters {
        Counters {
            objects: self.objects.saturating_sub(before.objects),
            uploads: self.uploads.saturating_sub(before.uploads),
            upload_bytes: self.upload_bytes.saturating_sub(before.upload_bytes),
            readbacks: self.readbacks.saturating_sub(before.readbacks),
            submits: self.submits.saturating_sub(before.submits),
            passes: self.passes.saturating_sub(before.passes),
            dispatches: self.dispatches.saturating_sub(before.dispatches),
            generation: self.generation.saturating_sub(before.generation),
            faults: self.faults.saturating_sub(before.faults),
            ..*self
        }
    }
}
