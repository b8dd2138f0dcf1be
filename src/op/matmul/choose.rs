//! Which matrix-product kernel runs a shape, with which tiles. Pure data in, pure data out.

use crate::target::{ProductChoice, ProductShape, Products, Target};

use super::layout::build;

/// One product as it will be dispatched.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// `tiled` (matmul.wgsl), `registers` (matmul_registers.wgsl), `lanes` (matmul_subgroup.wgsl) or `vector`
    /// (matmul_vector.wgsl).
    pub entry: &'static str,
    /// Override constants; `ACCUMULATE` is false here, and true for the passes after the first.
    pub overrides: Vec<(&'static str, f64)>,
    /// The tile of a workgroup.
    pub tile: Tile,
    /// Workgroups; z counts the splits.
    pub grid: [u32; 3],
    /// Cᵀ = op(B)ᵀ·op(A)ᵀ is computed: bind B as `a` and A as `b`. `shape` is swapped already.
    pub swapped: bool,
    /// `[m, n, k]` of the product the kernel sees.
    pub shape: [u32; 3],
    /// Tiles along n, and in all.
    pub tiles: [u32; 2],
    /// Partial products; above 1 they go to scratch `[splits, m, n]` and `combine` sums them.
    pub splits: u32,
    /// k of one split.
    pub k_chunk: u32,
    /// k of one dispatch: dispatch `k.div_ceil(k_pass).max(1)` times, the later ones with `ACCUMULATE`.
    pub k_pass: u32,
    /// Loop iterations of one invocation in one dispatch, all loops together.
    pub iterations_per_invocation: u64,
}

/// Tile of one workgroup: `[rows, columns, depth of a step]`, and an invocation's 4×4 blocks each way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tile(pub [u32; 3], pub [u32; 2]);

/// The larger tiles of `tiled`.
const LARGE: Tile = Tile([128, 128, 8], [2, 2]);
const MIDDLE: Tile = Tile([64, 64, 16], [1, 1]);

/// The small tiles of `tiled`, of 64 or 32 invocations.
const SMALL: [Tile; 5] = [
    Tile([32, 32, 16], [1, 1]),
    Tile([64, 16, 16], [1, 1]),
    Tile([16, 64, 16], [1, 1]),
    Tile([32, 16, 16], [1, 1]),
    Tile([16, 32, 16], [1, 1]),
];

/// The kernel by rule, whatever a table has measured.
///
/// GPU: the largest of 128×128 and 64×64 that still gives 64 workgroups, else of 32×32, 64×16, 16×64, 32×16 and 16×32 the one
/// that computes least beyond the edges of C, unless it loads more than that saves.
/// CPU adapter: a workgroup is one vector of lanes and a lane owns four columns, so where a row of C is shorter than
/// that the longer side goes to the lanes (`swapped`). Rows are cut evenly into tiles of at most 32: loads dominate, a
/// step's cost ~ rows + 4·lanes loaded quads for rows·4·lanes products.
/// Long k with few tiles is split until there are 64 (GPU) or 8 (CPU adapter) workgroups. The dispatch that sums the splits
/// costs 24 to 36 µs on a GPU, about as long as a workgroup takes for a thousand of k: a split is at least 1024 deep there,
/// and 256 on a CPU adapter.
pub fn choose(shape: ProductShape, target: &Target) -> Choice {
    let [m, n, k] = shape.sizes;
    match target.products {
        Products::Shared => {
            let tile = gpu_tile(m, n);
            let splits = splits(tile.count(m, n), 64, k, 1024);
            build("tiled", shape, false, tile, splits, target)
        }
        Products::Registers | Products::Subgroups => {
            let lanes = lanes(target);
            let width = 4 * lanes.unwrap_or(8);
            let swapped = n < width && m > n;
            let (rows, cols) = if swapped { (n, m) } else { (m, n) };
            let (entry, tile) = if lanes.is_some() {
                ("lanes", Tile([even_rows(rows, 32), width, 4], [1, 1]))
            } else {
                let [tall, wide] = [1 + (rows > 4) as u32, 1 + (cols > width) as u32];
                ("registers", Tile([4 * tall, width * wide, 4], [tall, wide]))
            };
            // `combine` is one dispatch more, 20 µs: below 8 MFLOP it does not come back.
            let heavy = m as u64 * n as u64 * k as u64 >= 4 << 20;
            let wanted = if heavy { 8 } else { 1 };
            let splits = splits(tile.count(rows, cols), wanted, k, 256);
            build(entry, shape, swapped, tile, splits, target)
        }
    }
}

