// The operands of up to three layers' updates, which share a dispatch: a tile's number tells the layer. X is A, dZ is B.
// Behind matmul_update.wgsl. Only the first layer's rows may be gathered.

struct Params {
    k: u32,
    tiles: u32, // of all layers
    inputs_0: u32,
    rows_0: u32,
    units_0: u32,
    kernel_at_0: u32,
    bias_at_0: u32,
    end_0: u32, // one past its last tile
    inputs_1: u32,
    rows_1: u32,
    units_1: u32,
    kernel_at_1: u32,
    bias_at_1: u32,
    end_1: u32, // one past its last tile
    inputs_2: u32,
    rows_2: u32,
    units_2: u32,
    kernel_at_2: u32,
    bias_at_2: u32,
    end_2: u32, // one past its last tile
    last: u32,  // the last row of the first X that an index may name, with GATHER
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
}

override GATHER: u32 = 0; // 1: row r of the first X is row indices[r] of what is bound

@group(0) @binding(3) var<storage, read> x_0: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> dz_0: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> x_1: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> dz_1: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read> x_2: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> dz_2: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> w: array<f32>;
@group(0) @binding(10) var<storage, read_write> m: array<f32>;
@group(0) @binding(11) var<storage, read_write> v: array<f32>;

var<private> number: u32;

fn load_a(quad: u32) -> vec4<f32> {
    switch number {
        case 1u: { return x_1[quad]; }
        case 2u: { return x_2[quad]; }
        default: { return x_0[quad]; }
    }
}

fn load_b(quad: u32) -> vec4<f32> {
    switch number {
        case 1u: { return dz_1[quad]; }
        case 2u: { return dz_2[quad]; }
        default: { return dz_0[quad]; }
    }
}

fn row_of_a(row: u32) -> u32 {
    if GATHER == 1u && number == 0u { return min(indices[row], params.last); }
    return row;
}

fn row_of_b(row: u32) -> u32 {
    return row;
}

fn begin(tile: u32) -> u32 {
    if tile < params.end_0 {
        number = 0u;
        layer = Layer(params.inputs_0, params.kernel_at_0, params.bias_at_0);
        return begin_layer(params.rows_0, params.units_0, tile);
    }
    if tile < params.end_1 {
        number = 1u;
        layer = Layer(params.inputs_1, params.kernel_at_1, params.bias_at_1);
        return begin_layer(params.rows_1, params.units_1, tile - params.end_0);
    }
    number = 2u;
    layer = Layer(params.inputs_2, params.kernel_at_2, params.bias_at_2);
    return begin_layer(params.rows_2, params.units_2, tile - params.end_1);
}

fn begin_layer(rows: u32, units: u32, tile: u32) -> u32 {
    problem = Problem(rows, units, params.k, 0u, params.k, params.k, (units + TILE_N - 1u) / TILE_N,
                      layer.inputs, units);
    return tile;
}
