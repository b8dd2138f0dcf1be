// ring[(step − 1) mod ring_rows, column, part] = Σᵢ values[i] over the rows of this step's batch that lie in a part of it:
// a metric, kept on the device.
//
// ring: [ring_rows, columns, parts, 2], the pairs of `parts` sums of which are set; cursor: the clock's words; values: [batch].
// A workgroup takes one part, `part_rows` rows: an invocation sums every WORKGROUP-th, then the first one sums theirs, always in this
// order, so that reruns give the same bits, and with the errors of rounding, see pair.wgsl. The host adds the pairs, in f64: no
// workgroup waits for another.

struct Params {
    ring_rows: u32,
    columns: u32,
    column: u32,
    parts: u32,
    part_rows: u32,
    batch: u32,
}

// The words of the cursor: `cursor` in src/op/clock.rs.
const STEP: u32 = 0u;
const ROWS: u32 = 3u;

override WORKGROUP: u32 = 32u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cursor: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> ring: array<f32>;

var<workgroup> sums: array<vec2<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn record(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let part = group.x;
    let end = min(min(cursor[ROWS], params.batch), (part + 1u) * params.part_rows);
    var sum = vec2<f32>();
    for (var i = part * params.part_rows + local; i < end; i += WORKGROUP) {
        sum = pair_and(sum, values[i]);
    }
    sums[local] = sum;
    workgroupBarrier();
    if local == 0u {
        for (var i = 1u; i < WORKGROUP; i++) {
            sum = pair_plus(sum, sums[i]);
        }
        let row = (cursor[STEP] - 1u) % params.ring_rows;
        let at = 2u * ((row * params.columns + params.column) * params.parts + part);
        ring[at] = sum.x;
        ring[at + 1u] = sum.y;
    }
}
