// lossᵣ = the mean over j of −(t·ln p + (1 − t)·ln(1 − p)), and its gradient, from logits z (p = sigmoid z) or from
// probabilities.
//
// y (z or p), t, dy: [rows, columns]; loss, dloss: [rows]. Forward has lanes to a row as in rows.wgsl, backward an
// invocation to an element. Every term is a sum of numbers of one sign, so that small losses keep their digits:
// see binary_cross_entropy_terms.wgsl.

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

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = own_row(group, groups, local, params.rows, params.columns);
    var sum = 0.0;
    for (var i = row.first; i < row.end; i += LANES) {
        sum += keep_nan(y[i], keep_nan(t[i], term(y[i], t[i])));
    }
    sum = row_sum(local, sum);
    if row.leads {
        loss[row.index] = sum / f32(params.columns);
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.rows * params.columns {
        return;
    }
    let dterm = keep_nan(y[i], keep_nan(t[i], slope(y[i], t[i])));
    dy[i] = dterm * dloss[i / params.columns] / f32(params.columns);
}
