// Gradients that are never stored: parameters take their step of Adam where their gradient is computed. Behind
// layer_gradients.wgsl.
//
//   m ← m + (g − m)(1 − β₁), v ← v + (g² − v)(1 − β₂), w ← w − α·m/(√v + ε), as in adam.wgsl
//
// w, m, v: slabs of all parameters and their states.

struct Params {
    k: u32,
    tiles: u32, // of all layers
    last: u32,  // the last row of the first X that an index may name, with GATHER
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
}

@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;
// x: the learning rate, y: β₁ᵗ, z: β₂ᵗ.
@group(0) @binding(5) var<storage, read> rates: vec4<f32>;

fn put(at: u32, g: f32) {
    let alpha = rates.x * sqrt(1.0 - rates.z) / (1.0 - rates.y);
    let mean = m[at] + (g - m[at]) * params.rate_1;
    let square = v[at] + (g * g - v[at]) * params.rate_2;
    m[at] = mean;
    v[at] = square;
    w[at] -= mean * alpha / (sqrt(square) + params.epsilon);
}
