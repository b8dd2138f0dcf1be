// C stored: the end of a matrix product, with bias and function where a dense layer asks for them. Behind matmul_blocks.wgsl.
//
//   C = f(op(A)·op(B) + bias)         BIAS: a layer's forward pass
//   C = op(A)·op(B) ⊙ f′(saved)       SLOPE: the gradient that enters the layer before
//
// bias: [columns of C], saved: as C. What is not asked for is bound to anything and never read.
//
// A, B, saved and C may be 16-bit floats, each by itself, where a plan stores activations so; everything is computed in f32
// and C rounded once. Hence the bindings are words. A quad of f16 is half of what is loaded for it, the other half of which is
// its neighbour's: one load for either type. C as f16 is written in whole words: its stored rows are even, so rows of a
// block hold pairs, and its sums are whole (no splits, no passes over k).

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
    // Settings of the function that C ends in: see functions.wgsl.
    first: f32,
    second: f32,
    third: f32,
}

override GATHER: u32 = 0;          // 1: stored row r of A is row indices[r] of what is bound; 2: the same of B
override TC: bool = false;         // C is stored [n,m]
override ACCUMULATE: bool = false; // C += instead of C =; C is f32 then
override BIAS: bool = false;
override SLOPE: bool = false;
override A_HALF: bool = false;     // which operands are f16
override B_HALF: bool = false;
override SAVED_HALF: bool = false;
override C_HALF: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> indices: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> saved: array<u32>;
@group(0) @binding(6) var<storage, read_write> c: array<u32>;

fn load_a(quad: u32) -> vec4<f32> {
    if A_HALF {
        let words = a[quad >> 1u];
        return unpack_halves(select(words.xy, words.zw, (quad & 1u) == 1u));
    }
    return bitcast<vec4<f32>>(a[quad]);
}

fn load_b(quad: u32) -> vec4<f32> {
    if B_HALF {
        let words = b[quad >> 1u];
        return unpack_halves(select(words.xy, words.zw, (quad & 1u) == 1u));
    }
    return bitcast<vec4<f32>>(b[quad]);
}

fn load_saved(at: u32) -> f32 {
    if SAVED_HALF { return unpack_half(saved[at >> 1u], at); }
    return bitcast<f32>(saved[at]);
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

fn begin(tile: u32) -> Problem {
    return Problem(params.m, params.n, params.k, params.k_begin, params.k_end, params.k_chunk, params.tiles_n, tile);
}

// What becomes of the sum at place `at` of C, in column `column` of C as stored.
fn end_of(x: f32, at: u32, column: u32) -> f32 {
    var y = x;
    if BIAS { y += bias[column]; }
    if SLOPE {
        y *= slope_of(load_saved(at), vec3(params.first, params.second, params.third));
    } else {
        y = value_of(y, vec3(params.first, params.second, params.third));
    }
    return y;
}

fn store(split: u32, i: u32, j: u32, x: f32) {
    if i >= params.m { return; }
    let at = split * params.m * params.n + select(i * params.n + j, j * params.m + i, TC);
    var y = x;
    if ACCUMULATE { y += bitcast<f32>(c[at]); }
    c[at] = bitcast<u32>(end_of(y, at, select(j, i, TC)));
}

// Four neighbours of a stored row of C, from an even column on, as far as they exist: in pairs.
fn store_pairs(row: u32, rows: u32, column: u32, columns: u32, x: vec4<f32>) {
    if row >= rows { return; }
    for (var q = 0u; q < 4u && column + q < columns; q += 2u) {
        let at = row * columns + column + q;
        let pair = vec2(end_of(x[q], at, column + q), end_of(x[q + 1u], at + 1u, column + q + 1u));
        c[at >> 1u] = pack_halves(pair);
    }
}

// Nothing behind a product asks for them: see layer_gradients.wgsl.
fn store_sums(j: u32, step: u32, sums: vec4<f32>) {}

// Rows i..i+3, columns j, j + step, j + 2·step, j + 3·step, as far as they exist; `step` is 1 where C is f16.
fn store_block(split: u32, i: u32, j: u32, step: u32, v: mat4x4<f32>) {
    if C_HALF {
        if TC {
            let t = transpose(v);
            store_pairs(j, params.n, i, params.m, t[0]);
            store_pairs(j + 1u, params.n, i, params.m, t[1]);
            store_pairs(j + 2u, params.n, i, params.m, t[2]);
            store_pairs(j + 3u, params.n, i, params.m, t[3]);
        } else {
            store_pairs(i, params.m, j, params.n, v[0]);
            store_pairs(i + 1u, params.m, j, params.n, v[1]);
            store_pairs(i + 2u, params.m, j, params.n, v[2]);
            store_pairs(i + 3u, params.m, j, params.n, v[3]);
        }
        return;
    }
    store_elements(split, i, j, step, v);
}
