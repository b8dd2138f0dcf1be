//! Waiting: the one place that blocks a thread on a future.

use super::slice;

/// Blocks the thread until a future is done, which works on in every poll. Only public doors that block call this.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(slice::endless(future))
}
