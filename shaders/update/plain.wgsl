// Updates without a sum of gradients and without an average of weights.

@group(0) @binding(4) var<storage, read_write> s0: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> s1: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> s2: array<vec4<f32>>;

fn collected(i: u32, gradient: vec4<f32>, count: u32) -> vec4<f32> {
    return gradient;
}

fn averaged(i: u32, before: vec4<f32>, after: vec4<f32>, count: u32) -> vec4<f32> {
    return after;
}
