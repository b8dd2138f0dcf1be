//! The edge: what the engine asks of the system that it runs on. Nothing else in `src` names the clock on the wall, threads,
//! files, the environment, progress bars or a wait that blocks, so that the same engine can run where these are others, in a
//! browser for one. A test reads the source for it.
//!
//! | module | what it holds |
//! |---|---|
//! | `clock` | the time on the wall, pauses |
//! | `environment` | variables of the process |
//! | `files` | files and folders of the system |
//! | `progress` | standard error: lines, and the progress bar with the feature of that name |
//! | `slice` | how long a poll of a future may work before it gives the thread back |
//! | `threads` | the pool that shares out long loops, with the feature `parallel`; helpers of a moment |
//! | `wait` | blocking on a future, at the public doors that block |

pub(crate) mod clock;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod progress;
pub(crate) mod slice;
pub(crate) mod threads;
mod wait;

pub(crate) use clock::{Ending, WallTime};
pub(crate) use wait::block_on;
