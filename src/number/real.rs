//! The two float types that the CPU session computes in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::AddAssign;

use num_traits::Float;

use super::{Known, Number, Product};

/// `f32` or `f64`: what an op's CPU form is generic over. Constants come by [`Number::constant`].
pub trait Real: Machine {}

impl Real for f32 {}
impl Real for f64 {}

/// What the CPU session does with its float types.
pub trait Machine:
    Float + Known + Number<Truth = bool> + AddAssign + Sum + Default + Debug + Send + Sync + 'static
{
    /// Whether this is the type of the reference, which runs as it is written: on one thread, without vectors.
    const REFERENCE: bool;

    /// This number as a double.
    #[inline(always)]
    fn double(self) -> f64 {
        self.decides()
    }

    /// Calls `body`, compiled for the widest vectors of the processor at hand as far as it is inlined: AVX-512, AVX2,
    /// what the target has at least. At f64 a plain call.
    fn vectorized<R>(body: impl FnOnce() -> R) -> R;

    /// This number, or 0 where it is below the least normal one, as GPUs have it. For states that fade, such as those of a
    /// unit that has died: they would stay at the least numbers there are for ever, on which processors take many times as
    /// long.
    #[inline(always)]
    fn flushed(self) -> Self {
        if self.abs() < Self::min_positive_value() {
            Self::zero()
        } else {
            self
        }
    }

    /// This slope, or 0 at f32 where it is below 2⁻¹⁰⁰, far below what any parameter keeps of it. What it is multiplied with on
    /// its way back would take it among the numbers below the least normal one, on which processors take many times as long.
    #[inline(always)]
    fn faded(self) -> Self {
        if !Self::REFERENCE && self.abs() < Self::constant(7.888_609_052_210_118e-31) {
            Self::zero()
        } else {
            self
        }
    }

    /// Σ values: at f32 in sixteen chains that run side by side, at f64 one after the other.
    fn total(values: &[Self]) -> Self;

    /// C = op(A)·op(B), all row-major. `finish` gets the number of the first of some rows of C and these rows once they
    /// are done and still in the cache, on whichever thread: a bias, an activation.
    fn product(
        product: &Product,
        a: &[Self],
        b: &[Self],
        c: &mut [Self],
        finish: &(impl Fn(usize, &mut [Self]) + Sync),
    );
}

impl Machine for f64 {
    const REFERENCE: bool = true;

    #[inline(always)]
    fn vectorized<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    #[inline(always)]
    fn total(values: &[f64]) -> f64 {
        values.iter().sum()
    }

    /// The reference: plain loops.
    fn product(
        product: &Product,
        a: &[f64],
        b: &[f64],
        c: &mut [f64],
        finish: &(impl Fn(usize, &mut [f64]) + Sync),
    ) {
        product.plain(a, b, c);
        finish(0, c);
    }
}

impl Machine for f32 {
    const REFERENCE: bool = false;

    #[inline(always)]
    fn vectorized<R>(body: impl FnOnce() -> R) -> R {
        pulp::Arch::new().dispatch(body)
    }

    #[inline(always)]
    fn total(values: &[f32]) -> f32 {
        let (chunks, rest) = values.as_chunks::<16>();
        let mut sums = [0.0; 16];
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value;
            }
        }
        for (sum, value) in sums.iter_mut().zip(rest) {
            *sum += value;
        }
        let mut half = 8;
        while half > 0 {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        sums[0]
    }

    fn product(
        product: &Product,
        a: &[f32],
        b: &[f32],
        c: &mut [f32],
        finish: &(impl Fn(usize, &mut [f32]) + Sync),
    ) {
        product.fast(a, b, c, finish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_takes_every_value_of_any_length_once() {
        for len in [0, 1, 2, 15, 16, 17, 33, 255, 1000] {
            let values: Vec<f32> = (1..=len).map(|i| i as f32).collect();
            assert_eq!(f32::total(&values), (len * (len + 1) / 2) as f32);
        }
    }
}
