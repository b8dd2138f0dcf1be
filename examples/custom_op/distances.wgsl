// dᵣᵤ = Σₖ (xᵣₖ − cᵤₖ)², and its gradients dxᵣₖ = 2·Σᵤ (xᵣₖ − cᵤₖ)·ddᵣᵤ and dcᵤₖ = −2·Σᵣ (xᵣₖ − cᵤₖ)·ddᵣᵤ.
//
// x, dx: [rows, columns]; c, dc: [units, columns]; d, dd: [rows, units]. An invocation to an element of the result. Sizes
// are small where this is used, so nothing is shared between invocations.

override WORKGROUP: u32 = 64;

struct Params {
    rows: u32,
    columns: u32,
    units: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read_write> d: array<f32>;

@group(0) @binding(3) var<storage, read> dd: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dc: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.rows * params.units {
        return;
    }
    let row = i / params.units * params.columns;
    let unit = i % params.units * params.columns;
    var sum = 0.0;
    for (var k = 0u; k < params.columns; k++) {
        let apart = x[row + k] - c[unit + k];
        sum += apart * apart;
    }
    d[i] = sum;
}

@compute @workgroup_size(WORKGROUP)
fn backward_x(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.rows * params.columns {
        return;
    }
    let row = i / params.columns;
    let k = i % params.columns;
    var sum = 0.0;
    for (var unit = 0u; unit < params.units; unit++) {
        sum += (x[i] - c[unit * params.columns + k]) * dd[row * params.units + unit];
    }
    dx[i] = 2.0 * sum;
}

@compute @workgroup_size(WORKGROUP)
fn backward_c(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.units * params.columns {
        return;
    }
    let unit = i / params.columns;
    let k = i % params.columns;
    var sum = 0.0;
    for (var row = 0u; row < params.rows; row++) {
        sum += (x[row * params.columns + k] - c[i]) * dd[row * params.units + unit];
    }
    dc[i] = -2.0 * sum;
}
