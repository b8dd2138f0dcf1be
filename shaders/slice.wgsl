// y = a stretch of one dimension of x; dx = dy in its place, zeros around it. Copied bit by bit, so that x may hold
// numbers or integers.
//
// x is a matrix: what lies before the dimension as `rows`, the rest as `whole` words, of which `width` from `offset` on
// are taken.

struct Params {
    rows: u32,
    width: u32,
    offset: u32,
    whole: u32,
}

override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@group(0) @binding(1) var<storage, read> dy: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    let row = i / params.width;
    if row >= params.rows {
        return;
    }
    y[i] = x[row * params.whole + params.offset + i - row * params.width];
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    let row = i / params.whole;
    if row >= params.rows {
        return;
    }
    // Wraps around to a large number before the stretch.
    let column = i - row * params.whole - params.offset;
    if column < params.width {
        dx[i] = dy[row * params.width + column];
    } else {
        dx[i] = 0u;
    }
}
