//! Matrix products on the processor: plain loops for the reference, tiles of vectors for the product.
//!
//! The f32 product is our own (see `tiles.rs`), over `pulp`'s safe vectors, because it is as fast as the crates, takes
//! no `unsafe`, allocates nothing from the second call on, shares one pool with the other loops, gives the same bits on
//! any number of threads and lets an op finish rows while they are in the cache. GFLOP/s on 2 cores of an AMD EPYC with
//! AVX-512 (at most 118 a core), one thread / two threads, of the `gemm` crate 0.19 with AVX-512 and of
//! `matrixmultiply` 0.3.11, both called through a few unsafe lines or ndarray:
//!
//! | m × n × k | ours | `gemm` | `matrixmultiply` |
//! |---|---|---|---|
//! | 512 × 512 × 512 | 103 / 191 | 106 / 224 | 92 / 174 |
//! | 1024 × 1024 × 1024 | 102 / 202 | 105 / 214 | 93 / 179 |
//! | 128 × 128 × 784 | 112 / 219 | 111 / 203 | 87 / 98 |
//! | 784 × 128 × 128, A transposed | 114 / 190 | 113 / 219 | 96 / 139 |
//! | 512 × 1024 × 1024, B transposed | 88 / 164 | 80 / 147 | 90 / 130 |
//! | 128 × 10 × 128 | 61 | 55 | 36 |
//! | 32 × 10 × 8 | 26 | 13 | 15 |
//! | 1 × 128 × 784 | 48 | 35 | 7 |
//!
//! What costs most is copying a transposed B into panels, about 1 ns an element.

use std::cell::Cell;

use pulp::Arch;

use super::aligned::Aligned;
use super::parallel;
use super::parallel::Table;
use super::tiles;
use super::tiles::{Panels, TILE_ROWS, Width};
use super::{Machine, Real};

/// Below this many multiply-adds one thread is done before a second has begun: some 5 µs.
const THREADS_FROM: usize = 400_000;

/// From this many rows of C a thread, and elements of B, a thread copies each panel for itself when it comes to it: it reaches the
/// tiles through the thread's own caches, and no thread waits for what others copy. Where rows are fewer, what all threads copy
/// once costs less.
const OWN_ROWS: usize = 128;
const OWN_ELEMENTS: usize = 1 << 18;

/// From this row length on, in bytes, the rows of a panel of B fall into few sets of the first cache and are copied.
const PACK_B_STRIDE: usize = 2048;

thread_local! {
    /// The copy of B in panels, kept from call to call.
    static PACKED_B: Cell<Aligned<f32>> = const { Cell::new(Aligned::empty()) };
}

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

    /// Tiles of vectors, on all threads where the product is large. `finish` gets the number of the first of some rows of
    /// C and these rows as soon as they are done, while they are in the cache: a bias, an activation.
    ///
    /// The bits do not depend on the number of threads, only on whether the processor fuses a multiply-add.
    pub fn fast(
        &self,
        a: &[f32],
        b: &[f32],
        c: &mut [f32],
        finish: &(impl Fn(usize, &mut [f32]) + Sync),
    ) {
        let Product { m, n, k, .. } = *self;
        let c = &mut c[..m * n];
        if c.is_empty() {
            return;
        }
        let threads = if m * n * k < THREADS_FROM {
            1
        } else {
            parallel::threads()
        };
        let width = Width::new();
        let mut copy = PACKED_B.take();
        let panels = self.panels(width, threads);
        if panels == Panels::Copied {
            self.pack(width, b, &mut copy, threads);
        }
        let b = if panels == Panels::Copied {
            copy.get()
        } else {
            b
        };
        let rows = |first: usize, c: &mut [f32]| {
            Arch::new().dispatch(tiles::RowsOfC {
                product: *self,
                a,
                b,
                panels,
                first,
                c,
                finish,
            });
        };
        parallel::share(
            0,
            m,
            threads,
            TILE_ROWS,
            Table(c, n),
            &|first, Table(c, _)| rows(first, c),
        );
        PACKED_B.set(copy);
    }

    /// How tiles get B.
    fn panels(&self, width: Width, threads: usize) -> Panels {
        let Product { m, n, k, .. } = *self;
        if !self.packs(width) {
            Panels::InPlace
        } else if m / threads >= OWN_ROWS && n * k >= OWN_ELEMENTS {
            Panels::Own
        } else {
            Panels::Copied
        }
    }

    /// Whether tiles take B from a copy: where it is transposed, where its last panel is not one of whole vectors, and
    /// where its rows lie far apart and are used often.
    fn packs(&self, width: Width) -> bool {
        let Product { m, n, .. } = *self;
        let last = n % width.panel;
        let whole = last == 0 || width.padded(last) == last;
        self.transpose_b || !whole || (n * size_of::<f32>() >= PACK_B_STRIDE && m >= 32)
    }

    /// Copies B into panels: `[panel][k][columns]`, the last one padded with zeros.
    fn pack(&self, width: Width, b: &[f32], copy: &mut Aligned<f32>, threads: usize) {
        let Product { n, k, .. } = *self;
        let last = n % width.panel;
        let len = (n - last + width.padded(last) * usize::from(last > 0)) * k;
        let copy = copy.room(len);
        let pack = |first: usize, Table(panels, _): Table<&mut [f32]>| {
            let body = || {
                for (index, panel) in panels.chunks_mut(width.panel * k).enumerate() {
                    self.pack_panel(width, b, (first + index) * width.panel, 0, panel);
                }
            };
            <f32 as Machine>::vectorized(body);
        };
        if k > 0 {
            let count = n.div_ceil(width.panel);
            let panels = Table(copy, width.panel * k);
            parallel::share(0, count, threads, 1, panels, &pack);
        }
    }

    /// Copies rows of the panel that begins with `column`, as many as `panel` has room for, from row `begin` of B on.
    #[inline(always)]
    pub(super) fn pack_panel(
        &self,
        width: Width,
        b: &[f32],
        column: usize,
        begin: usize,
        panel: &mut [f32],
    ) {
        let Product { n, k, .. } = *self;
        let columns = width.panel.min(n - column);
        let row = width.padded(columns);
        if self.transpose_b {
            pack_transposed(&b[column * k..][..columns * k], k, begin, row, panel);
        } else {
            pack_rows(&b[begin * n + column..], n, columns, row, panel);
        }
    }
}

