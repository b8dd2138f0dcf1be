//! One thread after the other, in the order they came, and none waits beyond its limit.
//!
//! wgpu waits for its fence and then looks at its queue, and panics if the wait timed out and another thread has retired the
//! submission in between (wgpu-core 30, `Device::maintain`). So waiting and submitting take turns. A waiting thread gives
//! its turn up every few milliseconds; one that a driver holds in a submission keeps it, and the others give up.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::edge::WallTime;

/// A lock that is fair: a thread that asks again comes after those that wait.
#[derive(Debug, Default)]
pub(super) struct FairLock {
    tickets: Mutex<Tickets>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    waiting: VecDeque<u64>,
    taken: bool,
}

/// The turn, until it is dropped.
pub(super) struct Turn<'a>(&'a FairLock);

impl FairLock {
    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        locked(&self.tickets)
    }

    /// Waits for the turn; none where it did not come within `limit`.
    pub fn take(&self, limit: Duration) -> Option<Turn<'_>> {
        let begun = WallTime::now();
        let mut tickets = self.tickets();
        let own = tickets.next;
        tickets.next += 1;
        tickets.waiting.push_back(own);
        while tickets.taken || tickets.waiting.front() != Some(&own) {
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                tickets.waiting.retain(|&ticket| ticket != own);
                // The thread that came next may be the first now.
                self.moved.notify_all();
                return None;
            }
            let woken = self.moved.wait_timeout(tickets, left);
            tickets = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        tickets.waiting.pop_front();
        tickets.taken = true;
        Some(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut tickets = self.0.tickets();
        tickets.taken = false;
        if !tickets.waiting.is_empty() {
            self.0.moved.notify_all();
        }
    }
}

/// What a lock holds, also where a thread panicked with it: all that is kept so in a device is whole at any time.
pub(in crate::gpu) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_turn_that_does_not_come_is_given_up_at_its_limit_and_holds_nobody_up() {
        let turn = FairLock::default();
        let held = turn.take(SHORT);
        assert!(held.is_some());
        std::thread::scope(|scope| {
            // The first gives up; the second waits after it and still gets its turn.
            let first = scope.spawn(|| {
                let begun = WallTime::now();
                (turn.take(SHORT).is_none(), begun.elapsed())
            });
            while turn.tickets().waiting.is_empty() {
                std::thread::yield_now();
            }
            let second = scope.spawn(|| turn.take(LONG).is_some());
            let (gave_up, took) = first.join().unwrap_or_default();
            assert!(gave_up && took >= SHORT && took < LONG / 2, "{took:?}");
            drop(held);
            assert!(second.join().unwrap_or_default());
        });
        assert!(turn.tickets().waiting.is_empty());
        assert!(turn.take(Duration::ZERO).is_some(), "nobody holds it");
    }
}
