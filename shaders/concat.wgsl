// y = tensors side by side along one dimension, copied bit by bit, so that they may hold numbers or integers.
//
// Every tensor is a matrix: what lies before the dimension as rows, the rest as words. A dispatch copies up to four of
// them, `width` words of each row of y behind the first `offset`; `second`, `third` and `fourth` are the words at which
// they begin. Words are vec4s where every width divides by four, which loads 2.5 times as fast on lavapipe.

struct Params {
    rows: u32,
    // Words of a row that this dispatch writes, where it begins, and the words of a whole row of y.
    width: u32,
    offset: u32,
    whole: u32,
    second: u32,
    third: u32,
    fourth: u32,
}

override PARTS: u32 = 1u;
override WORKGROUP: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_0: array<u32>;
@group(0) @binding(2) var<storage, read> x_1: array<u32>;
@group(0) @binding(3) var<storage, read> x_2: array<u32>;
@group(0) @binding(4) var<storage, read> x_3: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;

@group(0) @binding(1) var<storage, read> x4_0: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> x4_1: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> x4_2: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> x4_3: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> y4: array<vec4<u32>>;

// The tensor that a word comes from, and where in it.
struct Home {
    part: u32,
    at: u32,
}

fn home(row: u32, column: u32) -> Home {
    if PARTS > 3u && column >= params.fourth {
        return Home(3u, row * (params.width - params.fourth) + column - params.fourth);
    }
    if PARTS > 2u && column >= params.third {
        return Home(2u, row * (params.fourth - params.third) + column - params.third);
    }
    if PARTS > 1u && column >= params.second {
        return Home(1u, row * (params.third - params.second) + column - params.second);
    }
    return Home(0u, row * params.second + column);
}

@compute @workgroup_size(WORKGROUP)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    let row = i / params.width;
    if row >= params.rows {
        return;
    }
    let column = i - row * params.width;
    let source = home(row, column);
    let to = row * params.whole + params.offset + column;
    switch source.part {
        case 3u: { y[to] = x_3[source.at]; }
        case 2u: { y[to] = x_2[source.at]; }
        case 1u: { y[to] = x_1[source.at]; }
        default: { y[to] = x_0[source.at]; }
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward_vec4(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    let row = i / params.width;
    if row >= params.rows {
        return;
    }
    let column = i - row * params.width;
    let source = home(row, column);
    let to = row * params.whole + params.offset + column;
    switch source.part {
        case 3u: { y4[to] = x4_3[source.at]; }
        case 2u: { y4[to] = x4_2[source.at]; }
        case 1u: { y4[to] = x4_1[source.at]; }
        default: { y4[to] = x4_0[source.at]; }
    }
}
