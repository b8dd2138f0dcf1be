// The operands of one layer's update: X is A, or B with TC. Behind matmul_update.wgsl.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    tiles_n: u32,
    tiles: u32,
    inputs: u32,
    kernel_at: u32,
    bias_at: u32,
    last: u32, // the last row of X that an index may name, with GATHER
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
    a_at: u32, // where A and B begin in what is bound, in quads
    b_at: u32,
}

override GATHER: u32 = 0; // 1: row r of A is row indices[r] of what is bound; 2: the same of B

@group(0) @binding(3) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> w: array<f32>;
@group(0) @binding(6) var<storage, read_write> m: array<f32>;
@group(0) @binding(7) var<storage, read_write> v: array<f32>;

fn load_a(quad: u32) -> vec4<f32> {
    return a[params.a_at + quad];
}

fn load_b(quad: u32) -> vec4<f32> {
    return b[params.b_at + quad];
}

fn row_of_a(row: u32) -> u32 {
    if GATHER == 1u { return min(indices[row], params.last); }
    return row;
}

fn row_of_b(row: u32) -> u32 {
    if GATHER == 2u { return min(indices[row], params.last); }
    return row;
}

fn begin(tile: u32) -> u32 {
    problem = Problem(params.m, params.n, params.k, 0u, params.k, params.k, params.tiles_n,
                      select(params.inputs, params.m, TC), select(params.n, params.inputs, TC));
    layer = Layer(params.inputs, params.kernel_at, params.bias_at);
    return tile;
}
