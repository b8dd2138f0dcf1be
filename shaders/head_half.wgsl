// The last layer's input that head_dense.wgsl takes, in quads of 16-bit floats. halves.wgsl stands behind this text.

@group(0) @binding(4) var<storage, read> x: array<vec2<u32>>;

fn load_x(quad: u32) -> vec4<f32> {
    return unpack_halves(x[quad]);
}
