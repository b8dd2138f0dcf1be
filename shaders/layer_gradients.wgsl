// The gradients of dense layers' parameters, any number of layers in a dispatch: a tile's number tells the layer. Behind
// matmul.wgsl and matmul_blocks.wgsl.
//
//   dW = Xᵀ·dZ: X is A, dZ is B;   db = Σ rows of dZ, added up by the tiles of dW's first rows while they have dZ at hand
//
// What becomes of a gradient, `put(at, g)` with the place of its parameter among all of them, says
// layer_gradients_slab.wgsl or layer_gradients_adam.wgsl, which stands behind this. Only the first layer's rows may be gathered.
//
// What depends on the layers stands behind that, written by src/op/matmul/layer_gradients/text.rs:
//   operand_0, …     what X and dZ lie in: several of them may lie in one, which is how any number of layers fits the
//                    storage buffers of a dispatch
//   load_a, load_b   a quad of the operand in which X, or dZ, of the layer at hand lies
//   begin            the layer of a tile, by `begin_layer`
//
// Tried and rejected: db as a row more of dW, that of a column of ones behind X. It costs a row of tiles where the inputs are
// a multiple of the tile's rows: a quarter more products for 64 inputs.

override GATHER: bool = false; // row r of the first X is row indices[r] of what is bound

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;

const NO_BIAS = 0xffffffffu;

// Where the parameters of the layer at hand lie: W, and b or NO_BIAS.
struct Layer {
    kernel_at: u32,
    bias_at: u32,
}

// Where a matrix lies: the operand, and the quad of it at which the matrix begins.
struct Part {
    operand: u32,
    quad: u32,
}

var<private> number: u32;
var<private> layer: Layer;
var<private> x: Part;
var<private> dz: Part;

fn row_of_a(row: u32) -> u32 {
    if GATHER && number == 0u { return min(indices[row], params.last); }
    return row;
}

fn row_of_b(row: u32) -> u32 {
    return row;
}

// Layer `which`, W [inputs,units], with X and dZ; `tile` counts from its first.
fn begin_layer(which: u32, tile: u32, inputs: u32, units: u32, parameters: Layer, of_x: Part, of_dz: Part) -> Problem {
    number = which;
    layer = parameters;
    x = of_x;
    dz = of_dz;
    return Problem(inputs, units, params.k, 0u, params.k, params.k, (units + TILE_N - 1u) / TILE_N, tile);
}

fn store_block(split: u32, i: u32, j: u32, step: u32, v: mat4x4<f32>) {
    store_elements(split, i, j, step, v);
}

fn store(split: u32, i: u32, j: u32, g: f32) {
    if i < problem.m { put(layer.kernel_at + i * problem.n + j, g); }
}

fn store_sums(j: u32, step: u32, sums: vec4<f32>) {
    for (var q = 0u; q < 4u && j + q * step < problem.n; q++) {
        if layer.bias_at != NO_BIAS { put(layer.bias_at + j + q * step, sums[q]); }
    }
}
