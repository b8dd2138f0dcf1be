// y[r, …] = data[indices[r], …]: rows of a data set, copied bit by bit, so that they may hold numbers or integers.
//
// indices: [rows]; data: CHUNKS bindings of whole rows, each but the last as long as the first, because a data set may
// be larger than one binding; y: [rows, …]. A row is `len` words, or `len` vec4s where that divides, which loads 2.5
// times as fast on lavapipe. No division anywhere: a grid of rows × elements, or for rows shorter than a vector of lanes
// a lane for each row, which copies all of it.
//
// `widen` and `widen_vec4` gather rows of bytes, four to a word, the first in its low bits, as numbers. Every row begins at
// a word, so that no invocation needs two words for one, and parts of a data set can be written wherever a row begins; this
// costs up to three bytes a row, none where 4 divides its length as with images of 784 or 3072 bytes. Here `len` counts the
// words of a row of data, and y has `elements` of it. Bytes are whole numbers below 256: the same f32 everywhere.

struct Params {
    rows: u32,
    len: u32,
    // Elements of a row of y.
    elements: u32,
    // The data set's last row, which stands for all indices behind it.
    last: u32,
    // The first rows of the second, third and fourth chunk.
    second: u32,
    third: u32,
    fourth: u32,
}

override CHUNKS: u32 = 1u;
// 1: a lane copies a whole row.
override SHORT: u32 = 0u;
// Lanes along x, and rows of them.
override WIDTH: u32 = 64u;
override HEIGHT: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> data_0: array<u32>;
@group(0) @binding(3) var<storage, read> data_1: array<u32>;
@group(0) @binding(4) var<storage, read> data_2: array<u32>;
@group(0) @binding(5) var<storage, read> data_3: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<u32>;

@group(0) @binding(2) var<storage, read> data4_0: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> data4_1: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> data4_2: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> data4_3: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> y4: array<vec4<u32>>;

// Where a row lies: its chunk, and the row's number in it.
struct Home {
    chunk: u32,
    row: u32,
}

fn home(index: u32) -> Home {
    let row = min(index, params.last);
    if CHUNKS > 3u && row >= params.fourth {
        return Home(3u, row - params.fourth);
    }
    if CHUNKS > 2u && row >= params.third {
        return Home(2u, row - params.third);
    }
    if CHUNKS > 1u && row >= params.second {
        return Home(1u, row - params.second);
    }
    return Home(0u, row);
}

fn word(chunk: u32, at: u32) -> u32 {
    if CHUNKS > 3u && chunk == 3u {
        return data_3[at];
    }
    if CHUNKS > 2u && chunk == 2u {
        return data_2[at];
    }
    if CHUNKS > 1u && chunk == 1u {
        return data_1[at];
    }
    return data_0[at];
}

fn words(chunk: u32, at: u32) -> vec4<u32> {
    if CHUNKS > 3u && chunk == 3u {
        return data4_3[at];
    }
    if CHUNKS > 2u && chunk == 2u {
        return data4_2[at];
    }
    if CHUNKS > 1u && chunk == 1u {
        return data4_1[at];
    }
    return data4_0[at];
}

// The row and the elements `first`, `first + step` … of it that an invocation copies.
struct Part {
    row: u32,
    first: u32,
    step: u32,
}

fn part(id: vec2<u32>) -> Part {
    if SHORT == 1u {
        return Part(id.x, 0u, 1u);
    }
    return Part(id.y, id.x, params.len);
}

@compute @workgroup_size(WIDTH, HEIGHT)
fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
    let p = part(id.xy);
    if p.row >= params.rows {
        return;
    }
    let place = home(indices[p.row]);
    for (var i = p.first; i < params.len; i += p.step) {
        y[p.row * params.len + i] = word(place.chunk, place.row * params.len + i);
    }
}

@compute @workgroup_size(WIDTH, HEIGHT)
fn forward_vec4(@builtin(global_invocation_id) id: vec3<u32>) {
    let p = part(id.xy);
    if p.row >= params.rows {
        return;
    }
    let place = home(indices[p.row]);
    for (var i = p.first; i < params.len; i += p.step) {
        y4[p.row * params.len + i] = words(place.chunk, place.row * params.len + i);
    }
}

// The bytes of a word as the bits of numbers.
fn numbers(word: u32) -> vec4<u32> {
    let bytes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return bitcast<vec4<u32>>(vec4<f32>(bytes));
}

@compute @workgroup_size(WIDTH, HEIGHT)
fn widen(@builtin(global_invocation_id) id: vec3<u32>) {
    let p = part(id.xy);
    if p.row >= params.rows {
        return;
    }
    let place = home(indices[p.row]);
    for (var i = p.first; i < params.len; i += p.step) {
        let four = numbers(word(place.chunk, place.row * params.len + i));
        let first = p.row * params.elements + i * 4u;
        let left = params.elements - i * 4u;
        y[first] = four.x;
        if left > 1u {
            y[first + 1u] = four.y;
        }
        if left > 2u {
            y[first + 2u] = four.z;
        }
        if left > 3u {
            y[first + 3u] = four.w;
        }
    }
}

@compute @workgroup_size(WIDTH, HEIGHT)
fn widen_vec4(@builtin(global_invocation_id) id: vec3<u32>) {
    let p = part(id.xy);
    if p.row >= params.rows {
        return;
    }
    let place = home(indices[p.row]);
    for (var i = p.first; i < params.len; i += p.step) {
        y4[p.row * params.len + i] = numbers(word(place.chunk, place.row * params.len + i));
    }
}
