// y = the mean of the first `count` values, count = cursor[ROWS]·inner, and dvalues = dy/count for those, 0 behind them.
//
// values, dvalues: [rows, inner]; cursor: u32 [8]; y, dy: a scalar. Forward is one row with its lanes as in rows.wgsl:
// a batch's losses are few, and a second dispatch would cost more than the tree.

// Where the cursor holds the number of rows of this batch.
const ROWS = 3u;

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> cursor: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dvalues: array<f32>;

// Never more than there are, whatever the cursor says.
fn count() -> u32 {
    return min(cursor[ROWS], params.rows) * params.columns;
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, 1u, count());
    var sum = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        sum += values[i];
    }
    sum = row_sum(local, sum);
    if row.leads {
        y[0] = sum / f32(max(count(), 1u));
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.rows * params.columns {
        return;
    }
    dvalues[i] = select(0.0, dy[0] / f32(max(count(), 1u)), i < count());
}
