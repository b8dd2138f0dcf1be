// C stored: the end of a matrix product, with bias and function where a dense layer asks for them. Behind matmul_blocks.wgsl.
//
//   C = f(op(A)·op(B) + bias)         BIAS, FUNCTION: a layer's forward pass
//   C = op(A)·op(B) ⊙ f′(saved)       SLOPE: the gradient that enters the layer before
//
// bias: [columns of C], saved: as C. What is not asked for is bound to anything and never read.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_begin: u32, // see `Problem`
    k_end: u32,
    k_chunk: u32,
    tiles_n: u32,
    tiles: u32,    // all tiles of C; workgroups beyond it (the grid is folded) return
    last: u32,     // the last stored row that an index may name, with GATHER
    // Constants of the function that C ends in: see functions.wgsl.
    first: f32,
    second: f32,
    third: f32,
}

override GATHER: u32 = 0;          // 1: stored row r of A is row indices[r] of what is bound; 2: the same of B
override TC: bool = false;         // C is stored [n,m]
override ACCUMULATE: bool = false; // C += instead of C =
override BIAS: bool = false;
override FUNCTION: u32 = 255;      // see functions.wgsl; 255: none
override SLOPE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> saved: array<f32>;
@group(0) @binding(6) var<storage, read_write> c: array<f32>;

fn load_a(quad: u32) -> vec4<f32> {
    return a[quad];
}

fn load_b(quad: u32) -> vec4<f32> {
    return b[quad];
}

fn gathered(row: u32) -> u32 {
    return min(indices[row], params.last);
}

fn row_of_a(row: u32) -> u32 {
    if GATHER == 1u { return gathered(row); }
    return row;
}

fn row_of_b(row: u32) -> u32 {
    if GATHER == 2u { return gathered(row); }
    return row;
}

fn begin(tile: u32) -> u32 {
    problem = Problem(params.m, params.n, params.k, params.k_begin, params.k_end, params.k_chunk, params.tiles_n,
                      params.m, params.n);
    return tile;
}

fn store(split: u32, i: u32, j: u32, x: f32) {
    if i >= params.m { return; }
    let at = split * params.m * params.n + select(i * params.n + j, j * params.m + i, TC);
    var y = x;
    if ACCUMULATE { y += c[at]; }
    if BIAS { y += bias[select(j, i, TC)]; }
    if SLOPE {
        y *= slope_of(FUNCTION, saved[at], vec3(params.first, params.second, params.third));
    } else if FUNCTION != 255u {
        y = value_of(FUNCTION, y, vec3(params.first, params.second, params.third));
    }
    c[at] = y;
}
