//! Which matrix-product kernel runs a shape, with which tiles. Pure data in, pure data out.

use crate::plan::Products;

/// One product as it will be dispatched.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// `tiled`, `registers` (matmul.wgsl) or `lanes` (matmul_subgroup.wgsl).
    pub entry: &'static str,
    /// Override constants; `ACCUMULATE` is false here, and true for the passes after the first.
    pub overrides: Vec<(&'static str, f64)>,
    /// Workgroups; z counts the splits.
    pub grid: [u32; 3],
    /// Cᵀ = op(B)ᵀ·op(A)ᵀ is computed: bind B as `a` and A as `b`. `m` and `n` below are swapped already.
    pub swapped: bool,
    /// Rows, columns and depth of the product the kernel sees.
    pub m: u32,
    /// See `m`.
    pub n: u32,
    /// See `m`.
    pub k: u32,
    /// Tiles along n, and in all.
    pub tiles_n: u32,
    /// See `tiles_n`.
    pub tiles: u32,
    /// Partial products; above 1 they go to scratch [splits, m, n] and `combine` sums them.
    pub splits: u32,
    /// k of one split.
    pub k_chunk: u32,
    /// k of one dispatch: dispatch `k.div_ceil(k_pass)` times, the later ones with `ACCUMULATE`.
    pub k_pass: u32,
    /// Loop iterations of one invocation in one dispatch, all loops together.
    pub iterations_per_invocation: u64,
}

/// Tile of one workgroup: rows, columns, depth of a step; 4×4 blocks of an invocation each way (`tiled`, `registers`).
#[derive(Clone, Copy, Debug)]
pub struct Tile {
    pub m: u32,
    pub n: u32,
    pub k: u32,
    pub blocks: [u32; 2],
}

/// llvmpipe ends all loops of an invocation after 65 535 iterations.
const MOST_ITERATIONS: u64 = 60_000;
/// The largest grid dimension everywhere.
const MOST_GROUPS: u32 = 65_535;

/// Chooses the kernel for C [m,n] = op(A) [m,k] · op(B) [k,n].
///
/// GPU: the largest of 128×128, 64×64 and 32×32 that still gives 64 workgroups, 64×16 or 16×64 for skinny outputs.
/// CPU adapter: a workgroup is one vector of lanes and each lane owns four columns, so the longer side of a product
/// narrower than the vector goes to the lanes (`swapped`); rows are cut evenly into tiles of at most 32, because a
/// tile's loads cost rows + 4·lanes per step and its products rows·4·lanes. 32 invocations or more share what a few
/// would do when k is long: split until the workgroups suffice, each split at least 256 deep.
/// `lanes`: the subgroup size where the adapter has exactly one and `Features::SUBGROUP`, else `None`.
pub fn choose(
    m: u32,
    n: u32,
    k: u32,
    ta: bool,
    tb: bool,
    products: Products,
    lanes: Option<u32>,
) -> Choice {
    match products {
        Products::Shared => {
            let tile = gpu_tile(m, n);
            let tiles = m.div_ceil(tile.m) as u64 * n.div_ceil(tile.n) as u64;
            build(
                "tiled",
                [m, n, k],
                ta,
                tb,
                false,
                tile,
                splits(tiles, 64, k),
            )
        }
        Products::Registers | Products::Subgroups => {
            let lanes = lanes.filter(|l| {
                products == Products::Subgroups && l.is_power_of_two() && (4..=32).contains(l)
            });
            let width = 4 * lanes.unwrap_or(8);
            let swapped = n < width && m > n;
            let (rows, cols) = if swapped { (n, m) } else { (m, n) };
            let (entry, tile) = match lanes {
                Some(_) => (
                    "lanes",
                    Tile {
                        m: even_rows(rows, 32),
                        n: width,
                        k: 4,
                        blocks: [1, 1],
                    },
                ),
                None => {
                    let blocks = [
                        if rows > 4 { 2 } else { 1 },
                        if cols > width { 2 } else { 1 },
                    ];
                    (
                        "registers",
                        Tile {
                            m: 4 * blocks[0],
                            n: width * blocks[1],
                            k: 4,
                            blocks,
                        },
                    )
                }
            };
            let tiles = rows.div_ceil(tile.m) as u64 * cols.div_ceil(tile.n) as u64;
            // A second dispatch costs 20 µs: below 8 MFLOP it does not come back.
            let heavy = m as u64 * n as u64 * k as u64 >= 4 << 20;
            build(
                entry,
                [m, n, k],
                ta,
                tb,
                swapped,
                tile,
                if heavy { splits(tiles, 8, k) } else { 1 },
            )
        }
    }
}

