// y = a·σ(b) with a and b the halves of x along one dimension; da = dy·σ(b), db = dy·a·σ(b)·σ(−b).
//
// x, dx: [outer, 2, half], y, dy: [outer, half]; `len` elements of y, one to an invocation.

struct Params {
    len: u32,
    half: u32,
}

override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.len {
        return;
    }
    let a = i + i / params.half * params.half;
    y[i] = x[a] * sigmoid(x[a + params.half]);
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.len {
        return;
    }
    let a = i + i / params.half * params.half;
    let b = a + params.half;
    let share = sigmoid(x[b]);
    dx[a] = dy[i] * share;
    dx[b] = dy[i] * x[a] * share * sigmoid(-x[b]);
}
