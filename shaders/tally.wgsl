// What the tallies of an epoch share: their place, the rows that count, targets and weights. Appended to their shaders,
// whose params have batch, columns, slots, cells, last and each.
//
// A tally is [2·slots, cells]: the epoch's slot is epoch mod slots, and the first batch of an epoch begins it anew, by the
// clock's own words, so that the host writes nothing between epochs. A cell is a pair, see pair.wgsl; the first numbers
// of all slots come before the second numbers. Adding up is deterministic: of the invocations whose rows fall into one cell the
// first adds for all, in the order of the rows, and workgroups share no cell.

// The words of the cursor: `cursor` in src/op/clock.rs.
const EPOCH: u32 = 1u;
const OFFSET: u32 = 2u;
const ROWS: u32 = 3u;

// Of a row that falls into no cell.
const NOWHERE: u32 = 0xffffffffu;

override WORKGROUP: u32 = 64u;
override SPARSE: bool = false;
override GATHER: bool = false;
override WEIGHTED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cursor: array<u32>;
// [batch, columns].
@group(0) @binding(2) var<storage, read> y: array<f32>;
// [rows, columns] numbers or, where SPARSE, [rows] labels; with GATHER rows of the data, of which row indices[r] is meant.
@group(0) @binding(3) var<storage, read> t: array<u32>;
@group(0) @binding(4) var<storage, read> indices: array<u32>;
// [rows], as t.
@group(0) @binding(5) var<storage, read> weights: array<f32>;

fn counted_rows() -> u32 {
    return min(cursor[ROWS] * params.each, params.batch);
}

// Where the epoch's cells begin.
fn home() -> u32 {
    return (cursor[EPOCH] % params.slots) * params.cells;
}

// The pair of a cell, counted over all slots.
fn cell_at(at: u32) -> vec2<f32> {
    return vec2(tally[at], tally[params.slots * params.cells + at]);
}

fn set_cell(at: u32, value: vec2<f32>) {
    tally[at] = value.x;
    tally[params.slots * params.cells + at] = value.y;
}

fn begins_epoch() -> bool {
    return cursor[OFFSET] == 0u;
}

// The row of t and of the weights that belongs to row r of the batch.
fn row_of(r: u32) -> u32 {
    if GATHER {
        return min(indices[r], params.last);
    }
    return r;
}

fn weight_of(r: u32) -> f32 {
    if WEIGHTED {
        return weights[row_of(r)];
    }
    return 1.0;
}

// A NaN for a label that names no class; the bits are the label's, so that no driver can fold it away.
fn known_label(label: u32, classes: u32, value: f32) -> f32 {
    return select(value, bitcast<f32>(label | 0x7fc00000u), label >= classes);
}

// t of row r and a column.
fn target_of(r: u32, column: u32) -> f32 {
    if SPARSE {
        let label = t[row_of(r)];
        return known_label(label, params.columns, select(0.0, 1.0, label == column));
    }
    return bitcast<f32>(t[row_of(r) * params.columns + column]);
}
