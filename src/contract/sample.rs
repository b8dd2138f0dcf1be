//! One run of an op on the reference, and the rounding bounds that are argued from it.

use crate::number::UNIT;

use super::Signature;

/// One run of an op on the reference, as [`Op::bound`](super::Op::bound) sees it.
#[derive(Debug)]
pub struct Sample<'a> {
    /// The inputs before the call, integers as numbers.
    pub inputs: &'a [Vec<f64>],
    /// The results: inputs updated in place, in the order of `writes`, then outputs.
    pub results: &'a [Vec<f64>],
    /// The operands' types.
    pub signature: &'a Signature,
}

impl Sample<'_> {
    /// `ulps` units in the last place of every element of result `i`, and an allowance where numbers are flushed to zero.
    pub fn relative(&self, i: usize, ulps: f64) -> Vec<f64> {
        self.results[i]
            .iter()
            .map(|value| 2.0 * ulps * UNIT * value.abs() + 1e-37)
            .collect()
    }

    /// The bound γₙ·terms of a sum of `n` products: n·u/(1 − n·u), two operations more for the products and the store.
    pub fn gamma(n: usize) -> f64 {
        let nu = (n as f64 + 2.0) * UNIT;
        nu / (1.0 - nu)
    }
}
