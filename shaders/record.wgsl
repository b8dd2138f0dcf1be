// ring[(step − 1) mod ring_rows, column] = Σᵢ values[i] over the rows of this step's batch: a metric, kept on the device.
//
// ring: [ring_rows, columns], one element of which is set; cursor: the clock's words; values: [batch]. One workgroup:
// invocation t sums values t, t + FAN², …, then FAN invocations sum FAN such parts each, then one sums theirs: always
// in this order, so that reruns give the same bits. Two levels of FAN take two barriers and 2·FAN dependent loads, where a
// tree takes eight barriers, each 0.4 µs on lavapipe.

struct Params {
    ring_rows: u32,
    columns: u32,
    column: u32,
    batch: u32,
}

// The words of the cursor: `cursor` in src/op/clock.rs.
const STEP: u32 = 0u;
const ROWS: u32 = 3u;

override FAN: u32 = 8u;
// FAN².
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cursor: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> ring: array<f32>;

var<workgroup> parts: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn record(@builtin(local_invocation_index) local: u32) {
    let rows = min(cursor[ROWS], params.batch);
    var sum = 0.0;
    for (var i = local; i < rows; i += WORKGROUP) {
        sum += values[i];
    }
    parts[local] = sum;
    workgroupBarrier();
    if local < FAN {
        sum = 0.0;
        for (var i = local * FAN; i < local * FAN + FAN; i++) {
            sum += parts[i];
        }
    }
    workgroupBarrier();
    if local < FAN {
        parts[local] = sum;
    }
    workgroupBarrier();
    if local == 0u {
        sum = 0.0;
        for (var i = 0u; i < FAN; i++) {
            sum += parts[i];
        }
        let row = (cursor[STEP] - 1u) % params.ring_rows;
        ring[row * params.columns + params.column] = sum;
    }
}
