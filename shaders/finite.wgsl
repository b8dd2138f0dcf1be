// Whether any of up to six tensors holds a number that is not finite: sets a word if so, and leaves it else.
//
// An invocation looks at four numbers of the tensors one behind the other, without a loop; which tensor they are of is the same
// for nearly all of a workgroup. Six and the word are as many storage buffers as every adapter binds.

struct Params {
    len_0: u32,
    len_1: u32,
    len_2: u32,
    len_3: u32,
    len_4: u32,
    len_5: u32,
}

override WORKGROUP: u32 = 256u;

// The word of a loss scale's state: `scale` in src/op/loss_scale.rs.
const FOUND: u32 = 2u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x_0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x_1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> x_2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> x_3: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> x_4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> x_5: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> state: array<atomic<u32>>;

// By the bits: WGSL lets a driver assume that there are no infinities and NaNs. What lies behind the end is not looked at.
fn look(given: vec4<f32>, i: u32, len: u32) {
    let exponent = bitcast<vec4<u32>>(given) & vec4(0x7f800000u);
    let own = vec4(0u, 1u, 2u, 3u) < vec4(len - i * 4u);
    if any((exponent == vec4(0x7f800000u)) & own) {
        atomicOr(&state[FOUND], 1u);
    }
}

fn fours(len: u32) -> u32 {
    return (len + 3u) / 4u;
}

@compute @workgroup_size(WORKGROUP)
fn find(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    var i = linear_index(group, groups, local, WORKGROUP);
    if i < fours(params.len_0) {
        look(x_0[i], i, params.len_0);
        return;
    }
    i -= fours(params.len_0);
    if i < fours(params.len_1) {
        look(x_1[i], i, params.len_1);
        return;
    }
    i -= fours(params.len_1);
    if i < fours(params.len_2) {
        look(x_2[i], i, params.len_2);
        return;
    }
    i -= fours(params.len_2);
    if i < fours(params.len_3) {
        look(x_3[i], i, params.len_3);
        return;
    }
    i -= fours(params.len_3);
    if i < fours(params.len_4) {
        look(x_4[i], i, params.len_4);
        return;
    }
    i -= fours(params.len_4);
    if i < fours(params.len_5) {
        look(x_5[i], i, params.len_5);
    }
}
