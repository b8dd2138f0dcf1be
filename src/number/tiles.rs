//! The inner loops of f32 products: tiles of C held in registers, written once for every width of vector.
//!
//! A tile is 6 rows of 4 vectors where there are 32 vector registers (AVX-512, NEON: 24 accumulators, 4 vectors of B and
//! a factor of A), and of 2 vectors where there are 16 (AVX2, SSE). An element of C is one chain of multiply-adds over k
//! in order, whatever the tile or the thread that it falls to, so that shapes, blocks and threads leave its bits alone.

use std::cell::Cell;

use pulp::{Arch, Simd, WithSimd};

use super::Product;
use super::aligned::Aligned;

/// Rows of the largest tile.
pub(super) const TILE_ROWS: usize = 6;

/// Rows of C that are finished before the next ones begin: with 256 columns 96 KiB, which stay in the second cache.
const BLOCK_ROWS: usize = 96;

/// Rows of C that are finished at once where a thread copies panels for itself: it copies each panel once for all rows.
const OWN_BLOCK_ROWS: usize = 512;

/// Terms added up before the tile moves on: 6 rows of A are 6 KiB, a panel of B 64 KiB.
const BLOCK_DEPTH: usize = 256;

/// From this many columns on a row of A meets enough panels for a copy in the order of the tiles to pay.
const PACK_A_COLUMNS: usize = 384;

thread_local! {
    /// The copy of a block of A, kept from call to call.
    static PACKED_A: Cell<Aligned<f32>> = const { Cell::new(Aligned::empty()) };

    /// The copy of a panel of B.
    static PANEL: Cell<Aligned<f32>> = const { Cell::new(Aligned::empty()) };
}

/// How many numbers a vector of this processor holds, and how many columns a panel has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Width {
    pub lanes: usize,
    pub panel: usize,
}

impl Width {
    pub fn new() -> Self {
        struct Ask;
        impl WithSimd for Ask {
            type Output = Width;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _simd: S) -> Width {
                Width::of::<S>()
            }
        }
        Arch::new().dispatch(Ask)
    }

    #[inline(always)]
    fn of<S: Simd>() -> Self {
        Width {
            lanes: S::F32_LANES,
            panel: S::F32_LANES * vectors::<S>(),
        }
    }

    /// The columns that a panel of `columns` numbers takes when padded: 1, 2 or 4 vectors.
    pub fn padded(self, columns: usize) -> usize {
        columns.div_ceil(self.lanes).next_power_of_two() * self.lanes
    }
}

/// Vectors of a tile's row.
#[inline(always)]
fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// Rows of the next tile, where `left` rows are left.
#[inline(always)]
fn tile_rows(left: usize) -> usize {
    match left {
        TILE_ROWS.. => TILE_ROWS,
        4.. => 4,
        _ => 1,
    }
}

/// How tiles get B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panels {
    /// From where it lies, `[k, n]`.
    InPlace,
    /// From a copy in panels of padded columns, `[panel][k][columns]`.
    Copied,
    /// From B as it lies, `[k, n]` or `[n, k]`, by a copy of the panel at hand, `[depth][columns]`.
    Own,
}

impl Panels {
    fn block_rows(self) -> usize {
        match self {
            Panels::Own => OWN_BLOCK_ROWS,
            Panels::InPlace | Panels::Copied => BLOCK_ROWS,
        }
    }
}

/// Some rows of C = op(A)·op(B).
pub(super) struct RowsOfC<'a, F> {
    pub product: Product,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub panels: Panels,
    /// The row of C that `c` begins with.
    pub first: usize,
    pub c: &'a mut [f32],
    /// Called with the first of some finished rows and the rows.
    pub finish: &'a F,
}

impl<F: Fn(usize, &mut [f32])> WithSimd for RowsOfC<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { n, .. } = self.product;
        let (mut copy, mut panel) = (PACKED_A.take(), PANEL.take());
        let rows = self.panels.block_rows();
        for (index, c) in self.c.chunks_mut(rows * n).enumerate() {
            let block = RowBlock {
                product: self.product,
                a: self.a,
                b: self.b,
                panels: self.panels,
                first: self.first + index * rows,
                rows: c.len() / n,
            };
            block.run(simd, &mut copy, &mut panel, c);
            (self.finish)(block.first, c);
        }
        PACKED_A.set(copy);
        PANEL.set(panel);
    }
}

