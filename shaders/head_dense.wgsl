// The outputs that a head reads, computed from the last layer's input: y = x·W + b, a few columns wide. Behind head.wgsl.
//
// x: [batch, inputs] or, with GATHER_X, [rows of the data, inputs]; w: [inputs, columns]; bias: [columns]. An invocation
// computes whole elements of the rows that its workgroup has at a time, into workgroup memory: neighbours share a row of x, a
// quad of which they load together, and read neighbouring columns of W. x itself is in head_single.wgsl or head_half.wgsl.

override GATHER_X: bool = false;
override BIAS: bool = false;
override X_VEC: bool = false; // rows of x are multiples of 4
// Elements of the rows at a time.
override TILE: u32 = 32u;

@group(0) @binding(5) var<storage, read> w: array<f32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> ring: array<f32>;
@group(0) @binding(8) var<storage, read_write> dy: array<f32>;

var<workgroup> tile: array<f32, TILE>;
// The element of y that the tile begins with.
var<private> tile_start: u32;

// Of an invocation without a row, whose number is never used, the tile may hold no such element.
fn number(i: u32) -> f32 {
    return tile[min(i - tile_start, TILE - 1u)];
}

fn quad_of_x(start: u32, k: u32) -> vec4<f32> {
    if X_VEC { return load_x((start + k) >> 2u); }
    let i = start + min(k + vec4(0u, 1u, 2u, 3u), vec4(params.inputs - 1u));
    return vec4(load_x(i.x >> 2u)[i.x & 3u], load_x(i.y >> 2u)[i.y & 3u], load_x(i.z >> 2u)[i.z & 3u], load_x(i.w >> 2u)[i.w & 3u]);
}

fn output(row: u32, column: u32) -> f32 {
    var at = row;
    if GATHER_X { at = min(indices[row], params.last_x); }
    let start = at * params.inputs;
    var sum = 0.0;
    for (var k = 0u; k < params.inputs; k += 4u) {
        let v = quad_of_x(start, k);
        for (var q = 0u; q < min(params.inputs - k, 4u); q++) {
            sum = fma(v[q], w[(k + q) * params.columns + column], sum);
        }
    }
    if BIAS { sum += bias[column]; }
    return sum;
}

// Computes the rows from `first` on, as many as a workgroup has at a time.
fn prepare(first: u32, local: u32) {
    // The tile before this one has been read.
    workgroupBarrier();
    for (var e = local; e < TILE; e += WORKGROUP) {
        let row = first + e / params.columns;
        if row < params.batch { tile[e] = output(row, e % params.columns); }
    }
    tile_start = first * params.columns;
    workgroupBarrier();
}
