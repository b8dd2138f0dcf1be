//! NumPy's broadcasting of two tensors: their common shape, and a function of their elements.

use crate::Shape;
use crate::contract::Io;
use crate::number::Real;
use crate::number::parallel::{Table, pieces};

/// The most dimensions that broadcasting handles, neighbours that are repeated alike counted as one.
pub(crate) const RANK: usize = 4;

/// y = f(a, b), each a number of its tensor.
#[inline(always)]
pub(crate) fn combine<T: Real>(io: &mut Io<'_, T>, apply: impl Fn(T, T) -> T + Copy + Sync) {
    let (a, b) = (io.input(0), io.input(1));
    let signature = io.signature;
    let [a_shape, b_shape, y_shape] = [
        &signature.inputs[0].shape,
        &signature.inputs[1].shape,
        &signature.outputs[0].shape,
    ];
    let y = io.output(0);
    if a_shape == b_shape {
        pieces::<T, _>(
            y.len(),
            12,
            (y, a, b),
            #[inline(always)]
            |_, (y, a, b)| {
                for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                    *y = apply(a, b);
                }
            },
        );
        return;
    }
    let walk = Walk::admitted(a_shape, b_shape, y_shape);
    let ([_, d1, d2, d3], s, t) = (walk.sizes, walk.a, walk.b);
    let rows = y.len() / d3.max(1);
    pieces::<T, _>(
        rows,
        12 * d3,
        Table(y, d3),
        #[inline(always)]
        |first, Table(y, _)| {
            let mut at = [first / (d1 * d2), first / d2 % d1, first % d2];
            for y in y.chunks_exact_mut(d3) {
                let [i0, i1, i2] = at;
                let a = &a[i0 * s[0] + i1 * s[1] + i2 * s[2]..];
                let b = &b[i0 * t[0] + i1 * t[1] + i2 * t[2]..];
                at = match at {
                    [i0, i1, i2] if i2 + 1 < d2 => [i0, i1, i2 + 1],
                    [i0, i1, _] if i1 + 1 < d1 => [i0, i1 + 1, 0],
                    [i0, ..] => [i0 + 1, 0, 0],
                };
                // A stride of the last dimension is 1, or 0 where one element stands for all.
                match (s[3], t[3]) {
                    (0, 0) => y.fill(apply(a[0], b[0])),
                    (0, _) => {
                        for (y, &b) in y.iter_mut().zip(b) {
                            *y = apply(a[0], b);
                        }
                    }
                    (_, 0) => {
                        for (y, &a) in y.iter_mut().zip(a) {
                            *y = apply(a, b[0]);
                        }
                    }
                    _ => {
                        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                            *y = apply(a, b);
                        }
                    }
                }
            }
        },
    );
}

/// The common shape of two, or none.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    (0..rank)
        .map(|i| match (size(a, i, rank), size(b, i, rank)) {
            (a, b) if a == b || b == 1 => Some(a),
            (1, b) => Some(b),
            _ => None,
        })
        .collect()
}

/// The size of dimension `i` of `rank` that shapes are aligned to.
fn size(dims: &[usize], i: usize, rank: usize) -> usize {
    (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i])
}

/// How two operands are gone through: y's sizes, ones in front, and the strides by which a and b follow them; 0 where they are
/// repeated.
pub(crate) struct Walk {
    pub sizes: [usize; RANK],
    pub a: [usize; RANK],
    pub b: [usize; RANK],
}

impl Walk {
    /// Neighbouring dimensions in which the same operands are repeated are one; none where more than [`RANK`] are left.
    pub fn of(a: &Shape, b: &Shape, y: &[usize]) -> Option<Self> {
        let follows = |operand: &Shape, i: usize| size(operand.dims(), i, y.len()) == y[i];
        let mut walk = Walk {
            sizes: [1; RANK],
            a: [0; RANK],
            b: [0; RANK],
        };
        let (mut at, mut last) = (RANK, None);
        let mut strides = [1, 1];
        for i in (0..y.len()).rev().filter(|&i| y[i] != 1) {
            let pattern = [follows(a, i), follows(b, i)];
            if last != Some(pattern) {
                at = at.checked_sub(1)?;
                last = Some(pattern);
                walk.a[at] = if pattern[0] { strides[0] } else { 0 };
                walk.b[at] = if pattern[1] { strides[1] } else { 0 };
            }
            walk.sizes[at] *= y[i];
            for (stride, follows) in strides.iter_mut().zip(pattern) {
                *stride *= if follows { y[i] } else { 1 };
            }
        }
        Some(walk)
    }

    /// The walk of an op whose shape rule has admitted the operands.
    pub fn admitted(a: &Shape, b: &Shape, y: &Shape) -> Self {
        Walk::of(a, b, y.dims())
            .unwrap_or_else(|| unreachable!("the shape rule admitted these shapes"))
    }
}