/// Calls `$self.$method::<S, rows, vectors>($arguments)` with the two numbers as constants.
macro_rules! with_sizes {
    ($rows:expr, $vectors:expr, $self:ident.$method:ident($($argument:expr),*)) => {
        match ($rows, $vectors) {
            (6, 1) => $self.$method::<S, 6, 1>($($argument),*),
            (6, 2) => $self.$method::<S, 6, 2>($($argument),*),
            (6, _) => $self.$method::<S, 6, 4>($($argument),*),
            (4, 1) => $self.$method::<S, 4, 1>($($argument),*),
            (4, 2) => $self.$method::<S, 4, 2>($($argument),*),
            (4, _) => $self.$method::<S, 4, 4>($($argument),*),
            (_, 1) => $self.$method::<S, 1, 1>($($argument),*),
            (_, 2) => $self.$method::<S, 1, 2>($($argument),*),
            (_, _) => $self.$method::<S, 1, 4>($($argument),*),
        }
    };
}

/// Rows that are finished before the next ones begin.
#[derive(Clone, Copy)]
struct RowBlock<'a> {
    product: Product,
    a: &'a [f32],
    b: &'a [f32],
    panels: Panels,
    first: usize,
    rows: usize,
}

impl RowBlock<'_> {
    #[inline(always)]
    fn run<S: Simd>(
        self,
        simd: S,
        copy: &mut Aligned<f32>,
        panel: &mut Aligned<f32>,
        c: &mut [f32],
    ) {
        let Product { m, n, k, .. } = self.product;
        let panels = Width::of::<S>();
        let width = panels.panel;
        let pack = n >= PACK_A_COLUMNS;
        if k == 0 {
            c.fill(0.0);
        }
        for begin in (0..k).step_by(BLOCK_DEPTH) {
            let depth = BLOCK_DEPTH.min(k - begin);
            if pack {
                self.pack_a(begin, depth, copy);
            }
            for column in (0..n).step_by(width) {
                let columns = width.min(n - column);
                let vectors = columns.div_ceil(S::F32_LANES).next_power_of_two();
                let row = vectors * S::F32_LANES;
                let (b, b_row) = match self.panels {
                    Panels::InPlace => (&self.b[begin * n + column..], n),
                    Panels::Copied => (&self.b[column * k + begin * row..], row),
                    Panels::Own => {
                        let panel = &mut panel.room(width * BLOCK_DEPTH)[..row * depth];
                        self.product
                            .pack_panel(panels, self.b, column, begin, panel);
                        (&*panel, row)
                    }
                };
                let mut row = 0;
                while row < self.rows {
                    let rows = tile_rows(self.rows - row);
                    let tile = TileOfC {
                        b,
                        b_row,
                        c: &mut c[row * n + column..],
                        c_row: n,
                        columns,
                        depth,
                        more: begin > 0,
                    };
                    let at = self.first + row;
                    let (a, stride, by_columns) = if pack {
                        (&copy.get()[row * depth..], rows, true)
                    } else if self.product.transpose_a {
                        (&self.a[begin * m + at..], m, true)
                    } else {
                        (&self.a[at * k + begin..], k, false)
                    };
                    with_sizes!(rows, vectors, tile.run(simd, a, stride, by_columns));
                    row += rows;
                }
            }
        }
    }

    /// Copies the block of A tile by tile, each `[depth][rows]`.
    #[inline(always)]
    fn pack_a(self, begin: usize, depth: usize, copy: &mut Aligned<f32>) {
        let Product {
            m, k, transpose_a, ..
        } = self.product;
        let copy = copy.room(self.panels.block_rows() * BLOCK_DEPTH);
        let mut row = 0;
        while row < self.rows {
            let rows = tile_rows(self.rows - row);
            let at = self.first + row;
            let to = &mut copy[row * depth..][..rows * depth];
            if transpose_a {
                let from = self.a[begin * m..].chunks(m);
                for (to, from) in to.chunks_exact_mut(rows).zip(from) {
                    let from = &from[at..at + rows];
                    // Six at once as three moves; a length that is not constant takes a call.
                    match (
                        to.as_chunks_mut::<TILE_ROWS>(),
                        from.as_chunks::<TILE_ROWS>(),
                    ) {
                        (([to], []), ([from], [])) => *to = *from,
                        _ => to.copy_from_slice(from),
                    }
                }
            } else if rows == TILE_ROWS {
                let from: [&[f32]; TILE_ROWS] =
                    std::array::from_fn(|i| &self.a[(at + i) * k + begin..][..depth]);
                for (p, to) in to.chunks_exact_mut(TILE_ROWS).enumerate() {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = from[p];
                    }
                }
            } else {
                for i in 0..rows {
                    let from = &self.a[(at + i) * k + begin..][..depth];
                    for (to, &from) in to.chunks_exact_mut(rows).zip(from) {
                        to[i] = from;
                    }
                }
            }
            row += rows;
        }
    }
}

