// C as a gradient that is never stored: parameters take their step of Adam where their gradient is computed. Behind
// matmul_blocks.wgsl, before matmul_update_one.wgsl or matmul_update_many.wgsl, which say where A and B lie.
//
//   C = [X | 1]ᵀ·dZ: row i of C is the gradient of row i of W, the last one, of the ones, that of b
//   m ← m + (g − m)(1 − β₁), v ← v + (g² − v)(1 − β₂), w ← w − α·m/(√v + ε), as in adam.wgsl
//
// w, m, v: slabs of all parameters, in which a layer's W and b begin at `kernel_at` and `bias_at`.

// Where the parameters of the layer at hand lie, and how many rows of C are W's.
struct Layer {
    inputs: u32,
    kernel_at: u32,
    bias_at: u32,
}

var<private> layer: Layer;

override TC: bool = false; // C is stored [n,m]

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
// x: the learning rate, y: β₁ᵗ, z: β₂ᵗ.
@group(0) @binding(2) var<storage, read> rates: vec4<f32>;

fn store_block(split: u32, i: u32, j: u32, step: u32, v: mat4x4<f32>) {
    store_elements(split, i, j, step, v);
}

fn store(split: u32, i: u32, j: u32, g: f32) {
    if i >= problem.m { return; }
    let row = select(i, j, TC);
    let column = select(j, i, TC);
    let columns = select(problem.n, problem.m, TC);
    var at = layer.kernel_at + row * columns + column;
    if row >= layer.inputs { at = layer.bias_at + column; }
    let alpha = rates.x * sqrt(1.0 - rates.z) / (1.0 - rates.y);
    let mean = m[at] + (g - m[at]) * params.rate_1;
    let square = v[at] + (g * g - v[at]) * params.rate_2;
    m[at] = mean;
    v[at] = square;
    w[at] -= mean * alpha / (sqrt(square) + params.epsilon);
}
