//! Threads: the pool that shares out long loops, and helpers of a moment.
//!
//! The pool is rayon's: as many threads as there are cores, or as `RAYON_NUM_THREADS` or the host program's own pool says.
//! Without the feature `parallel` everything runs on the thread that asks.

use std::num::NonZero;
use std::thread;

/// The threads of the pool; without it the one that asks.
pub(crate) fn count() -> usize {
    #[cfg(feature = "parallel")]
    {
        rayon::current_num_threads()
    }
    #[cfg(not(feature = "parallel"))]
    {
        1
    }
}

/// Runs both, at the same time where a thread of the pool is free. Not generic: compiled anew for every loop that it shares
/// out, it was a sixth of the time to build this crate.
pub(crate) fn both(one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
    #[cfg(feature = "parallel")]
    rayon::join(one, other);
    #[cfg(not(feature = "parallel"))]
    {
        one();
        other();
    }
}

/// Runs `work` on the pool, with `helpers` more of its threads awake until `done`.
#[cfg(feature = "parallel")]
pub(crate) fn awake<R: Send>(
    helpers: usize,
    done: impl Fn() -> bool + Sync,
    work: impl FnOnce() -> R + Send,
) -> R {
    let done = &done;
    rayon::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(move |_| {
                while !done() {
                    if rayon::yield_now() != Some(rayon::Yield::Executed) {
                        thread::yield_now();
                    }
                }
            });
        }
        work()
    })
}

/// Runs `work`.
#[cfg(not(feature = "parallel"))]
pub(crate) fn awake<R: Send>(
    _helpers: usize,
    _done: impl Fn() -> bool + Sync,
    work: impl FnOnce() -> R + Send,
) -> R {
    work()
}

/// The cores of the machine.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs `work` on this thread and on up to `helpers` more, and returns what each of them returns, this thread's first. A
/// system that gives no thread leaves the work to the others.
pub(crate) fn with_helpers<R: Send>(helpers: usize, work: impl Fn() -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let mut others = Vec::new();
        for _ in 0..helpers {
            others.extend(thread::Builder::new().spawn_scoped(scope, work));
        }
        let mut results = vec![work()];
        for other in others {
            match other.join() {
                Ok(result) => results.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// Runs `work` on a thread of its own that nobody waits for; drops it where the system gives none.
#[cfg(feature = "gpu")]
pub(crate) fn detached(name: &str, work: impl FnOnce() + Send + 'static) {
    drop(thread::Builder::new().name(name.into()).spawn(work));
}
