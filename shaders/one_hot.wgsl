// shares[r, j] = weights[j]·((1 − smoothing)·[labels[r] = j] + smoothing/classes), a row of zeros for an ignored label.
//
// labels: [rows]; weights: [classes], where there are any; shares: [rows, classes]. An invocation to an element.

struct Params {
    rows: u32,
    columns: u32,
    smoothing: f32,
    // The label to ignore, where IGNORES.
    ignored: u32,
}

override WORKGROUP: u32 = 64u;
override IGNORES: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> shares: array<f32>;

@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> weighted: array<f32>;

fn share(i: u32, factor: f32) -> f32 {
    let label = labels[i / params.columns];
    if IGNORES && label == params.ignored {
        return 0.0;
    }
    // NaN for a label that names no class; no driver can fold it away, the bits are the label's.
    if label >= params.columns {
        return bitcast<f32>(label | 0x7fc00000u);
    }
    let own = select(0.0, 1.0 - params.smoothing, label == i % params.columns);
    return factor * (own + params.smoothing / f32(params.columns));
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i < params.rows * params.columns {
        shares[i] = share(i, 1.0);
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward_weighted(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i < params.rows * params.columns {
        weighted[i] = share(i, weights[i % params.columns]);
    }
}
