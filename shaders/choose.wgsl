// y = a where the condition is not 0, else b, element by element; backward dy where the condition is as asked for, else 0. A
// NaN is not 0. Copied bit by bit.

struct Params {
    len: u32,
}

// Whether backward keeps the elements whose condition is not 0, or the others.
override CHOSEN: bool = true;
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> condition: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<u32>;
@group(0) @binding(3) var<storage, read> b: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

@group(0) @binding(2) var<storage, read> dy: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<u32>;

// −0 is 0.
fn holds(i: u32) -> bool {
    return (condition[i] & 0x7fffffffu) != 0u;
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.len {
        return;
    }
    y[i] = select(b[i], a[i], holds(i));
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.len {
        return;
    }
    dx[i] = select(0u, dy[i], holds(i) == CHOSEN);
}
