// yᵣⱼ = e^(xᵣⱼ − mᵣ) / Σₖ e^(xᵣₖ − mᵣ) with mᵣ the largest of row r, and dxᵣⱼ = yᵣⱼ·(dyᵣⱼ − Σₖ dyᵣₖ·yᵣₖ).
//
// x, y, dy, dx: [rows, columns]; lanes to a row as in rows.wgsl. The powers are computed twice rather than stored and
// read back: a long row is bound by memory.

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@group(0) @binding(1) var<storage, read> saved: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    var largest = x[row.start];
    for (var i = row.first; i < row.end; i += LANES) {
        largest = max(largest, x[i]);
    }
    largest = row_max(local, largest);
    var sum = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        sum += exp_nan(x[i] - largest);
    }
    sum = row_sum(local, sum);
    for (var i = row.first; i < row.end; i += LANES) {
        y[i] = keep_nan(sum, exp_nan(x[i] - largest) / sum);
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    var sum = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        sum += dy[i] * saved[i];
    }
    sum = row_sum(local, sum);
    for (var i = row.first; i < row.end; i += LANES) {
        dx[i] = saved[i] * (dy[i] - sum);
    }
}
