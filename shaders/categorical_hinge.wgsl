// lossᵣ = max(1 + maxⱼ (1 − tⱼ)·yⱼ − Σⱼ tⱼ·yⱼ, 0) of each row, and dyⱼ = ((1 − tⱼ)·[the largest]/(number of largest) − tⱼ)·dloss
// where 1 + max − Σ ≥ 0, else 0.
//
// y, t, dy: [rows, columns]; loss, dloss: [rows]. Lanes to a row as in rows.wgsl.

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

fn wrong(i: u32) -> f32 {
    return (1.0 - t[i]) * y[i];
}

// Σ t·y and max (1 − t)·y.
fn right_and_wrong(row: Row, local: u32) -> vec2<f32> {
    var right = 0.0;
    var largest = wrong(row.start);
    for (var i = row.first; i < row.end; i += LANES) {
        right += keep_nan(y[i], t[i] * y[i]);
        largest = max(largest, wrong(i));
    }
    return vec2(row_sum(local, right), row_max(local, largest));
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let sides = right_and_wrong(row, local);
    if row.leads {
        loss[row.index] = keep_nan(sides.x, max(sides.y - sides.x + 1.0, 0.0));
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let sides = right_and_wrong(row, local);
    var count = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        count += select(0.0, 1.0, wrong(i) == sides.y);
    }
    count = row_sum(local, count);
    for (var i = row.first; i < row.end; i += LANES) {
        let up = select(0.0, (1.0 - t[i]) / count, wrong(i) == sides.y);
        let slope = select(0.0, up - t[i], sides.y - sides.x + 1.0 >= 0.0);
        dy[i] = keep_nan(sides.x, slope) * dloss[row.index];
    }
}
