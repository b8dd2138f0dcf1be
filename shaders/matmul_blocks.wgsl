// What the matrix-product kernels of matmul.wgsl and matmul_subgroup.wgsl share, appended to both: params, operands, and the
// reading of 4×4 blocks in any transposition. What becomes of C is the business of the part behind this one:
// matmul_store.wgsl or matmul_update.wgsl.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_begin: u32, // first p of this dispatch, a multiple of 4
    k_end: u32,   // one past the last p of this dispatch
    k_chunk: u32, // length of one split of k_begin..k_end, a multiple of 4; workgroup z takes split z
    tiles_n: u32, // tiles along n
    tiles: u32,   // all tiles of C; workgroups beyond it (the grid is folded) return
    last: u32,    // the last stored row that an index may name, with GATHER
    constant: f32, // of the function that C ends in: see functions.wgsl
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;

override TA: bool = false;         // A is stored [k,m]
override TB: bool = false;         // B is stored [n,k]
override A_VEC: bool = false;      // rows of the stored A are multiples of 4
override B_VEC: bool = false;      // rows of the stored B are multiples of 4
override K_TAIL: bool = true;      // some step reads past k_end
override GATHER: u32 = 0;          // 1: stored row r of A is row indices[r] of what is bound; 2: the same of B
override ONES: u32 = 0;            // 1: op(A) ends in a row of ones, 2: op(B) ends in a column of ones; not stored

// ---- 4×4 blocks: a matrix holds a block's rows as its columns -------------------------------------------------------

// c + Σ_p a_p · (row p of b), p ascending
fn row_product(c: vec4<f32>, a: vec4<f32>, b: mat4x4<f32>) -> vec4<f32> {
    return fma(vec4(a.w), b[3], fma(vec4(a.z), b[2], fma(vec4(a.y), b[1], fma(vec4(a.x), b[0], c))));
}

fn add_product(c: mat4x4<f32>, a: mat4x4<f32>, b: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(row_product(c[0], a[0], b), row_product(c[1], a[1], b),
                  row_product(c[2], a[2], b), row_product(c[3], a[3], b));
}

// ---- reading four neighbours of a stored row ------------------------------------------------------------------------
// Past the end of m or n the last element is read again: its products are never stored. Past `end` along k zero is read.

fn gathered(operand: u32, row: u32) -> u32 {
    if GATHER == operand { return min(indices[row], params.last); }
    return row;
}

fn quad_of_a(row: u32, col: u32, len: u32) -> vec4<f32> {
    let start = gathered(1u, row) * len;
    if A_VEC { return a[(start + min(col, len - 4u)) >> 2u]; }
    let i = start + min(col + vec4(0u, 1u, 2u, 3u), vec4(len - 1u));
    return vec4(a[i.x >> 2u][i.x & 3u], a[i.y >> 2u][i.y & 3u], a[i.z >> 2u][i.z & 3u], a[i.w >> 2u][i.w & 3u]);
}

fn quad_of_b(row: u32, col: u32, len: u32) -> vec4<f32> {
    let start = gathered(2u, row) * len;
    if B_VEC { return b[(start + min(col, len - 4u)) >> 2u]; }
    let i = start + min(col + vec4(0u, 1u, 2u, 3u), vec4(len - 1u));
    return vec4(b[i.x >> 2u][i.x & 3u], b[i.y >> 2u][i.y & 3u], b[i.z >> 2u][i.z & 3u], b[i.w >> 2u][i.w & 3u]);
}

// v holds the values at p, p+1, p+2, p+3
fn before_end(v: vec4<f32>, p: u32, end: u32) -> vec4<f32> {
    if !K_TAIL { return v; }
    return select(vec4<f32>(), v, p + vec4(0u, 1u, 2u, 3u) < vec4(end));
}

// Stored rows run along k: the quad at (i, p..p+3) of op(A), and at (p..p+3, j) of op(B).
fn a_along_k(i: u32, p: u32, end: u32) -> vec4<f32> {
    return before_end(quad_of_a(min(i, params.m - 1u), p, params.k), p, end);
}

fn b_along_k(p: u32, j: u32, end: u32) -> vec4<f32> {
    return before_end(quad_of_b(min(j, params.n - 1u), p, params.k), p, end);
}

// Stored rows run along m or n: the quad at (i..i+3, p) of op(A), and at (p, j..j+3) of op(B). With ONES the stored rows
// are one shorter than m or n, and the element behind them is 1.
fn a_along_m(i: u32, p: u32, end: u32) -> vec4<f32> {
    let len = params.m - select(0u, 1u, ONES == 1u);
    let row = select(p, min(p, params.k - 1u), K_TAIL);
    var v = quad_of_a(row, i, len);
    if ONES == 1u { v = select(v, vec4(1.0), i + vec4(0u, 1u, 2u, 3u) >= vec4(len)); }
    if K_TAIL { v = select(vec4<f32>(), v, p < end); }
    return v;
}

fn b_along_n(p: u32, j: u32, end: u32) -> vec4<f32> {
    let len = params.n - select(0u, 1u, ONES == 2u);
    let row = select(p, min(p, params.k - 1u), K_TAIL);
    var v = quad_of_b(row, j, len);
    if ONES == 2u { v = select(v, vec4(1.0), j + vec4(0u, 1u, 2u, 3u) >= vec4(len)); }
    if K_TAIL { v = select(vec4<f32>(), v, p < end); }
    return v;
}

fn block_of_b(p: u32, j: u32, end: u32) -> mat4x4<f32> {
    if TB {
        return transpose(mat4x4(b_along_k(p, j, end), b_along_k(p, j + 1u, end),
                                b_along_k(p, j + 2u, end), b_along_k(p, j + 3u, end)));
    }
    return mat4x4(b_along_n(p, j, end), b_along_n(p + 1u, j, end), b_along_n(p + 2u, j, end), b_along_n(p + 3u, j, end));
}
