// y = a ∘ b for ∘ in +, −, ×, ÷, max, min, ≥, >, =, power, element by element, dimensions of size one repeated.
//
// y: up to four dimensions d0…d3, `len` elements; a and b: the same or smaller, addressed by strides that are 0 where a
// dimension is repeated. The variant SAME is for equal shapes and takes four elements an invocation.

struct Params {
    len: u32,
    d1: u32, d2: u32, d3: u32,
    a0: u32, a1: u32, a2: u32, a3: u32,
    b0: u32, b1: u32, b2: u32, b3: u32,
}

// The numbers of `Operator` in src/op/binary.rs.
override OPERATOR: u32 = 0u;
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@group(0) @binding(1) var<storage, read> a4: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y4: array<vec4<f32>>;

fn are_nan(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4(0x7fffffffu)) > vec4(0x7f800000u);
}

// `chosen`, or a NaN where one of the two is: the builtins lose it.
fn with_nan(chosen: vec4<f32>, a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(select(chosen, b, are_nan(b)), a, are_nan(a));
}

fn apply(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    switch OPERATOR {
        case 0u: { return a + b; }
        case 1u: { return a - b; }
        case 2u: { return a * b; }
        case 3u: { return a / b; }
        case 4u: { return with_nan(select(a, b, b > a), a, b); }
        case 5u: { return with_nan(select(a, b, b < a), a, b); }
        case 6u: { return select(vec4(0.0), vec4(1.0), a >= b); }
        case 7u: { return select(vec4(0.0), vec4(1.0), a > b); }
        case 8u: { return select(vec4(0.0), vec4(1.0), a == b); }
        default: {
            let y = vec4(power(a.x, b.x), power(a.y, b.y), power(a.z, b.z), power(a.w, b.w));
            return with_nan(y, a, b);
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward_same(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    y4[i] = keep_tail(apply(a4[i], b4[i]), y4[i], params.len - i * 4u);
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i >= params.len {
        return;
    }
    let q3 = i / params.d3;
    let i3 = i - q3 * params.d3;
    let q2 = q3 / params.d2;
    let i2 = q3 - q2 * params.d2;
    let i0 = q2 / params.d1;
    let i1 = q2 - i0 * params.d1;
    let a_at = i0 * params.a0 + i1 * params.a1 + i2 * params.a2 + i3 * params.a3;
    let b_at = i0 * params.b0 + i1 * params.b1 + i2 * params.b2 + i3 * params.b3;
    y[i] = apply(vec4(a[a_at]), vec4(b[b_at])).x;
}
