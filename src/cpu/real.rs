//! The two float types that the CPU session computes in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::AddAssign;

use num_traits::Float;

/// `f32` or `f64`: what an op's CPU form is generic over.
pub trait Real: Float + AddAssign + Sum + Default + Debug + Send + Sync + 'static {
    /// Rounds a double to this type.
    fn of(value: f64) -> Self;

    /// This number as a double.
    fn double(self) -> f64;

    /// C = op(A)·op(B), all row-major.
    fn product(product: &super::products::Product, a: &[Self], b: &[Self], c: &mut [Self]);
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn double(self) -> f64 {
        self
    }

    /// The reference: plain loops.
    fn product(product: &super::products::Product, a: &[f64], b: &[f64], c: &mut [f64]) {
        product.plain(a, b, c);
    }
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn double(self) -> f64 {
        f64::from(self)
    }

    fn product(product: &super::products::Product, a: &[f32], b: &[f32], c: &mut [f32]) {
        product.fast(a, b, c);
    }
}
