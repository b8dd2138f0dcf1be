//! Matrix products on the processor: plain loops for the reference and for tiny shapes, a library for the rest.

use ndarray::{ArrayView2, ArrayViewMut2, linalg::general_mat_mul};

use super::Real;

/// Below this many multiplications plain loops beat the library's packing.
const PLAIN_BELOW: usize = 2_000;

/// The shape of C = op(A)·op(B): C is `[m, n]`, op(A) `[m, k]`, op(B) `[k, n]`, all row-major.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Rows of C.
    pub m: usize,
    /// Columns of C.
    pub n: usize,
    /// The dimension summed over.
    pub k: usize,
    /// A is stored `[k, m]`.
    pub transpose_a: bool,
    /// B is stored `[n, k]`.
    pub transpose_b: bool,
}

impl Product {
    /// Three loops, the innermost over consecutive elements of C and B where B's layout allows it.
    pub fn plain<T: Real>(&self, a: &[T], b: &[T], c: &mut [T]) {
        let Product {
            m,
            n,
            k,
            transpose_a,
            transpose_b,
        } = *self;
        if n == 0 {
            return;
        }
        for (i, row) in c[..m * n].chunks_exact_mut(n).enumerate() {
            let a_at = |p: usize| {
                if transpose_a {
                    a[p * m + i]
                } else {
                    a[i * k + p]
                }
            };
            if transpose_b {
                for (j, out) in row.iter_mut().enumerate() {
                    *out = (0..k).fold(T::zero(), |sum, p| sum + a_at(p) * b[j * k + p]);
                }
            } else {
                row.fill(T::zero());
                for p in 0..k {
                    let factor = a_at(p);
                    for (out, &b) in row.iter_mut().zip(&b[p * n..(p + 1) * n]) {
                        *out += factor * b;
                    }
                }
            }
        }
    }

    /// `matrixmultiply` through ndarray's safe interface, or plain loops where the product is tiny.
    pub fn fast(&self, a: &[f32], b: &[f32], c: &mut [f32]) {
        let Product {
            m,
            n,
            k,
            transpose_a,
            transpose_b,
        } = *self;
        if m * n * k < PLAIN_BELOW {
            return self.plain(a, b, c);
        }
        let views = (
            matrix(a, m, k, transpose_a),
            matrix(b, k, n, transpose_b),
            ArrayViewMut2::from_shape((m, n), &mut c[..m * n]),
        );
        match views {
            (Some(a), Some(b), Ok(mut c)) => general_mat_mul(1.0, &a, &b, 0.0, &mut c),
            _ => unreachable!("the plan gives every operand its full length"),
        }
    }
}

fn matrix(
    values: &[f32],
    rows: usize,
    columns: usize,
    transposed: bool,
) -> Option<ArrayView2<'_, f32>> {
    let values = &values[..rows * columns];
    if transposed {
        ArrayView2::from_shape((columns, rows), values)
            .ok()
            .map(ArrayView2::reversed_axes)
    } else {
        ArrayView2::from_shape((rows, columns), values).ok()
    }
}
