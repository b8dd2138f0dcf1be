//! How a device is opened, and faults that are let in to see what a program does with them.

use std::time::Duration;

/// How a device is opened.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The most bytes of buffers; a request beyond is refused before the driver is asked. Default: no budget.
    pub budget: Option<u64>,
    /// How long a wait may last. Default: 120 s.
    pub deadline: Duration,
    /// How long the device should work on one submission of a training or an evaluation, so that a host program that shares
    /// it can draw in between. Steps are counted out by the time that the last ones took; one step is never split.
    /// Default: as long as hides what a submission costs, some 80 ms.
    pub submission: Option<Duration>,
    /// A call that is to fail, counted from the opening on, for tests. Default: none.
    pub fault: Option<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            budget: None,
            deadline: Duration::from_secs(120),
            submission: None,
            fault: None,
        }
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// wgpu reports an error, and nothing was done.
    Error,
    /// There is not enough memory: the call was refused where it makes something, and lost the device elsewhere, as drivers do.
    OutOfMemory,
    /// The device is lost: destroyed as by a reset of the driver, and nothing tells so but what comes after.
    Lost,
    /// The device does not answer before the deadline.
    Timeout,
    /// The first mapping from this call on fails.
    Map,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 5] = [
        FaultKind::Error,
        FaultKind::OutOfMemory,
        FaultKind::Lost,
        FaultKind::Timeout,
        FaultKind::Map,
    ];
}

/// A call that is to fail, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which call, counted from 1: from the opening of the device where its options have the fault, else from
    /// [`Device::inject`](crate::Device::inject) on.
    pub call: u64,
    /// How it fails.
    pub kind: FaultKind,
}