/// Copies the first `columns` of each row into rows of `width` elements.
#[inline(always)]
fn pack_rows(b: &[f32], stride: usize, columns: usize, width: usize, panel: &mut [f32]) {
    for (to, from) in panel.chunks_exact_mut(width).zip(b.chunks(stride)) {
        let (head, tail) = to.split_at_mut(columns);
        head.copy_from_slice(&from[..columns]);
        tail.fill(0.0);
    }
}

/// Copies elements of rows of `k`, from `begin` on, into the columns of a panel, in squares of 16 that stay in the first cache.
#[inline(always)]
fn pack_transposed(b: &[f32], k: usize, begin: usize, width: usize, panel: &mut [f32]) {
    const SQUARE: usize = 16;
    for (index, square) in panel.chunks_mut(SQUARE * width).enumerate() {
        let begin = begin + index * SQUARE;
        let depth = square.len() / width;
        for (column, row) in b.chunks_exact(k).enumerate() {
            let row = &row[begin..begin + depth];
            for (to, &from) in square.chunks_exact_mut(width).zip(row) {
                to[column] = from;
            }
        }
        for row in square.chunks_exact_mut(width) {
            row[b.len() / k..].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize, mut state: u32) -> Vec<f32> {
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(|_| draw()).collect()
    }

    fn product_on(threads: usize, product: &Product, a: &[f32], b: &[f32]) -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let mut c = vec![f32::NAN; product.m * product.n];
        pool.build()
            .unwrap()
            .install(|| product.fast(a, b, &mut c, &|_, _| {}));
        c
    }

    #[test]
    fn products_have_the_same_bits_on_any_number_of_threads() {
        for (m, n, k) in [
            (129, 65, 257),
            (97, 400, 300),
            (1000, 10, 129),
            (7, 1025, 513),
            // Panels of each thread's own, on one and on two threads.
            (259, 1040, 270),
        ] {
            for (transpose_a, transpose_b) in [(false, false), (true, false), (false, true)] {
                let product = Product {
                    m,
                    n,
                    k,
                    transpose_a,
                    transpose_b,
                };
                let (a, b) = (random(m * k, 1), random(k * n, 2));
                let alone = product_on(1, &product, &a, &b);
                for threads in [2, 3] {
                    assert!(
                        alone == product_on(threads, &product, &a, &b),
                        "{product:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn finished_rows_are_handed_over_once_and_whole() {
        let product = Product {
            m: 301,
            n: 33,
            k: 65,
            transpose_a: false,
            transpose_b: false,
        };
        let (a, b) = (random(301 * 65, 3), random(65 * 33, 4));
        let mut plain = vec![0.0; 301 * 33];
        product.plain(&a, &b, &mut plain);
        let mut c = vec![0.0; 301 * 33];
        product.fast(&a, &b, &mut c, &|first, rows: &mut [f32]| {
            for (i, row) in rows.chunks_exact_mut(33).enumerate() {
                for value in row {
                    *value += 1000.0 * (first + i) as f32;
                }
            }
        });
        for (i, (c, plain)) in c.iter().zip(&plain).enumerate() {
            let wanted = plain + 1000.0 * (i / 33) as f32;
            assert!((c - wanted).abs() <= 1e-6 * wanted.abs() + 1e-4, "{i}");
        }
    }

    #[test]
    fn a_product_over_nothing_is_zero() {
        let product = Product {
            m: 3,
            n: 5,
            k: 0,
            transpose_a: false,
            transpose_b: true,
        };
        let mut c = [f32::NAN; 15];
        product.fast(&[], &[], &mut c, &|_, _| {});
        assert_eq!(c, [0.0; 15]);
    }
}