/// Invocations that share their loads, where the adapter has subgroups of exactly one size and the kernel knows it.
fn lanes(target: &Target) -> Option<u32> {
    target.subgroup.filter(|lanes| {
        target.products == Products::Subgroups
            && lanes.is_power_of_two()
            && (4..=32).contains(lanes)
    })
}

/// The kernel for a shape on a target: what its table has measured, where the target's kernels can do it; else by rule.
/// `half`: C is stored as f16, in words of two neighbours, which `vector` gives to two invocations where C is transposed.
pub fn choose_for(shape: ProductShape, half: bool, target: &Target) -> Choice {
    let measured = target.table.as_ref().and_then(|table| table.product(shape));
    // The bucket's sizes bound what its members can take, so a choice is checked against the shape itself.
    let possible = |choice: &ProductChoice| {
        !(half && choice.kernel == "vector") && candidates(shape, target).contains(choice)
    };
    let vector = if half {
        None
    } else {
        choose_vector(shape, target)
    };
    match measured.filter(possible) {
        Some(choice) => build(
            choice.kernel,
            shape,
            choice.swapped,
            Tile(choice.tile, choice.blocks),
            choice.splits,
            target,
        ),
        None => vector.unwrap_or_else(|| choose(shape, target)),
    }
}

/// The most rows, or columns, of a product that is a matrix times a vector or a few.
const MAX_VECTORS: u32 = 8;

/// The kernel for few rows or columns, where it is the better one.
///
/// GPU: where k is deep enough for four slices of 16. CPU adapter: never by rule, because tiles of four rows load no more.
/// `tune` may still choose it.
fn choose_vector(shape: ProductShape, target: &Target) -> Option<Choice> {
    let [m, n, k] = shape.sizes;
    let few = m.min(n);
    let products = target.products;
    if products != Products::Shared || few > MAX_VECTORS || k < 64 {
        return None;
    }
    let tile = vector_tile(few, vector_slices(few, k, products));
    Some(build(
        "vector",
        shape,
        n < m,
        tile,
        splits(tile.count(few, m.max(n)), 64, k, 4096),
        target,
    ))
}

/// Slices of k that a workgroup of `vector` adds up: none on CPU adapters, for want of cheap barriers.
fn vector_slices(rows: u32, k: u32, products: Products) -> u32 {
    let most = match (products, rows) {
        (Products::Registers | Products::Subgroups, _) => 1,
        (Products::Shared, 1) => 32,
        (Products::Shared, 2..=4) => 16,
        (Products::Shared, _) => 8,
    };
    most.min(1 << (k / 16).max(1).ilog2())
}

/// The tile of `vector` for a number of rows.
fn vector_tile(rows: u32, slices: u32) -> Tile {
    let (tall, blocks) = match rows {
        0 | 1 => (1, 1),
        2..=4 => (4, 1),
        _ => (8, 2),
    };
    Tile([tall, 32, 4 * slices], [blocks, 1])
}

/// Every way in which this target's kernels can compute a product: what `tune` measures, and all that a table may ask for.
pub fn candidates(shape: ProductShape, target: &Target) -> Vec<ProductChoice> {
    let lanes = lanes(target);
    let mut tiles = Vec::new();
    if target.products == Products::Shared {
        let shared = [LARGE, MIDDLE];
        let shared = shared.into_iter().chain(SMALL);
        tiles.extend(shared.map(|tile| ("tiled", tile, false)));
    } else {
        let width = 4 * lanes.unwrap_or(8);
        for swapped in [false, true] {
            for (tall, wide) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
                let tile = Tile([4 * tall, 32 * wide, 4], [tall, wide]);
                tiles.push(("registers", tile, swapped));
            }
            let heights = (1..=8).map(|quads| Tile([4 * quads, width, 4], [1, 1]));
            if lanes.is_some() {
                tiles.extend(heights.map(|tile| ("lanes", tile, swapped)));
            }
        }
    }
    let [m, n, k] = shape.sizes;
    for (rows, swapped) in [(m, false), (n, true)] {
        if rows <= MAX_VECTORS {
            let slices = vector_slices(rows, k, target.products);
            tiles.push(("vector", vector_tile(rows, slices), swapped));
        }
    }
    let splits = [1, 2, 4, 8, 16].into_iter();
    let splits = splits.filter(|&splits| splits == 1 || shape.sizes[2] / splits >= 256);
    splits
        .flat_map(|splits| {
            tiles.iter().map(
                move |&(kernel, Tile(tile, blocks), swapped)| ProductChoice {
                    kernel,
                    tile,
                    blocks,
                    splits,
                    swapped,
                },
            )
        })
        .collect()
}

