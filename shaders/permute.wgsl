// y = x with its dimensions in another order, copied bit by bit, so that x may hold numbers or integers.
//
// y: up to six dimensions, the sizes of the last five in d1…d5; s0…s5: the strides in x of y's dimensions. Dimensions
// that stay side by side are one, and those of size one none. Writes are contiguous, reads are gathered.

struct Params {
    len: u32,
    d1: u32, d2: u32, d3: u32, d4: u32, d5: u32,
    s0: u32, s1: u32, s2: u32, s3: u32, s4: u32, s5: u32,
}

override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.len {
        return;
    }
    let q5 = i / params.d5;
    let q4 = q5 / params.d4;
    let q3 = q4 / params.d3;
    let q2 = q3 / params.d2;
    let q1 = q2 / params.d1;
    y[i] = x[q1 * params.s0
        + (q2 - q1 * params.d1) * params.s1
        + (q3 - q2 * params.d2) * params.s2
        + (q4 - q3 * params.d3) * params.s3
        + (q5 - q4 * params.d4) * params.s4
        + (i - q5 * params.d5) * params.s5];
}
