// C = op(A)·op(B) for CPU adapters with subgroups: the lanes load A once between them and share it.
//
//   C [m,n]   c_ij = Σ_p op(A)_ip · op(B)_pj,  p ascending in fours, so the same bits on every run
//   op(A) [m,k], stored [k,m] with TA;  op(B) [k,n], stored [n,k] with TB;  all row-major f32
//
// Needs Features::SUBGROUP and an adapter whose smallest and largest subgroup are both LANES: a workgroup is exactly one
// subgroup. A device without the feature refuses the whole module, so this is a file of its own; params, overrides, the
// contract with the host and the readers of quads are those of matmul.wgsl, whose `combine` sums the splits.
//
// A tile is ROWS × 4·LANES of C. A lane owns four columns of every row: it loads its own four quads of op(B) a step of
// four k, and its share, ROWS / LANES quads, of op(A), which the others take from it by shuffles with constant indices.
// So nothing is loaded twice in a tile: a step loads ROWS/8 + 4 quads a lane for 4·ROWS vec4 products (8 lanes).
//
// Measured on lavapipe 22.3.6 (8 lanes, AMD EPYC Zen 3, AVX2), GFLOP/s at 512³ NN / NT / TN, and compilation:
//   16 rows   4.8 / 5.1 / 5.0   0.30 s
//   32 rows   7.1 / 7.0 / 7.6   0.55 s     4 + 4 quads for 128 products: loads of A and B in balance
// `choose` cuts the rows evenly into tiles of at most 32. More shapes, and what was rejected: see matmul.wgsl.
// Named blocks c0…c7, because an array of them falls back to memory where a driver does not unroll its loop.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_begin: u32, // first p of this dispatch, a multiple of 4
    k_end: u32,   // one past the last p of this dispatch
    k_chunk: u32, // length of one split of k_begin..k_end, a multiple of 4; workgroup z takes split z
    tiles_n: u32, // tiles along n
    tiles: u32,   // all tiles of C; workgroups beyond it (the grid is folded) return
    splits: u32,  // of `combine`
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

override TA: bool = false;         // A is stored [k,m]
override TB: bool = false;         // B is stored [n,k]
override TC: bool = false;         // C is stored [n,m]
override A_VEC: bool = false;      // rows of the stored A are multiples of 4
override B_VEC: bool = false;      // rows of the stored B are multiples of 4
override K_TAIL: bool = true;      // some step reads past k_end
override ACCUMULATE: bool = false; // C += instead of C =

override ROWS: u32 = 32; // rows of a tile: a multiple of 4, at most 32
override LANES: u32 = 8; // the adapter's subgroup size, exactly; a power of two, at least 4

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

fn quad_of_a(row: u32, col: u32, len: u32) -> vec4<f32> {
    let start = row * len;
    if A_VEC { return a[(start + min(col, len - 4u)) >> 2u]; }
    let i = start + min(col + vec4(0u, 1u, 2u, 3u), vec4(len - 1u));
    return vec4(a[i.x >> 2u][i.x & 3u], a[i.y >> 2u][i.y & 3u], a[i.z >> 2u][i.z & 3u], a[i.w >> 2u][i.w & 3u]);
}

