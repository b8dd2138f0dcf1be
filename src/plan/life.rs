//! Lifetimes: the calls between which a stretch of memory is in use, and how much is in use at once.

use std::collections::BTreeMap;

/// The calls of a program between which a block is in use, the first and the last included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub program: usize,
    pub first: usize,
    pub last: usize,
}

impl Life {
    /// One call of a program.
    pub fn at(program: usize, step: usize) -> Self {
        Life {
            program,
            first: step,
            last: step,
        }
    }

    /// How many calls it covers.
    pub fn length(&self) -> u64 {
        (self.last - self.first) as u64 + 1
    }
}

/// The most bytes in use at once, given the first and the last step of each use and its bytes.
pub(super) fn peak_of(uses: impl Iterator<Item = (usize, usize, u64)>) -> u64 {
    // By how much the bytes in use rise or fall at a step.
    let mut changes: BTreeMap<usize, i128> = BTreeMap::new();
    for (first, last, bytes) in uses {
        *changes.entry(first).or_default() += i128::from(bytes);
        *changes.entry(last + 1).or_default() -= i128::from(bytes);
    }
    let in_use = changes.into_values().scan(0, |sum, change| {
        *sum += change;
        Some(*sum)
    });
    u64::try_from(in_use.max().unwrap_or(0)).unwrap_or(u64::MAX)
}
