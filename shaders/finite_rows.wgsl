// The cursor of a step whose loss is finite; of any other the same without rows.
//
// cursor, counted: 8 words; ring: [ring_rows, columns, numbers], as record.wgsl leaves it: the loss is not finite where one of
// the numbers of its column is not. One workgroup looks at them side by side.

struct Params {
    ring_rows: u32,
    columns: u32,
    column: u32,
    numbers: u32,
}

// The words of the cursor: `cursor` in src/op/clock.rs.
const STEP: u32 = 0u;
const ROWS: u32 = 3u;
const WORDS: u32 = 8u;

override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cursor: array<u32>;
@group(0) @binding(2) var<storage, read> ring: array<f32>;
@group(0) @binding(3) var<storage, read_write> counted: array<u32>;

var<workgroup> found: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn look(@builtin(local_invocation_index) local: u32) {
    let row = (cursor[STEP] - 1u) % params.ring_rows;
    let first = (row * params.columns + params.column) * params.numbers;
    var lost = 0u;
    for (var i = local; i < params.numbers; i += WORKGROUP) {
        // By the bits: WGSL lets a driver assume that there are no infinities and NaNs.
        let exponent = bitcast<u32>(ring[first + i]) & 0x7f800000u;
        lost |= select(0u, 1u, exponent == 0x7f800000u);
    }
    found[local] = lost;
    workgroupBarrier();
    if local == 0u {
        for (var i = 1u; i < WORKGROUP; i++) {
            lost |= found[i];
        }
        for (var i = 0u; i < WORDS; i++) {
            counted[i] = cursor[i];
        }
        counted[ROWS] = select(cursor[ROWS], 0u, lost != 0u);
    }
}