impl Choice {
    /// The same kernel and tile with a sum over all of k, as far as a dispatch may go.
    pub fn in_one_piece(&self, shape: ProductShape, target: &Target) -> Choice {
        build(self.entry, shape, self.swapped, self.tile, 1, target)
    }

    /// Floating-point operations that the kernel executes for `k` of this product, on whole tiles.
    pub fn padded_flops(&self, k: u32) -> u64 {
        let [rows, columns, depth] = self.tile.0;
        // `tiled` and `vector` end their last step where k does.
        let depth = match self.entry {
            "tiled" | "vector" => 4,
            _ => depth,
        };
        let chunks =
            u64::from(k / self.k_chunk.max(1)) * u64::from(self.k_chunk.next_multiple_of(depth));
        let rest = u64::from((k % self.k_chunk.max(1)).next_multiple_of(depth));
        2 * u64::from(self.tiles[1]) * u64::from(rows) * u64::from(columns) * (chunks + rest)
    }
}

impl Tile {
    /// Tiles that cover `[m, n]`.
    fn count(self, m: u32, n: u32) -> u64 {
        m.div_ceil(self.0[0]) as u64 * n.div_ceil(self.0[1]) as u64
    }

    /// Elements of the tiles that cover these matrices. Tiles of 64×16 count for a thirty-second more, because they load a quarter
    /// more for each product than 32×32; tiles of 32×16 for an eighth more: they load half as much again.
    fn cost(self, matrices: &[[u32; 2]]) -> u64 {
        let [rows, columns, _] = self.0;
        let area = u64::from(rows) * u64::from(columns);
        let tiles: u64 = matrices.iter().map(|&[m, n]| self.count(m, n)).sum();
        let weight = match (rows == columns, area) {
            (true, _) => 32,
            (false, 1024) => 33,
            (false, _) => 36,
        };
        tiles * area * weight
    }

    /// The tile of products that share a dispatch: the largest of 128×128 and 64×64 that gives 64 workgroups and computes at
    /// most a sixteenth more than small ones.
    pub fn of_all(matrices: &[[u32; 2]]) -> Self {
        let small = Self::small(matrices);
        let fits = |tile: &Tile| {
            let count: u64 = matrices.iter().map(|&[m, n]| tile.count(m, n)).sum();
            count >= 64 && tile.cost(matrices) <= small.cost(matrices) / 16 * 17
        };
        [LARGE, MIDDLE].into_iter().find(fits).unwrap_or(small)
    }

    /// The small tile that covers these matrices at the least cost.
    fn small(matrices: &[[u32; 2]]) -> Self {
        let [first, rest @ ..] = SMALL;
        rest.into_iter().fold(first, |best, tile| {
            if tile.cost(matrices) < best.cost(matrices) {
                tile
            } else {
                best
            }
        })
    }
}

fn gpu_tile(m: u32, n: u32) -> Tile {
    match (m, n) {
        _ if m <= 16 || n <= 16 => Tile::small(&[[m, n]]),
        _ if LARGE.count(m, n) >= 64 => LARGE,
        _ if MIDDLE.count(m, n) >= 64 => MIDDLE,
        _ => Tile::small(&[[m, n]]),
    }
}

/// Rows of a tile when `rows` are cut evenly into tiles of at most `most`: a multiple of 4.
fn even_rows(rows: u32, most: u32) -> u32 {
    rows.div_ceil(rows.div_ceil(most).max(1))
        .next_multiple_of(4)
        .max(4)
}

/// Splits of k, at least `deep` each, so that `tiles` times them reaches `wanted` workgroups.
fn splits(tiles: u64, wanted: u64, k: u32, deep: u32) -> u32 {
    wanted.div_ceil(tiles.max(1)).min((k / deep) as u64).max(1) as u32
}