/// A tile of C and the panel of B that it takes.
struct TileOfC<'a> {
    b: &'a [f32],
    /// From a row of the panel to the next.
    b_row: usize,
    c: &'a mut [f32],
    c_row: usize,
    columns: usize,
    depth: usize,
    /// Whether C holds the sum of the terms before.
    more: bool,
}

impl TileOfC<'_> {
    /// A's columns, or its rows, lie one after the other, `stride` apart.
    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        a: &[f32],
        stride: usize,
        by_columns: bool,
    ) {
        if by_columns {
            simd.vectorize(Sized::<R, V, true>(self, a, stride));
        } else {
            simd.vectorize(Sized::<R, V, false>(self, a, stride));
        }
    }
}

/// A tile of constant size, a function of its own: the registers of one are enough for the compiler to share out.
struct Sized<'a, const R: usize, const V: usize, const BY_COLUMNS: bool>(
    TileOfC<'a>,
    &'a [f32],
    usize,
);

impl<const R: usize, const V: usize, const BY_COLUMNS: bool> WithSimd
    for Sized<'_, R, V, BY_COLUMNS>
{
    type Output = ();

    // Indices with constant ends: through iterators the sums do not stay in registers (43 instead of 98 GFLOP/s).
    #[allow(clippy::needless_range_loop)]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sized(tile, a, stride) = self;
        let TileOfC {
            b,
            b_row,
            c,
            c_row,
            columns,
            depth,
            more,
        } = tile;
        let lanes = S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        if more {
            for i in 0..R {
                let row = &c[i * c_row..][..columns];
                for v in 0..V {
                    let (begin, end) = (v * lanes, (v + 1) * lanes);
                    if end <= columns {
                        sums[i][v] = S::as_simd_f32s(&row[begin..end]).0[0];
                    } else if begin < columns {
                        sums[i][v] = simd.partial_load_f32s(&row[begin..]);
                    }
                }
            }
        }
        if BY_COLUMNS {
            for p in 0..depth {
                let panel = S::as_simd_f32s(&b[p * b_row..][..V * lanes]).0;
                let b: [S::f32s; V] = std::array::from_fn(|v| panel[v]);
                let column = &a[p * stride..][..R];
                for i in 0..R {
                    let factor = simd.splat_f32s(column[i]);
                    for v in 0..V {
                        sums[i][v] = simd.mul_add_e_f32s(factor, b[v], sums[i][v]);
                    }
                }
            }
        } else {
            let rows: [&[f32]; R] = std::array::from_fn(|i| &a[i * stride..][..depth]);
            for p in 0..depth {
                let panel = S::as_simd_f32s(&b[p * b_row..][..V * lanes]).0;
                let b: [S::f32s; V] = std::array::from_fn(|v| panel[v]);
                for i in 0..R {
                    let factor = simd.splat_f32s(rows[i][p]);
                    for v in 0..V {
                        sums[i][v] = simd.mul_add_e_f32s(factor, b[v], sums[i][v]);
                    }
                }
            }
        }
        for i in 0..R {
            let row = &mut c[i * c_row..][..columns];
            for v in 0..V {
                let (begin, end) = (v * lanes, (v + 1) * lanes);
                if end <= columns {
                    S::as_mut_simd_f32s(&mut row[begin..end]).0[0] = sums[i][v];
                } else if begin < columns {
                    simd.partial_store_f32s(&mut row[begin..], sums[i][v]);
                }
            }
        }
    }
}
