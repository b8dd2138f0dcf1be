// The operands of several layers' updates, which share a dispatch: a tile's number tells the layer. X is A, dZ is B.
// Behind matmul_update.wgsl. Only the first layer's rows may be gathered.
//
// What depends on the layers stands behind this, written by src/op/matmul/update/text.rs:
//   operand_0, …     what X and dZ lie in: several of them may lie in one, which is how any number of layers fits the
//                    storage buffers of a dispatch; w, m, v behind them
//   load_a, load_b   a quad of the operand in which X, or dZ, of the layer at hand lies
//   begin            the layer of a tile, by `begin_layer`

struct Params {
    k: u32,
    tiles: u32, // of all layers
    last: u32,  // the last row of the first X that an index may name, with GATHER
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
}

override GATHER: u32 = 0; // 1: row r of the first X is row indices[r] of what is bound

// Where a matrix lies: the operand, and the quad of it at which the matrix begins.
struct Part {
    operand: u32,
    quad: u32,
}

var<private> number: u32;
var<private> x: Part;
var<private> dz: Part;

fn row_of_a(row: u32) -> u32 {
    if GATHER == 1u && number == 0u { return min(indices[row], params.last); }
    return row;
}

fn row_of_b(row: u32) -> u32 {
    return row;
}

// Layer `which` with C [rows,units], X and dZ; `tile` counts from its first. Gives the tile back.
fn begin_layer(which: u32, tile: u32, rows: u32, units: u32, parameters: Layer, of_x: Part, of_dz: Part) -> u32 {
    number = which;
    layer = parameters;
    x = of_x;
    dz = of_dz;
    problem = Problem(rows, units, params.k, 0u, params.k, params.k, (units + TILE_N - 1u) / TILE_N,
                      layer.inputs, units);
    return tile;
}
