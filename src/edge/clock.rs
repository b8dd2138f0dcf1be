//! The clock on the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment by a clock that never goes back.
pub(crate) type WallTime = std::time::Instant;

/// Two moments between which something ended that is looked at now and then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// It had not ended before.
    pub after: WallTime,
    /// It had ended by then.
    pub by: WallTime,
}

impl Ending {
    /// At this moment.
    pub fn at(moment: WallTime) -> Self {
        Ending {
            after: moment,
            by: moment,
        }
    }
}

/// Seconds since 1970 by the system's clock; 0 where that is earlier.
pub(crate) fn unix_time() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Blocks the thread.
#[cfg(feature = "gpu")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
