//! Sizes that the programs of a model and those who run them share.

/// Steps whose sums the ring holds: the most that one submission may run.
pub(crate) const RING_ROWS: usize = 1024;

/// Readbacks under way at once: the host reads one while the device fills the other.
pub(crate) const READBACKS: usize = 2;

/// Rows of a step where nothing else is said.
pub(crate) const DEFAULT_BATCH: usize = 32;

/// Steps of a run from which a kernel pays that is compiled for its network alone: a step in calls of its own takes some
/// 0.6 ms longer on lavapipe, and the kernel a few tenths of a second to compile.
pub(crate) const FEW_STEPS: u64 = 512;

/// The most rows of a step, which one workgroup of the clock numbers.
pub(crate) const MAX_BATCH: usize = 65_536;

/// The most rows that an evaluation computes at once. Its steps share a submission and a readback, so that more rows would save
/// dispatches alone; beside a training they would take room for activations that no step of that needs.
pub(crate) const MAX_EVALUATE_ROWS: usize = 1024;
