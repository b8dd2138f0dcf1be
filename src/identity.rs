//! Numbers that tell the sessions of a process apart.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Error, Result};

/// A number that one open session has and no other. A session that is opened again, on another device or on the same one made
/// again, has a new number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64);

impl Identity {
    /// A number that no other session has.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Identity(NEXT.fetch_add(1, Relaxed))
    }

    /// Refuses what was submitted by another session.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] where the two numbers differ.
    pub fn check(self, other: Identity) -> Result<()> {
        if self == other {
            Ok(())
        } else {
            Err(Error::argument("pending", "it belongs to another session"))
        }
    }
}
