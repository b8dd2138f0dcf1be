// yᵣⱼ = e^(xᵣⱼ − mᵣ) / Σₖ e^(xᵣₖ − mᵣ) with mᵣ the largest of row r, and dxᵣⱼ = yᵣⱼ·(dyᵣⱼ − Σₖ dyᵣₖ·yᵣₖ).
//
// x, y, dy, dx: [outer, columns, inner], rows along the middle as in along.wgsl, lanes to a row as in rows.wgsl. The powers
// are computed twice rather than stored and read back: a long row is bound by memory.

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
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
    let base = base_of(row);
    var largest = x[base];
    for (var i = row.first; i < row.end; i += LANES) {
        largest = max(largest, x[place(row, base, i)]);
    }
    largest = row_max(local, largest);
    var sum = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        sum += exp_nan(x[place(row, base, i)] - largest);
    }
    sum = row_sum(local, sum);
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        y[at] = keep_nan(sum, exp_nan(x[at] - largest) / sum);
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let base = base_of(row);
    var sum = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        sum += dy[at] * saved[at];
    }
    sum = row_sum(local, sum);
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        dx[at] = saved[at] * (dy[at] - sum);
    }
}
