// The loss scale of training with activations in 16 bits: set before a step, taken off its gradients, adapted after it.
//
//   begin     S = state[SCALE], or the first scale; it goes to the cursor, for the head, and to `seed`, dL/dL
//   unscale   g/S of a gradient, and whether any of it is no finite number
//   end       if any was not: S ← S/2, and the step's updates are skipped and counted as such in the rates; else S ← 2·S
//             after `growth_steps` steps in a row
//
// S is a power of two, so that both products with it are exact. state, cursor: 8 words each; powers: [4]; rates: the clock's.
// Gradients are `len` numbers, four to an invocation; the last one keeps what lies behind the end.

struct Params {
    len: u32,
    // Numbers in the clock's rates.
    rates: u32,
    growth_steps: u32,
    first: f32,
    least: f32,
    most: f32,
}

override WORKGROUP: u32 = 256u;

// The words of the state: `scale` in src/op/loss_scale.rs.
const VALUE: u32 = 0u;
const GOOD: u32 = 1u;
const FOUND: u32 = 2u;
const SKIP: u32 = 3u;
const SKIPPED: u32 = 4u;

// Those of the cursor: `cursor` in src/op/clock.rs.
const STEP: u32 = 0u;
const SCALE: u32 = 7u;

@group(0) @binding(0) var<uniform> params: Params;

@group(0) @binding(1) var<storage, read> state_before: array<u32>;
@group(0) @binding(2) var<storage, read_write> cursor_now: array<u32>;
@group(0) @binding(3) var<storage, read_write> seed: array<f32>;

@compute @workgroup_size(1)
fn begin() {
    let bits = select(state_before[VALUE], bitcast<u32>(params.first), state_before[VALUE] == 0u);
    cursor_now[SCALE] = bits;
    seed[0] = bitcast<f32>(bits);
}

@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> cursor: array<u32>;
@group(0) @binding(3) var<storage, read_write> found: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> unscaled: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn unscale(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let count = params.len - i * 4u;
    let given = g[i];
    // By the bits: WGSL lets a driver assume that there are no infinities and NaNs.
    let exponent = bitcast<vec4<u32>>(given) & vec4(0x7f800000u);
    let own = vec4(0u, 1u, 2u, 3u) < vec4(count);
    if any((exponent == vec4(0x7f800000u)) & own) {
        atomicOr(&found[FOUND], 1u);
    }
    unscaled[i] = keep_tail(given * (1.0 / bitcast<f32>(cursor[SCALE])), unscaled[i], count);
}

@group(0) @binding(2) var<storage, read_write> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> powers: array<f32>;
@group(0) @binding(4) var<storage, read_write> rates: array<f32>;
@group(0) @binding(1) var<storage, read> cursor_end: array<u32>;

// The places in the rates of what a skipped step must not advance: βᵗ, and an optimizer's series.
fn power_at(i: u32) -> u32 {
    return select(i + 1u, i + 4u, i > 1u);
}

@compute @workgroup_size(1)
fn end() {
    let scale = bitcast<f32>(cursor_end[SCALE]);
    let skip = state[FOUND] != 0u;
    var next = scale;
    var good = 0u;
    if skip {
        next = max(0.5 * scale, params.least);
        state[SKIPPED] += 1u;
    } else {
        good = state[GOOD] + 1u;
        if good >= params.growth_steps {
            next = min(2.0 * scale, params.most);
            good = 0u;
        }
    }
    for (var i = 0u; i < 4u && power_at(i) < params.rates; i++) {
        let at = power_at(i);
        if skip {
            rates[at] = select(powers[i], 1.0, cursor_end[STEP] == 1u);
        }
        powers[i] = rates[at];
    }
    if skip && params.rates > 11u {
        rates[11] += 1.0;
    }
    state[VALUE] = bitcast<u32>(next);
    state[GOOD] = good;
    state[FOUND] = 0u;
    state[SKIP] = select(0u, 1u, skip);
}
