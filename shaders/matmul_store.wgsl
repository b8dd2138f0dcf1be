// C stored: the end of a matrix product, with bias and function where a dense layer asks for them. Behind matmul_blocks.wgsl.
//
//   C = f(op(A)·op(B) + bias)         BIAS, FUNCTION: a layer's forward pass
//   C = op(A)·op(B) ⊙ f′(saved)       SLOPE: the gradient that enters the layer before
//
// bias: [columns of C], saved: as C. What is not asked for is bound to anything and never read.

override TC: bool = false;         // C is stored [n,m]
override ACCUMULATE: bool = false; // C += instead of C =
override BIAS: bool = false;
override FUNCTION: u32 = 255;      // see functions.wgsl; 255: none
override SLOPE: bool = false;

@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> saved: array<f32>;
@group(0) @binding(6) var<storage, read_write> c: array<f32>;

fn store(split: u32, i: u32, j: u32, x: f32) {
    if i >= params.m { return; }
    let at = split * params.m * params.n + select(i * params.n + j, j * params.m + i, TC);
    var y = x;
    if ACCUMULATE { y += c[at]; }
    if BIAS { y += bias[select(j, i, TC)]; }
    if SLOPE {
        y *= slope_of(FUNCTION, saved[at], params.constant);
    } else if FUNCTION != 255u {
        y = value_of(FUNCTION, y, params.constant);
    }
    c[at] = y;
}

// Rows i..i+3, columns j, j + step, j + 2·step, j + 3·step, as far as they exist. A loop, not four copies: a store is
// long code on a CPU adapter, and this takes 0.1 s off its compilation.
fn store_block(split: u32, i: u32, j: u32, step: u32, v: mat4x4<f32>) {
    for (var q = 0u; q < 4u && j + q * step < params.n; q++) {
        store(split, i, j + q * step, v[0][q]);
        store(split, i + 1u, j + q * step, v[1][q]);
        store(split, i + 2u, j + q * step, v[2][q]);
        store(split, i + 3u, j + q * step, v[3][q]);
    }
}
