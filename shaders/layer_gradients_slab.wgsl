// Gradients that are stored: g, the slab of all parameters' gradients. Behind layer_gradients.wgsl.

struct Params {
    k: u32,
    tiles: u32, // of all layers
    last: u32,  // the last row of the first X that an index may name, with GATHER
}

@group(0) @binding(2) var<storage, read_write> g: array<f32>;

fn put(at: u32, gradient: f32) {
    g[at] = gradient;
}
