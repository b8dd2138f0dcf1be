//! Long loops in pieces: shared by the threads of the pool where they are long, compiled for the widest vectors in each.
//!
//! A piece never decides what an element's value is, so results do not depend on the number of threads.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::edge::threads as pool;

use super::Real;

/// The least memory traffic of a piece in bytes: some 5 µs, several times what handing a piece over costs.
const PIECE_BYTES: usize = 96 << 10;

/// Pieces begin at multiples of this number of units: at whole vectors and, for numbers, at whole cache lines.
const ALIGNMENT: usize = 16;

/// Operands of a loop that can be cut in two: slices, rows of matrices, tuples of them.
pub trait Split: Send + Sized {
    /// The first `at` units and the rest.
    fn split(self, at: usize) -> (Self, Self);
}

impl<T: Sync> Split for &[T] {
    #[inline(always)]
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }
}

impl<T: Send> Split for &mut [T] {
    #[inline(always)]
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at_mut(at)
    }
}

/// A matrix that is cut between rows; the second field is the elements of a row.
#[derive(Debug, Clone, Copy)]
pub struct Table<S>(pub S, pub usize);

impl<S: Split> Split for Table<S> {
    #[inline(always)]
    fn split(self, at: usize) -> (Self, Self) {
        let (head, tail) = self.0.split(at * self.1);
        (Table(head, self.1), Table(tail, self.1))
    }
}

macro_rules! split_tuples {
    ($(($($name:ident $index:tt),*))*) => {$(
        impl<$($name: Split),*> Split for ($($name,)*) {
            #[inline(always)]
            fn split(self, at: usize) -> (Self, Self) {
                let pairs = ($(self.$index.split(at),)*);
                (($(pairs.$index.0,)*), ($(pairs.$index.1,)*))
            }
        }
    )*};
}
split_tuples!((A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4));

/// The threads that a long loop may take.
pub fn threads() -> usize {
    pool::count()
}

/// Runs `body` over `units` of the operands, in pieces on several threads where there is enough to do: `body` gets the
/// number of its first unit and its part of the operands. A unit is an element or a row and moves `bytes` of memory.
///
/// `body` is compiled for the vectors of the processor at hand, as far as what it calls is inlined into it. At f64 it
/// runs in one piece, as plain as it is written.
#[inline(always)]
pub fn pieces<T: Real, S: Split>(
    units: usize,
    bytes: usize,
    operands: S,
    body: impl Fn(usize, S) + Sync,
) {
    let body = |first: usize, operands: S| {
        T::vectorized(
            #[inline(always)]
            || body(first, operands),
        )
    };
    if T::REFERENCE {
        return body(0, operands);
    }
    let most = units.saturating_mul(bytes) / PIECE_BYTES;
    let count = if most < 2 { 1 } else { most.min(threads()) };
    share(0, units, count, ALIGNMENT, operands, &body);
}

/// Whether a run has the pool to itself.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Runs `work` on the pool, with up to `helpers` more of its threads awake until it is done: on this thread where there
/// are none, or while another run has the pool.
///
/// Handing over a piece from within the pool costs a fraction of what it costs from outside. Between two shared loops of a
/// step a thread that finds nothing to do would fall asleep, and waking it takes as long as its piece: a step of 784-128-10
/// took 1.4 times as long. A helper that finds nothing gives its time to other programs. A second run stays outside and
/// hands over its loops one by one: within the pool a thread that waits for a piece of one run could take up the whole of
/// the other.
pub fn awake<R: Send>(helpers: usize, work: impl FnOnce() -> R + Send) -> R {
    if helpers == 0 || TAKEN.swap(true, Ordering::Relaxed) {
        return work();
    }
    let _back = Flag(&TAKEN, false);
    let done = AtomicBool::new(false);
    let is_done = || done.load(Ordering::Relaxed);
    pool::awake(helpers.min(threads() - 1), is_done, || {
        let _ends = Flag(&done, true);
        work()
    })
}

/// Sets a flag when it is dropped, by a panic too.
struct Flag<'a>(&'a AtomicBool, bool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(self.1, Ordering::Relaxed);
    }
}

/// Halves the operands until there are `count` pieces, each but the first beginning at a multiple of `alignment` units
/// from the one before.
pub(crate) fn share<S: Split, F: Fn(usize, S) + Sync>(
    first: usize,
    units: usize,
    count: usize,
    alignment: usize,
    operands: S,
    body: &F,
) {
    let left = count / 2;
    let at = (units * left / count.max(1)).next_multiple_of(alignment);
    if left == 0 || at >= units {
        return body(first, operands);
    }
    let (head, tail) = operands.split(at);
    let (mut head, mut tail) = (Some(head), Some(tail));
    pool::both(
        &mut || {
            if let Some(head) = head.take() {
                share(first, at, left, alignment, head, body);
            }
        },
        &mut || {
            if let Some(tail) = tail.take() {
                share(first + at, units - at, count - left, alignment, tail, body);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_in_one_piece_under_its_own_number() {
        for units in [0, 1, 15, 16, 17, 33, 255, 257, 1000] {
            for (count, alignment) in [(1, 16), (2, 16), (3, 1), (4, 6), (7, 16)] {
                let mut seen = vec![0; 3 * units];
                let numbers: Vec<usize> = (0..units).collect();
                let operands = (Table(&mut seen[..], 3), &numbers[..]);
                share(
                    0,
                    units,
                    count,
                    alignment,
                    operands,
                    &|first, (Table(seen, _), numbers): (Table<&mut [usize]>, &[usize])| {
                        for (i, (row, number)) in seen.chunks_exact_mut(3).zip(numbers).enumerate()
                        {
                            assert_eq!(first + i, *number);
                            for seen in row {
                                *seen += 1;
                            }
                        }
                    },
                );
                assert!(
                    seen.iter().all(|&seen| seen == 1),
                    "{units} {count} {alignment}"
                );
            }
        }
    }
}
