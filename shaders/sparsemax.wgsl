// yᵣⱼ = max(xᵣⱼ − τᵣ, 0) with τᵣ such that each row sums to one, and dxᵣⱼ = dyᵣⱼ − the mean of dy over the row's support
// {k: yᵣₖ > 0} for j in it, else 0.
//
// x, y, dy, dx: [outer, columns, inner], rows along the middle as in along.wgsl, lanes to a row as in rows.wgsl. τ is found
// by Newton's method from the left, where it converges in `rounds` steps: see src/op/sparsemax.rs. Every lane takes all of
// them, because lanes meet in barriers.

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
    rounds: u32,
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
    // τ less the largest element: the one element alone is a row's sum of at least one.
    var tau = -1.0;
    for (var turn = 0u; turn < params.rounds; turn++) {
        var sum = 0.0;
        var count = 0.0;
        for (var i = row.first; i < row.end; i += LANES) {
            let z = x[place(row, base, i)] - largest;
            let counts = z > tau || is_nan(z);
            sum += select(0.0, z, counts);
            count += select(0.0, 1.0, counts);
        }
        sum = row_sum(local, sum);
        count = row_sum(local, count);
        // Rounding may leave nothing above τ: then it is found.
        tau = keep_nan(sum, select(tau, (sum - 1.0) / count, count > 0.0));
    }
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        y[at] = keep_nan(tau, max((x[at] - largest) - tau, 0.0));
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let base = base_of(row);
    var sum = 0.0;
    var count = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        let counts = saved[at] > 0.0;
        sum += select(0.0, dy[at], counts);
        count += select(0.0, 1.0, counts);
    }
    sum = row_sum(local, sum);
    count = row_sum(local, count);
    for (var i = row.first; i < row.end; i += LANES) {
        let at = place(row, base, i);
        dx[at] = keep_nan(saved[at], select(0.0, dy[at] - sum / count, saved[at] > 0.0));
    }
}
