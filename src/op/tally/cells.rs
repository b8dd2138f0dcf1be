//! The cells of an epoch's tally: pairs of numbers whose sum is meant.
//!
//! The first of a pair is the sum rounded, the second what rounding took, so that a pair of f32 has 48 bits: counts are exact
//! to 2^48, and sums of any length lose nothing that f32 could show. The first numbers of all slots come
//! before the second numbers, which checkpoints of versions without pairs do not have.

use std::ops::Range;

use crate::number::Real;
use crate::op::record::pair_of;

/// Bytes of a cell.
pub(crate) const CELL_BYTES: u64 = 8;

/// The cells of an epoch, on the processor, which adds in f64.
pub(crate) struct Cells<'a, T> {
    high: &'a mut [T],
    low: &'a mut [T],
}

impl<'a, T: Real> Cells<'a, T> {
    /// Cells of a tally.
    #[inline(always)]
    pub fn new(tally: &'a mut [T], own: Range<usize>) -> Self {
        let (high, low) = tally.split_at_mut(tally.len() / 2);
        Cells {
            high: &mut high[own.clone()],
            low: &mut low[own],
        }
    }

    /// Sets all to 0.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.high.fill(T::zero());
        self.low.fill(T::zero());
    }

    #[inline(always)]
    pub fn get(&self, i: usize) -> f64 {
        sum(self.high[i].double(), self.low[i].double())
    }

    #[inline(always)]
    pub fn set(&mut self, i: usize, value: f64) {
        [self.high[i], self.low[i]] = pair_of(value);
    }

    #[inline(always)]
    pub fn add(&mut self, i: usize, more: f64) {
        self.set(i, self.get(i) + more);
    }

    /// Their number.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.high.len()
    }
}

/// What a pair means: beside an infinity or a NaN the second is nothing.
#[inline(always)]
pub(super) fn sum(high: f64, low: f64) -> f64 {
    if high.is_finite() { high + low } else { high }
}

/// The cells of a slot of a tally, `[2·slots, cells]`, as it was read.
pub(crate) fn read_cells(tally: &[f32], slot: usize, cells: usize) -> Vec<f64> {
    let (high, low) = tally.split_at(tally.len() / 2);
    let own = |half: &[f32]| {
        half.get(slot * cells..(slot + 1) * cells)
            .unwrap_or(&[])
            .to_vec()
    };
    let pairs = own(high).into_iter().zip(own(low));
    pairs
        .map(|(high, low)| sum(f64::from(high), f64::from(low)))
        .collect()
}
