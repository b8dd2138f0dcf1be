//! The loops of a function on the processor: each is compiled with the function in it, so that it becomes vectors.

use crate::number::Real;
use crate::number::parallel::pieces;

use super::unary::{Settings, UnaryFunction};

/// The loops over numbers of one float type.
pub(in crate::op) struct Loops<T> {
    /// y = f(x).
    pub forward: fn(&[T], &mut [T], Settings),
    /// dx = dy·f′, from what was saved, dy and dx.
    pub backward: fn(&[T], &[T], &mut [T], Settings),
    /// y = f(y).
    pub apply: fn(&mut [T], Settings),
    /// dx = dx·f′, from what was saved and dx.
    pub apply_slope: fn(&[T], &mut [T], Settings),
}

impl<T: Real> Loops<T> {
    pub const fn of<F: UnaryFunction>() -> Self {
        Loops {
            forward: forward::<F, T>,
            backward: backward::<F, T>,
            apply: apply::<F, T>,
            apply_slope: apply_slope::<F, T>,
        }
    }
}

fn forward<F: UnaryFunction, T: Real>(x: &[T], y: &mut [T], settings: Settings) {
    pieces::<T, _>(
        x.len(),
        8,
        (y, x),
        #[inline(always)]
        |_, (y, x)| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = F::value(x, settings);
            }
        },
    );
}

fn backward<F: UnaryFunction, T: Real>(saved: &[T], dy: &[T], dx: &mut [T], settings: Settings) {
    pieces::<T, _>(
        dy.len(),
        12,
        (dx, saved, dy),
        #[inline(always)]
        |_, (dx, saved, dy)| {
            for ((dx, &saved), &dy) in dx.iter_mut().zip(saved).zip(dy) {
                *dx = dy * F::slope(saved, settings);
            }
        },
    );
}

fn apply<F: UnaryFunction, T: Real>(values: &mut [T], settings: Settings) {
    T::vectorized(
        #[inline(always)]
        || {
            for value in values {
                *value = F::value(*value, settings);
            }
        },
    );
}

fn apply_slope<F: UnaryFunction, T: Real>(saved: &[T], slopes: &mut [T], settings: Settings) {
    T::vectorized(
        #[inline(always)]
        || {
            for (slope, &saved) in slopes.iter_mut().zip(saved) {
                *slope = *slope * F::slope(saved, settings);
            }
        },
    );
}
