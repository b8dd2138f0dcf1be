// y[o, j, i] = x[o, k, i] with k = indices[j], or where EACH k = indices[o, j, i], and its gradient dx[o, k, i] = Σⱼ dy[o, j, i]
// over the j whose index is k. An index beyond the last element stands for the last.
//
// x, dx: [outer, len, inner]; y, dy: [outer, taken, inner]. Backward, an invocation to an element of dx looks for the j that
// are its own, from `first` to `end`, always in this order: no atomics, the same bits in every run. A long search takes
// several passes, of which all but the first ADD to what is there.

struct Params {
    outer: u32,
    len: u32,
    inner: u32,
    taken: u32,
    first: u32,
    end: u32,
}

override EACH: bool = false;
override ADD: bool = false;
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let t = linear_index(group, groups, local, WORKGROUP);
    if t >= params.outer * params.taken * params.inner {
        return;
    }
    let q = t / params.inner;
    let o = q / params.taken;
    let k = min(indices[select(q - o * params.taken, t, EACH)], params.len - 1u);
    y[t] = x[(o * params.len + k) * params.inner + t - q * params.inner];
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let t = linear_index(group, groups, local, WORKGROUP);
    if t >= params.outer * params.len * params.inner {
        return;
    }
    let q = t / params.inner;
    let i = t - q * params.inner;
    let o = q / params.len;
    let k = q - o * params.len;
    var sum = 0.0;
    for (var j = params.first; j < params.end; j++) {
        let at = (o * params.taken + j) * params.inner + i;
        if min(indices[select(j, at, EACH)], params.len - 1u) == k {
            sum += dy[at];
        }
    }
    if ADD {
        sum += dx[t];
    }
    dx[t] = sum;
}
