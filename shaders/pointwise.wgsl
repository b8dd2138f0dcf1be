// y = f(x) element by element, and dx = dy·f′ from what the function saves: its input or its output.
//
// x, y, dy, dx: any shape, `len` elements, four to an invocation; the last invocation keeps what lies beyond the end.

struct Params {
    len: u32,
    // The function's settings: see functions.wgsl.
    first: f32,
    second: f32,
    third: f32,
}

override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@group(0) @binding(1) var<storage, read> saved: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let c = vec3(params.first, params.second, params.third);
    let v = x[i];
    let values = vec4(value_of(v.x, c), value_of(v.y, c),
                      value_of(v.z, c), value_of(v.w, c));
    y[i] = keep_tail(values, y[i], params.len - i * 4u);
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let c = vec3(params.first, params.second, params.third);
    let s = saved[i];
    let slope = vec4(slope_of(s.x, c), slope_of(s.y, c),
                     slope_of(s.z, c), slope_of(s.w, c));
    dx[i] = keep_tail(dy[i] * slope, dx[i], params.len - i * 4u);
}
