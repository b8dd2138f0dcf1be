// Σ x² of up to six tensors into the rates of a clock, one sum for all or one for each of three.
//
// x0 … x5: `len_0` … elements, four at a time; those beyond the last are of length 0. Every invocation strides over each
// tensor in turn, a tree adds a workgroup up. `whole` is one workgroup; `part` and `combine` are many and then one
// invocation that adds their sums in order.
//
// A sum beyond the range of f32 is left as −Σ (x/2⁹⁶)², so that its root is known: see `norm_of` in
// src/op/sum_of_squares.rs. Both sums are taken side by side, because reading x is what takes the time.

struct Params {
    add: u32,
    parts: u32,
    len_0: u32,
    len_1: u32,
    len_2: u32,
    len_3: u32,
    len_4: u32,
    len_5: u32,
}

override WORKGROUP: u32 = 256u;
// 1: each tensor has a sum of its own.
override SEPARATE: u32 = 0u;

// The first sum in the rates: `rate::SQUARES` in src/op/clock.rs.
const SQUARES: u32 = 8u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x0: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> x2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> x3: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> x4: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> x5: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> rates: array<f32>;
// Three sums of each workgroup, each twice.
@group(0) @binding(7) var<storage, read_write> parts: array<vec2<f32>>;

@group(0) @binding(1) var<storage, read> sums: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> to_rates: array<f32>;

// 2⁻⁹⁶.
const DOWN = 1.262177448e-29f;

var<workgroup> shared_sums: array<vec2<f32>, WORKGROUP>;

// The square of four elements, without what lies behind the end, and that of their 2⁻⁹⁶ parts.
fn square(x: vec4<f32>, left: u32) -> vec2<f32> {
    let own = keep_tail(x, vec4(0.0), left);
    let small = own * DOWN;
    return vec2(dot(own, own), dot(small, small));
}

// The workgroup's sums in every invocation.
fn total(local: u32, own: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    shared_sums[local] = own;
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            shared_sums[local] += shared_sums[local + half];
        }
    }
    workgroupBarrier();
    return shared_sums[0];
}

struct Sums {
    first: vec2<f32>,
    second: vec2<f32>,
    third: vec2<f32>,
}

fn sums_of(first: u32, stride: u32, local: u32) -> Sums {
    var own = vec2(0.0);
    for (var i = first; i * 4u < params.len_0; i += stride) {
        own += square(x0[i], params.len_0 - i * 4u);
    }
    var second = vec2(0.0);
    for (var i = first; i * 4u < params.len_1; i += stride) {
        second += square(x1[i], params.len_1 - i * 4u);
    }
    var third = vec2(0.0);
    for (var i = first; i * 4u < params.len_2; i += stride) {
        third += square(x2[i], params.len_2 - i * 4u);
    }
    if SEPARATE != 0u {
        return Sums(total(local, own), total(local, second), total(local, third));
    }
    var rest = vec2(0.0);
    for (var i = first; i * 4u < params.len_3; i += stride) {
        rest += square(x3[i], params.len_3 - i * 4u);
    }
    for (var i = first; i * 4u < params.len_4; i += stride) {
        rest += square(x4[i], params.len_4 - i * 4u);
    }
    for (var i = first; i * 4u < params.len_5; i += stride) {
        rest += square(x5[i], params.len_5 - i * 4u);
    }
    return Sums(total(local, (own + second) + (third + rest)), vec2(0.0), vec2(0.0));
}

// Whether a number is infinite, by its bits: WGSL lets a driver assume that none is.
fn is_beyond(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

// The first sum of those that are there, added to what was there before or not.
fn with_before(sum: vec2<f32>, before: f32) -> f32 {
    let add = params.add != 0u;
    let all = select(sum.x, before + sum.x, add);
    let in_parts = add && before < 0.0;
    let parts_before = select(0.0, select(before * DOWN * DOWN, -before, in_parts), add);
    return select(all, -(parts_before + sum.y), in_parts || is_beyond(all));
}

@compute @workgroup_size(WORKGROUP)
fn whole(@builtin(local_invocation_index) local: u32) {
    let own = sums_of(local, WORKGROUP, local);
    if local == 0u {
        rates[SQUARES] = with_before(own.first, rates[SQUARES]);
        if SEPARATE != 0u && params.len_1 != 0u {
            rates[SQUARES + 1u] = with_before(own.second, rates[SQUARES + 1u]);
        }
        if SEPARATE != 0u && params.len_2 != 0u {
            rates[SQUARES + 2u] = with_before(own.third, rates[SQUARES + 2u]);
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn part(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let own = sums_of(group.x * WORKGROUP + local, params.parts * WORKGROUP, local);
    if local == 0u {
        parts[group.x * 3u] = own.first;
        parts[group.x * 3u + 1u] = own.second;
        parts[group.x * 3u + 2u] = own.third;
    }
}

@compute @workgroup_size(WORKGROUP)
fn combine(@builtin(local_invocation_index) local: u32) {
    // An invocation to a sum; the others have nothing to do.
    let there = array(true, SEPARATE != 0u && params.len_1 != 0u, SEPARATE != 0u && params.len_2 != 0u);
    if local >= 3u {
        return;
    }
    var sum = vec2(0.0);
    for (var i = 0u; i < params.parts; i++) {
        sum += sums[i * 3u + local];
    }
    if local == 0u || (local == 1u && there[1]) || (local == 2u && there[2]) {
        to_rates[SQUARES + local] = with_before(sum, to_rates[SQUARES + local]);
    }
}