fn gpu_tile(m: u32, n: u32) -> Tile {
    let tile = |m, n, k, b| Tile {
        m,
        n,
        k,
        blocks: [b, b],
    };
    let enough = |side: u32| m.div_ceil(side) as u64 * n.div_ceil(side) as u64 >= 64;
    match (m, n) {
        (_, 0..=16) => tile(64, 16, 16, 1),
        (0..=16, _) => tile(16, 64, 16, 1),
        _ if enough(128) => tile(128, 128, 8, 2),
        _ if enough(64) => tile(64, 64, 16, 1),
        _ => tile(32, 32, 16, 1),
    }
}

/// Rows of a tile when `rows` are cut evenly into tiles of at most `most`: a multiple of 4.
fn even_rows(rows: u32, most: u32) -> u32 {
    rows.div_ceil(rows.div_ceil(most).max(1))
        .next_multiple_of(4)
        .max(4)
}

/// Splits of k so that `tiles` times them reaches `wanted` workgroups.
fn splits(tiles: u64, wanted: u64, k: u32) -> u32 {
    wanted.div_ceil(tiles.max(1)).min((k / 256) as u64).max(1) as u32
}

/// Lays out a product for a given kernel and tile; `choose` picks these, tests try others.
pub fn build(
    entry: &'static str,
    [m, n, k]: [u32; 3],
    ta: bool,
    tb: bool,
    swapped: bool,
    tile: Tile,
    splits: u32,
) -> Choice {
    let (m, n, ta, tb) = if swapped {
        (n, m, !tb, !ta)
    } else {
        (m, n, ta, tb)
    };
    let (tiles_n, tiles_m) = (n.div_ceil(tile.n), m.div_ceil(tile.m));
    let tiles = tiles_n * tiles_m;
    let flag = |f: bool| f as u32 as f64;
    let number = |u: u32| u as f64;

    let lanes = tile.n / (4 * tile.blocks[1]);
    let group = [lanes, tile.m / (4 * tile.blocks[0])];
    // A loop of t iterations counts t + 1 times, so an inner loop costs one more than it runs.
    let per_step: u64 = match entry {
        "tiled" => {
            let fill = |side: u32| (side * tile.k / 4).div_ceil(group[0] * group[1]) as u64;
            4 + tile.k as u64 / 4 + fill(tile.m) + fill(tile.n)
        }
        "lanes" => 2 + tile.m.div_ceil(lanes) as u64,
        _ => 1,
    };
    // Each block of four rows is stored by a loop over its columns; 1 for the last check of the loop over k.
    let blocks = if entry == "lanes" {
        tile.m / 4
    } else {
        tile.blocks[0] * tile.blocks[1]
    };
    let store = 1 + 5 * blocks as u64;
    let longest = ((MOST_ITERATIONS - store) / per_step) as u32 * tile.k;
    let k_chunk = k.div_ceil(splits).next_multiple_of(tile.k).min(longest);
    let k_pass = k_chunk.saturating_mul(splits).max(tile.k);
    let splits = if k_pass >= k {
        k.div_ceil(k_chunk.max(1)).max(1)
    } else {
        splits
    };
    let iterations = store + per_step * (k_chunk / tile.k) as u64;

    let mut overrides = vec![
        ("TA", flag(ta)),
        ("TB", flag(tb)),
        ("TC", flag(swapped)),
        ("A_VEC", flag((if ta { m } else { k }).is_multiple_of(4))),
        ("B_VEC", flag((if tb { k } else { n }).is_multiple_of(4))),
        ("K_TAIL", flag(!k.is_multiple_of(tile.k))),
    ];
    let sides_in_blocks = [
        ("BLOCKS_M", number(tile.blocks[0])),
        ("BLOCKS_N", number(tile.blocks[1])),
    ];
    match entry {
        "lanes" => overrides.extend([("ROWS", number(tile.m)), ("LANES", number(lanes))]),
        "registers" => overrides.extend(
            sides_in_blocks
                .into_iter()
                .chain([("LANES", number(lanes))]),
        ),
        _ => {
            let sides = [
                ("TILE_M", number(tile.m)),
                ("TILE_N", number(tile.n)),
                ("TILE_K", number(tile.k)),
            ];
            overrides.extend(sides.into_iter().chain(sides_in_blocks));
            overrides.extend([("GROUP_X", number(group[0])), ("GROUP_Y", number(group[1]))]);
        }
    }
    let grid = [tiles.min(MOST_GROUPS), tiles.div_ceil(MOST_GROUPS), splits];
    Choice {
        entry,
        overrides,
        grid,
        swapped,
        m,
        n,
        k,
        tiles_n,
        tiles,
        splits,
        k_chunk,
        k_pass,
        iterations_per_invocation: iterations,
    }
}
