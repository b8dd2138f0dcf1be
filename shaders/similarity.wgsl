// How unlike a row of predictions is to its row of targets, by three sums over the row, and the gradient.
//
//   cosine    A = Σ y·t, B = Σ y², C = Σ t²:   loss = −A·n(B)·n(C) with n(x) = 1/√max(x, 1e-12)
//             dy = (y·[B ≥ 1e-12]·A/B − t)·n(B)·n(C)·dloss
//   Tversky   A = Σ y·t, B = Σ t·(1 − y), C = Σ y·(1 − t), N = αB + βC + ε, D = A + N:   loss = 1 − A/D = N/D
//             dy = (A·(β·(1 − t) − α·t) − t·N)/D²·dloss
//
// y, t, dy: [rows, columns]; loss, dloss: [rows]. Lanes to a row as in rows.wgsl.

struct Params {
    rows: u32,
    columns: u32,
    alpha: f32,
    beta: f32,
    epsilon: f32,
}

override COSINE: bool = false;

// The square of the least length that a vector is divided by.
const SHORTEST = 1e-12f;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;

@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

// A, B, C.
fn row_sums(row: Row, local: u32) -> vec3<f32> {
    var a = 0.0;
    var b = 0.0;
    var c = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        a += y[i] * t[i];
        b += select(t[i] * (1.0 - y[i]), y[i] * y[i], COSINE);
        c += select(y[i] * (1.0 - t[i]), t[i] * t[i], COSINE);
    }
    return vec3(row_sum(local, a), row_sum(local, b), row_sum(local, c));
}

fn lengths(sums: vec3<f32>) -> f32 {
    return inverseSqrt(max(sums.y, SHORTEST)) * inverseSqrt(max(sums.z, SHORTEST));
}

fn mistakes(sums: vec3<f32>) -> f32 {
    return params.alpha * sums.y + params.beta * sums.z + params.epsilon;
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let sums = row_sums(row, local);
    if row.leads {
        var value = 0.0;
        if COSINE {
            value = -(sums.x * lengths(sums));
        } else {
            let n = mistakes(sums);
            value = n / (sums.x + n);
        }
        loss[row.index] = keep_nan(sums.x, value);
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    let sums = row_sums(row, local);
    for (var i = row.first; i < row.end; i += LANES) {
        var slope = 0.0;
        if COSINE {
            let along = select(0.0, sums.x / sums.y, sums.y >= SHORTEST);
            slope = (y[i] * along - t[i]) * lengths(sums);
        } else {
            let n = mistakes(sums);
            let d = sums.x + n;
            slope = (sums.x * (params.beta * (1.0 - t[i]) - params.alpha * t[i]) - t[i] * n) / d / d;
        }
        dy[i] = keep_nan(sums.x, slope) * dloss[row.index];
    }
}
