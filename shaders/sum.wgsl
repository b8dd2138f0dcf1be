// y[o, i] = Σᵣ x[o, r, i], and the gradient dx[o, r, i] = dy[o, i].
//
// x: [outer, reduced, inner]; y: [outer, inner]. A long sum takes several passes: pass p turns `reduced` into `parts`
// partial sums, part c taking r = c, c + parts, c + 2·parts …, always in this order, so that reruns give the same bits
// and neighbouring invocations read neighbouring elements.

struct Params {
    outer: u32,
    reduced: u32,
    inner: u32,
    parts: u32,
}

override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@group(0) @binding(1) var<storage, read> x_half: array<u32>;

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let t = linear_index(group, groups, local, WORKGROUP);
    if t >= params.outer * params.parts * params.inner {
        return;
    }
    let q = t / params.inner;
    let i = t - q * params.inner;
    let o = q / params.parts;
    let part = q - o * params.parts;
    var at = (o * params.reduced + part) * params.inner + i;
    var sum = 0.0;
    for (var r = part; r < params.reduced; r += params.parts) {
        sum += x[at];
        at += params.parts * params.inner;
    }
    y[t] = sum;
}

// The same of 16-bit floats.
@compute @workgroup_size(WORKGROUP)
fn forward_half(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let t = linear_index(group, groups, local, WORKGROUP);
    if t >= params.outer * params.parts * params.inner {
        return;
    }
    let q = t / params.inner;
    let i = t - q * params.inner;
    let o = q / params.parts;
    let part = q - o * params.parts;
    var at = (o * params.reduced + part) * params.inner + i;
    var sum = 0.0;
    for (var r = part; r < params.reduced; r += params.parts) {
        sum += unpack_half(x_half[at >> 1u], at);
        at += params.parts * params.inner;
    }
    y[t] = sum;
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let t = linear_index(group, groups, local, WORKGROUP);
    if t >= params.outer * params.reduced * params.inner {
        return;
    }
    let q = t / params.inner;
    dx[t] = dy[(q / params.reduced) * params.inner + (t - q * params.inner)];
}
