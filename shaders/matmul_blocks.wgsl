// What the matrix-product kernels share, appended to each: the reading of 4×4 blocks in
// any transposition. Where A and B lie (`load_a`, `load_b`, `row_of_a`, `row_of_b`) and what becomes of C (`begin`, `store_block`) is
// the business of the parts behind this one: matmul_store.wgsl, or layer_gradients.wgsl with its own.

// One product of those that a dispatch computes: usually the only one.
struct Problem {
    m: u32,
    n: u32,
    k: u32,
    k_begin: u32, // first p of this dispatch, a multiple of 4
    k_end: u32,   // one past the last p of this dispatch
    k_chunk: u32, // length of one split of k_begin..k_end, a multiple of 4; workgroup z takes split z
    tiles_n: u32, // tiles along n
    tile: u32,    // the tile of C at hand
}

// What `begin` of the part behind says of a workgroup's tile. Loops with barriers take their ends from its result, not from
// here: what is read from a private variable may differ between invocations, as far as WGSL knows.
var<private> problem: Problem;

override TA: bool = false;         // A is stored [k,m]
override TB: bool = false;         // B is stored [n,k]
override A_VEC: bool = false;      // rows of the stored A are multiples of 4
override B_VEC: bool = false;      // rows of the stored B are multiples of 4
override K_TAIL: bool = true;      // some step reads past k_end

// ---- 4×4 blocks: a matrix holds a block's rows as its columns -------------------------------------------------------

// c + Σ_p a_p · (row p of b), p ascending
fn row_product(c: vec4<f32>, a: vec4<f32>, b: mat4x4<f32>) -> vec4<f32> {
    return fma(vec4(a.w), b[3], fma(vec4(a.z), b[2], fma(vec4(a.y), b[1], fma(vec4(a.x), b[0], c))));
}

fn add_product(c: mat4x4<f32>, a: mat4x4<f32>, b: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(row_product(c[0], a[0], b), row_product(c[1], a[1], b),
                  row_product(c[2], a[2], b), row_product(c[3], a[3], b));
}

fn add_rows(c: vec4<f32>, b: mat4x4<f32>) -> vec4<f32> {
    return c + b[0] + b[1] + b[2] + b[3];
}

// ---- reading four neighbours of a stored row ------------------------------------------------------------------------
// Past the end of m or n the last element is read again: its products are never stored. Past `end` along k zero is read.

fn quad_of_a(row: u32, col: u32, len: u32) -> vec4<f32> {
    let start = row_of_a(row) * len;
    if A_VEC { return load_a((start + min(col, len - 4u)) >> 2u); }
    let i = start + min(col + vec4(0u, 1u, 2u, 3u), vec4(len - 1u));
    return vec4(load_a(i.x >> 2u)[i.x & 3u], load_a(i.y >> 2u)[i.y & 3u], load_a(i.z >> 2u)[i.z & 3u], load_a(i.w >> 2u)[i.w & 3u]);
}

fn quad_of_b(row: u32, col: u32, len: u32) -> vec4<f32> {
    let start = row_of_b(row) * len;
    if B_VEC { return load_b((start + min(col, len - 4u)) >> 2u); }
    let i = start + min(col + vec4(0u, 1u, 2u, 3u), vec4(len - 1u));
    return vec4(load_b(i.x >> 2u)[i.x & 3u], load_b(i.y >> 2u)[i.y & 3u], load_b(i.z >> 2u)[i.z & 3u], load_b(i.w >> 2u)[i.w & 3u]);
}

// v holds the values at p, p+1, p+2, p+3
fn before_end(v: vec4<f32>, p: u32, end: u32) -> vec4<f32> {
    if !K_TAIL { return v; }
    return select(vec4<f32>(), v, p + vec4(0u, 1u, 2u, 3u) < vec4(end));
}

// Stored rows run along k: the quad at (i, p..p+3) of op(A), and at (p..p+3, j) of op(B).
fn a_along_k(i: u32, p: u32, end: u32) -> vec4<f32> {
    return before_end(quad_of_a(min(i, problem.m - 1u), p, problem.k), p, end);
}

fn b_along_k(p: u32, j: u32, end: u32) -> vec4<f32> {
    return before_end(quad_of_b(min(j, problem.n - 1u), p, problem.k), p, end);
}

// Stored rows run along m or n: the quad at (i..i+3, p) of op(A), and at (p, j..j+3) of op(B).
fn a_along_m(i: u32, p: u32, end: u32) -> vec4<f32> {
    let row = select(p, min(p, problem.k - 1u), K_TAIL);
    var v = quad_of_a(row, i, problem.m);
    if K_TAIL { v = select(vec4<f32>(), v, p < end); }
    return v;
}

fn b_along_n(p: u32, j: u32, end: u32) -> vec4<f32> {
    let row = select(p, min(p, problem.k - 1u), K_TAIL);
    var v = quad_of_b(row, j, problem.n);
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

// ---- writing C ------------------------------------------------------------------------------------------------------

// Rows i..i+3, columns j, j + step, j + 2·step, j + 3·step, as far as they exist, by `store` of the part behind. A loop, not four copies: a store is
// long code on a CPU adapter, and this takes 0.1 s off its compilation.
fn store_elements(split: u32, i: u32, j: u32, step: u32, v: mat4x4<f32>) {
    for (var q = 0u; q < 4u && j + q * step < problem.n; q++) {
        store(split, i, j + q * step, v[0][q]);
        store(split, i + 1u, j + q * step, v[1][q]);
        store(split, i + 2u, j + q * step, v[2][q]);
        store(split, i + 3u, j + q * step, v[3][q]);
    }
}
