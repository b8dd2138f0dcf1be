//! One thread after the other, in the order they came.
//!
//! wgpu looks at its fence and then at its queue, and panics if another thread has retired a submission in between (wgpu-core
//! 30, `Device::maintain`). So waiting and submitting take turns. A waiting thread gives its turn up every few milliseconds.

use std::sync::{Condvar, Mutex, PoisonError};

/// A lock that is fair: a thread that asks again stands behind those that wait.
#[derive(Debug, Default)]
pub(super) struct Turn {
    tickets: Mutex<Tickets>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    serving: u64,
}

/// The turn, until it is dropped.
pub(super) struct Taken<'a>(&'a Turn);

impl Turn {
    /// Waits for the turn.
    pub fn take(&self) -> Taken<'_> {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let own = tickets.next;
        tickets.next += 1;
        while tickets.serving != own {
            let woken = self.moved.wait(tickets);
            tickets = woken.unwrap_or_else(PoisonError::into_inner);
        }
        Taken(self)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let turn = self.0;
        let mut tickets = turn.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.serving += 1;
        if tickets.serving != tickets.next {
            turn.moved.notify_all();
        }
    }
}
