//! How a product is laid out for a kernel and a tile: workgroups, splits of k, and the kernel's constants.

use crate::target::{ProductShape, Target};

use super::choose::{Choice, Tile};

/// Lays out a product for a given kernel and tile.
pub fn build(
    entry: &'static str,
    shape: ProductShape,
    swapped: bool,
    Tile(tile, blocks): Tile,
    splits: u32,
    target: &Target,
) -> Choice {
    let ([m, n, k], ta, tb) = (shape.sizes, shape.transpose_a, shape.transpose_b);
    let (m, n, ta, tb) = if swapped {
        (n, m, !tb, !ta)
    } else {
        (m, n, ta, tb)
    };
    let [tile_m, tile_n, tile_k] = tile;
    let slices = tile_k / 4;
    let group = match entry {
        // Neighbours read neighbouring quads: along k where B's stored rows run along it.
        "vector" if tb && slices > 1 => [slices, tile_n / 4],
        "vector" => [tile_n / 4, slices],
        _ => [tile_n / (4 * blocks[1]), tile_m / (4 * blocks[0])],
    };

    let (per_step, store) = iterations(entry, Tile(tile, blocks), group);
    let steps = target.max_iterations.saturating_sub(u64::from(store)) / u64::from(per_step);
    let steps = u32::try_from(steps.max(1)).unwrap_or(u32::MAX);
    let longest = steps.saturating_mul(tile_k) / tile_k * tile_k;
    let k_chunk = k.div_ceil(splits).next_multiple_of(tile_k).min(longest);
    let k_pass = k_chunk.saturating_mul(splits).max(tile_k);
    let splits = if k_pass >= k {
        k.div_ceil(k_chunk.max(1)).max(1)
    } else {
        splits
    };

    // A slice of `vector` looks before every four of k whether they are there.
    let step = if entry == "vector" { 4 } else { tile_k };
    let mut overrides = vec![
        ("TA", ta as u32),
        ("TB", tb as u32),
        ("TC", swapped as u32),
        ("A_VEC", (if ta { m } else { k }).is_multiple_of(4) as u32),
        ("B_VEC", (if tb { k } else { n }).is_multiple_of(4) as u32),
        ("K_TAIL", !k.is_multiple_of(step) as u32),
    ];
    overrides.extend(tile_overrides(entry, Tile(tile, blocks), group));
    let tiles_n = n.div_ceil(tile_n);
    let tiles = tiles_n * m.div_ceil(tile_m);
    Choice {
        entry,
        overrides: overrides
            .into_iter()
            .map(|(name, value)| (name, value as f64))
            .collect(),
        tile: Tile(tile, blocks),
        grid: [
            tiles.min(target.max_workgroups),
            tiles.div_ceil(target.max_workgroups.max(1)),
            splits,
        ],
        swapped,
        shape: [m, n, k],
        tiles: [tiles_n, tiles],
        splits,
        k_chunk,
        k_pass,
        iterations_per_invocation: (store + k_chunk / tile_k * per_step) as u64,
    }
}

/// Loop iterations of an invocation for a step along k, and for all that comes after the last one.
fn iterations(entry: &str, Tile(tile, blocks): Tile, group: [u32; 2]) -> (u32, u32) {
    let [tile_m, tile_n, tile_k] = tile;
    let slices = tile_k / 4;
    // A loop of t iterations counts t + 1 times, so an inner loop costs one more than it runs.
    let per_step = match entry {
        "tiled" => {
            let fill = |side: u32| (side * tile_k / 4).div_ceil(group[0] * group[1]);
            4 + tile_k / 4 + fill(tile_m) + fill(tile_n)
        }
        "lanes" => 2 + tile_m.div_ceil(group[0]),
        _ => 1,
    };
    // Each block of four rows is stored by a loop over its columns; 1 for the last check of the loop over k.
    let stored_blocks = if entry == "lanes" {
        tile_m / 4
    } else {
        blocks[0] * blocks[1]
    };
    // The slices of a vector are added by loops of their own, of some rows by turns where there are fewer slices.
    let sums = match entry {
        "vector" => tile_m.div_ceil(slices.max(1)) * (slices + 7),
        _ => 0,
    };
    (per_step, 1 + 5 * stored_blocks + sums)
}

/// The constants by which a kernel knows its tile.
fn tile_overrides(
    entry: &str,
    Tile([tile_m, tile_n, tile_k], blocks): Tile,
    group: [u32; 2],
) -> Vec<(&'static str, u32)> {
    let mut overrides = match entry {
        "lanes" => vec![("ROWS", tile_m), ("LANES", group[0])],
        "registers" => vec![("LANES", group[0])],
        "vector" => vec![
            ("ROWS", tile_m),
            ("QUADS", tile_n / 4),
            ("SLICES", tile_k / 4),
            ("GROUP_X", group[0]),
            ("GROUP_Y", group[1]),
        ],
        _ => vec![
            ("TILE_M", tile_m),
            ("TILE_N", tile_n),
            ("TILE_K", tile_k),
            ("GROUP_X", group[0]),
            ("GROUP_Y", group[1]),
        ],
    };
    if !matches!(entry, "lanes" | "vector") {
        overrides.extend([("BLOCKS_M", blocks[0]), ("BLOCKS_N", blocks[1])]);
    }
    overrides
}
