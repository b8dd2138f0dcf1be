// y = f(x) element by element, and dx = dy·f′ from what the function saves: its input or its output.
//
// x, y, dy, dx: any shape, `len` elements, four to an invocation; the last invocation keeps what lies behind the end.

struct Params {
    len: u32,
    // The slope of leaky ReLU, the factor of scale, the offset of offset.
    constant: f32,
}

// The numbers of `Function` in src/op/pointwise.rs.
override FUNCTION: u32 = 0u;
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@group(0) @binding(1) var<storage, read> saved: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

fn value(x: f32) -> f32 {
    switch FUNCTION {
        case 0u: { return sigmoid(x); }
        case 1u: { return tanh_accurate(x); }
        case 2u: { return keep_nan(x, select(x, 0.0, x < 0.0)); }
        case 3u: { return select(x, params.constant * x, x < 0.0); }
        case 4u: { return keep_nan(x, exp(x)); }
        case 5u: { return keep_nan(x, log(x)); }
        case 6u: { return keep_nan(x, sqrt(x)); }
        case 7u: { return x * x; }
        case 8u: { return abs(x); }
        case 9u: { return -x; }
        case 10u: { return params.constant * x; }
        default: { return x + params.constant; }
    }
}

// f′ from the saved value s.
fn derivative(s: f32) -> f32 {
    switch FUNCTION {
        case 0u: { return s * (1.0 - s); }
        case 1u: { return 1.0 - s * s; }
        case 2u: { return keep_nan(s, select(0.0, 1.0, s > 0.0)); }
        case 3u: { return keep_nan(s, select(params.constant, 1.0, s > 0.0)); }
        case 4u: { return s; }
        case 5u: { return 1.0 / s; }
        case 6u: { return 0.5 / s; }
        case 7u: { return 2.0 * s; }
        case 8u: { return keep_nan(s, sign(s)); }
        case 9u: { return -1.0; }
        case 10u: { return params.constant; }
        default: { return 1.0; }
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let v = x[i];
    y[i] = keep_tail(vec4(value(v.x), value(v.y), value(v.z), value(v.w)), y[i], params.len - i * 4u);
}

@compute @workgroup_size(WORKGROUP)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let s = saved[i];
    let slope = vec4(derivative(s.x), derivative(s.y), derivative(s.z), derivative(s.w));
    dx[i] = keep_tail(dy[i] * slope, dx[i], params.len - i * 4u);
}
