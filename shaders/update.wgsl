// Updates of parameters, element by element: what all rules have in common before and after their formula.
//
// A rule is a file of its own in update/, put after this one: `struct Rule`, its numbers (rates are 1 − β, which f32 would
// have with few digits), and `fn take_step`, its formula. A file update/states_<n>.wgsl reads and writes the rule's n states,
// and update/plain.wgsl or a file like it declares the bindings from 4 on and what runs along.
//
// w, the states, the sum of gradients, the average of weights and g: `len` elements, four to an invocation; the last
// invocation keeps what lies beyond the end. rates: the numbers of `rate` in src/op/clock.rs. A step that only adds its
// gradient up keeps w and the states.

struct Params {
    len: u32,
    // Treatment of the gradient: its sign, 1/(batches of an update), the limit of its elements or norm.
    sign: f32,
    mean: f32,
    // 0: not clipped, 1: each element, 2: the norm, of which the squares are in the rates.
    clip: u32,
    clip_limit: f32,
    coupled_decay: f32,
    // Decoupled decay, and the factor of the learning rate.
    decay: f32,
    eta_factor: f32,
    // The average: the share that is kept, or that the slow weights go; whether it is slow weights.
    keep: f32,
    lookahead: u32,
    @align(16) rule: Rule,
}

override WORKGROUP: u32 = 256u;
// Whether the rule changes in every step, not only in those that update.
override ALWAYS: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
// η, β₁ᵗ, β₂ᵗ, factor; t, flags, series; squares.
@group(0) @binding(2) var<storage, read> rates: array<vec4<f32>, 3>;
@group(0) @binding(3) var<storage, read_write> w: array<vec4<f32>>;

// Four elements at hand: w as it was and decayed, the gradient treated.
struct Point {
    before: vec4<f32>,
    w: vec4<f32>,
    g: vec4<f32>,
    eta: f32,
}

// The states of a rule, first to last; it passes on those that it does not have.
struct States {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
}

// The weights and states after a step.
struct Next {
    w: vec4<f32>,
    states: States,
}

fn any_nan(x: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(x) & vec4(0x7fffffffu)) > vec4(0x7f800000u);
}

// The larger, or the NaN.
fn larger(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return select(b, a, (a > b) | any_nan(a));
}

fn limited(x: vec4<f32>, limit: f32) -> vec4<f32> {
    let up = vec4(limit);
    return select(select(x, up, x > up), -up, x < -up);
}

fn sign_of(x: vec4<f32>) -> vec4<f32> {
    return select(select(select(vec4(0.0), vec4(1.0), x > vec4(0.0)), vec4(-1.0), x < vec4(0.0)), x, any_nan(x));
}

fn power_of(x: vec4<f32>, power: f32) -> vec4<f32> {
    if power == 0.5 {
        return sqrt(x);
    }
    return select(exp2(power * log2(x)), vec4(0.0), x == vec4(0.0));
}

fn moved(before: vec4<f32>, to: vec4<f32>, rate: f32) -> vec4<f32> {
    return before + (to - before) * rate;
}

// x over the root of v, with ε inside or outside.
fn over_root(x: vec4<f32>, v: vec4<f32>, epsilon: f32, outside: bool) -> vec4<f32> {
    if outside {
        return x / (sqrt(v) + epsilon);
    }
    return x / sqrt(v + epsilon);
}

// 2⁹⁶ and 2⁻⁹⁶.
const UP = 7.92281625e28f;
const DOWN = 1.262177448e-29f;

// The root of a sum of squares, and what it is counted in: a sum beyond the range of f32 is negative, see
// sum_of_squares.wgsl.
fn norm_of(squares: f32) -> vec2<f32> {
    return vec2(keep_nan(squares, sqrt(abs(squares))), select(1.0, UP, squares < 0.0));
}

fn flag(bit: u32) -> bool {
    return (u32(rates[1].y) & bit) != 0u;
}

// Whether the step updates.
fn live() -> bool {
    return flag(1u);
}

// Whether this is the first update.
fn is_first() -> bool {
    return rates[1].x == 1.0;
}

fn begin(i: u32, all: u32) -> Point {
    let before = w[i];
    var gradient = collected(i, g[i] * params.sign, all);
    if params.clip == 1u {
        gradient = limited(gradient, params.clip_limit);
    }
    if params.clip == 2u {
        let norm = norm_of(rates[2].x);
        let limit = params.clip_limit;
        if norm.y == 1.0 {
            gradient *= keep_nan(norm.x, select(1.0, limit / norm.x, norm.x > limit));
        } else if norm.x > limit * DOWN {
            gradient = (gradient * DOWN) * (limit / norm.x);
        }
    }
    let eta = rates[0].x * params.eta_factor;
    let decayed = before - before * (eta * params.decay);
    gradient += params.coupled_decay * decayed;
    return Point(before, decayed, gradient, eta);
}

@compute @workgroup_size(WORKGROUP)
fn update(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let all = min(params.len - i * 4u, 4u);
    let count = select(0u, all, live() || ALWAYS);
    let p = begin(i, all);
    let states = read_states(i);
    let next = take_step(p, states);
    write_states(i, states, next.states, count);
    let after = select(p.before, next.w, vec4(count != 0u));
    w[i] = keep_tail(averaged(i, p.before, after, all), p.before, all);
}
