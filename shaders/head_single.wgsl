// The last layer's input that head_dense.wgsl takes, in quads.

@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;

fn load_x(quad: u32) -> vec4<f32> {
    return x[quad];
}
