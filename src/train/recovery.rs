//! What a run does when its device is lost.

use std::time::Duration;

/// What a run does when its device is lost: a driver reset, a laptop that slept, a GPU unplugged and plugged in.
///
/// The run makes the device again, takes up the last state that was kept and repeats the steps since, to the bits that it would
/// have ended in, but where rows come from an iterator, which gives none twice. Callbacks hear of the epochs that are repeated
/// once more, after [`Callback::restore`](super::Callback::restore).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// How often a run may lose its device and go on. 0: never, and no state is kept for it. Default: 3.
    pub tries: u32,
    /// Time between two states that are kept. Default: none given, which is 5 s, or a hundred times what the last one took
    /// where that is longer, so that they cost at most 1 % of the time. They are copied on the device and read back while
    /// later steps run; where there is no room for that the run waits for them.
    pub every: Option<Duration>,
}

impl Default for Recovery {
    fn default() -> Self {
        Recovery {
            tries: 3,
            every: None,
        }
    }
}
