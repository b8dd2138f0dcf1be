// How a row's predictions go with its targets: with A = Σ (y − ȳ)·(t − t̄), B = Σ (y − ȳ)², C = Σ (t − t̄)² over the columns,
//
//   Pearson        A/√(B·C)
//   concordance    2·A/(B + C + columns·(ȳ − t̄)²)
//
// y, t: [rows, columns]; r: [rows]. Lanes to a row as in rows.wgsl; the means first, so that nothing cancels.

struct Params {
    rows: u32,
    columns: u32,
}

override CONCORDANCE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> r: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let columns = f32(params.columns);
    var mean_y = 0.0;
    var mean_t = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        mean_y += y[i];
        mean_t += t[i];
    }
    mean_y = row_sum(local, mean_y) / columns;
    mean_t = row_sum(local, mean_t) / columns;
    var a = 0.0;
    var b = 0.0;
    var c = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        let dy = y[i] - mean_y;
        let dt = t[i] - mean_t;
        a += dy * dt;
        b += dy * dy;
        c += dt * dt;
    }
    a = row_sum(local, a);
    b = row_sum(local, b);
    c = row_sum(local, c);
    if row.leads {
        var value = a * inverseSqrt(b) * inverseSqrt(c);
        if CONCORDANCE {
            let apart = mean_y - mean_t;
            value = 2.0 * a / (b + c + columns * apart * apart);
        } else if b == 0.0 || c == 0.0 {
            // What does not vary goes with nothing.
            value = 0.0;
        }
        r[row.index] = keep_nan(mean_y, keep_nan(mean_t, value));
    }
}