fn quad_of_b(row: u32, col: u32, len: u32) -> vec4<f32> {
    let start = row * len;
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

// Stored rows run along m or n: the quad at (i..i+3, p) of op(A), and at (p, j..j+3) of op(B).
fn a_along_m(i: u32, p: u32, end: u32) -> vec4<f32> {
    if !K_TAIL { return quad_of_a(p, i, params.m); }
    return select(vec4<f32>(), quad_of_a(min(p, params.k - 1u), i, params.m), p < end);
}

fn b_along_n(p: u32, j: u32, end: u32) -> vec4<f32> {
    if !K_TAIL { return quad_of_b(p, j, params.n); }
    return select(vec4<f32>(), quad_of_b(min(p, params.k - 1u), j, params.n), p < end);
}

fn block_of_b(p: u32, j: u32, end: u32) -> mat4x4<f32> {
    if TB {
        return transpose(mat4x4(b_along_k(p, j, end), b_along_k(p, j + 1u, end),
                                b_along_k(p, j + 2u, end), b_along_k(p, j + 3u, end)));
    }
    return mat4x4(b_along_n(p, j, end), b_along_n(p + 1u, j, end), b_along_n(p + 2u, j, end), b_along_n(p + 3u, j, end));
}

// ---- writing C ------------------------------------------------------------------------------------------------------

fn store(split: u32, i: u32, j: u32, x: f32) {
    if i >= params.m { return; }
    let at = split * params.m * params.n + select(i * params.n + j, j * params.m + i, TC);
    if ACCUMULATE { c[at] += x; } else { c[at] = x; }
}

// Rows i..i+3, columns j..j+3, as far as they exist.
fn store_block(split: u32, i: u32, j: u32, v: mat4x4<f32>) {
    for (var q = 0u; q < 4u && j + q < params.n; q++) {
        store(split, i, j + q, v[0][q]);
        store(split, i + 1u, j + q, v[1][q]);
        store(split, i + 2u, j + q, v[2][q]);
        store(split, i + 3u, j + q, v[3][q]);
    }
}

// ---- the lanes' share of A ------------------------------------------------------------------------------------------

// The ROWS quads of a step of four k, spread over the lanes: lane l holds quads l, l + LANES, l + 2·LANES, …
const MOST_QUADS = 8u; // ROWS / LANES of the tallest tile on the narrowest subgroup: 32 / 4
alias Quads = array<vec4<f32>, MOST_QUADS>;

// Quad q is row i + q along k, or, with TA, columns 4·(q mod ROWS/4) of stored row p + q / (ROWS/4).
fn load_quads(lane: u32, i: u32, p: u32, end: u32) -> Quads {
    var quads: Quads;
    for (var s = 0u; s < (ROWS + LANES - 1u) / LANES; s++) {
        let q = min(s * LANES + lane, ROWS - 1u);
        if TA {
            quads[s] = a_along_m(i + q % (ROWS / 4u) * 4u, p + q / (ROWS / 4u), end);
        } else {
            quads[s] = a_along_k(i + q, p, end);
        }
    }
    return quads;
}

fn quad(quads: Quads, q: u32) -> vec4<f32> {
    var local = quads; // naga indexes values by constants only
    return subgroupShuffle(local[q / LANES], q % LANES);
}

// Rows 4r..4r+3 of the tile.
fn block_of_a(quads: Quads, r: u32) -> mat4x4<f32> {
    if TA {
        let k_step = ROWS / 4u;
        return transpose(mat4x4(quad(quads, r), quad(quads, r + k_step),
                                quad(quads, r + 2u * k_step), quad(quads, r + 3u * k_step)));
    }
    return mat4x4(quad(quads, 4u * r), quad(quads, 4u * r + 1u), quad(quads, 4u * r + 2u), quad(quads, 4u * r + 3u));
}

@compute @workgroup_size(LANES)
fn lanes(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(subgroup_invocation_id) lane: u32) {
    let tile = group.y * groups.x + group.x;
    if tile >= params.tiles { return; }
    let tile_i = tile / params.tiles_n;
    let i = tile_i * ROWS;
    let j = ((tile - tile_i * params.tiles_n) * LANES + lane) * 4u;
    let begin = params.k_begin + group.z * params.k_chunk;
    let end = min(begin + params.k_chunk, params.k_end);

    var c0: mat4x4<f32>;
    var c1: mat4x4<f32>;
    var c2: mat4x4<f32>;
    var c3: mat4x4<f32>;
    var c4: mat4x4<f32>;
    var c5: mat4x4<f32>;
    var c6: mat4x4<f32>;
    var c7: mat4x4<f32>;
    for (var p = begin; p < end; p += 4u) {
        let quads = load_quads(lane, i, p, end);
        let rows_of_b = block_of_b(p, j, end);
        c0 = add_product(c0, block_of_a(quads, 0u), rows_of_b);
        if ROWS > 4u { c1 = add_product(c1, block_of_a(quads, 1u), rows_of_b); }
        if ROWS > 8u { c2 = add_product(c2, block_of_a(quads, 2u), rows_of_b); }
        if ROWS > 12u { c3 = add_product(c3, block_of_a(quads, 3u), rows_of_b); }
        if ROWS > 16u { c4 = add_product(c4, block_of_a(quads, 4u), rows_of_b); }
        if ROWS > 20u { c5 = add_product(c5, block_of_a(quads, 5u), rows_of_b); }
        if ROWS > 24u { c6 = add_product(c6, block_of_a(quads, 6u), rows_of_b); }
        if ROWS > 28u { c7 = add_product(c7, block_of_a(quads, 7u), rows_of_b); }
    }
    store_block(group.z, i, j, c0);
    if ROWS > 4u { store_block(group.z, i + 4u, j, c1); }
    if ROWS > 8u { store_block(group.z, i + 8u, j, c2); }
    if ROWS > 12u { store_block(group.z, i + 12u, j, c3); }
    if ROWS > 16u { store_block(group.z, i + 16u, j, c4); }
    if ROWS > 20u { store_block(group.z, i + 20u, j, c5); }
    if ROWS > 24u { store_block(group.z, i + 24u, j, c6); }
    if ROWS > 28u { store_block(group.z, i + 28u, j, c7); }
}
