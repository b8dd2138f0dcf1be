// Updates of parameters, element by element: one entry point for each formula of src/op/update/formula.rs, which says
// where they are from, with what all have in common before and after it.
//
// w, the states s0, s1, s2, the sum of gradients, the average of weights and g: `len` elements, four to an invocation;
// the last invocation keeps what lies behind the end. rates: the numbers of `rate` in src/op/clock.rs. A step that only
// adds its gradient up keeps w and the states. Bindings from 4 on, and `collected` and `averaged`, are in
// update_plain.wgsl or in a file like it, by which operands there are.

struct Params {
    len: u32,
    // Treatment of the gradient: its sign, 1/(batches of an update), the limit of its elements or norm.
    sign: f32,
    share: f32,
    // 0: not clipped, 1: each element, 2: the norm, of which the squares are in the rates.
    clip: u32,
    limit: f32,
    l2: f32,
    // Decoupled decay, and the factor of the learning rate.
    decay: f32,
    factor: f32,
    // The average: the share that is kept, or that the slow weights go; whether it is slow weights.
    keep: f32,
    lookahead: u32,
    // The formula's numbers, 0 where it has none; rates are 1 − β, which f32 would have with few digits.
    beta_1: f32,
    rate_1: f32,
    beta_2: f32,
    rate_2: f32,
    epsilon: f32,
    momentum: f32,
    power: f32,
    l1: f32,
    least: f32,
    most: f32,
    // A switch of the formula.
    variant: u32,
}

override WORKGROUP: u32 = 256u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
// η, β₁ᵗ, β₂ᵗ, factor; t, flags, series; squares.
@group(0) @binding(2) var<storage, read> rates: array<vec4<f32>, 3>;
@group(0) @binding(3) var<storage, read_write> w: array<vec4<f32>>;

// Four elements at hand: w as it was and decayed, the gradient treated; how many of them there are, and how many
// change in this step.
struct Point {
    i: u32,
    before: vec4<f32>,
    w: vec4<f32>,
    g: vec4<f32>,
    eta: f32,
    all: u32,
    count: u32,
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

fn flag(bit: u32) -> bool {
    return (u32(rates[1].y) & bit) != 0u;
}

// Whether the step updates.
fn live() -> bool {
    return flag(1u);
}

fn begin(i: u32) -> Point {
    let all = min(params.len - i * 4u, 4u);
    let before = w[i];
    var gradient = collected(i, g[i] * params.sign, all);
    if params.clip == 1u {
        gradient = limited(gradient, params.limit);
    }
    if params.clip == 2u {
        let norm = sqrt(rates[2].x);
        gradient *= keep_nan(norm, select(1.0, params.limit / norm, norm > params.limit));
    }
    let eta = rates[0].x * params.factor;
    let decayed = before - before * (eta * params.decay);
    gradient += params.l2 * decayed;
    return Point(i, before, decayed, gradient, eta, all, select(0u, all, live()));
}

fn finish(p: Point, after: vec4<f32>) {
    let value = select(p.before, after, vec4(p.count != 0u));
    w[p.i] = keep_tail(averaged(p.i, p.before, value, p.all), p.before, p.all);
}

fn moved(before: vec4<f32>, to: vec4<f32>, rate: f32) -> vec4<f32> {
    return before + (to - before) * rate;
}

@compute @workgroup_size(WORKGROUP)
fn descent(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    finish(p, p.w - p.eta * p.g);
}

@compute @workgroup_size(WORKGROUP)
fn momentum(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let v = s0[i];
    let step = p.eta * p.g;
    let velocity = params.momentum * v - step;
    var ahead = velocity;
    if params.variant != 0u {
        ahead = params.momentum * velocity - step;
    }
    s0[i] = keep_tail(velocity, v, p.count);
    finish(p, p.w + ahead);
}

@compute @workgroup_size(WORKGROUP)
fn heavy_ball(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let b = s0[i];
    var buffer = p.g;
    if rates[1].x != 1.0 {
        buffer = params.momentum * b + params.rate_1 * p.g;
    }
    var ahead = buffer;
    if params.variant != 0u {
        ahead = p.g + params.momentum * buffer;
    }
    s0[i] = keep_tail(buffer, b, p.count);
    finish(p, p.w - p.eta * ahead);
}

// g over the root of v, with ε inside or outside.
fn over_root(x: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    if params.variant != 0u {
        return x / sqrt(v + params.epsilon);
    }
    return x / (sqrt(v) + params.epsilon);
}

@compute @workgroup_size(WORKGROUP)
fn rmsprop(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let v = s0[i];
    let square = moved(v, p.g * p.g, params.rate_2);
    s0[i] = keep_tail(square, v, p.count);
    finish(p, p.w - over_root(p.eta * p.g, square));
}

@compute @workgroup_size(WORKGROUP)
fn rmsprop_momentum(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let v = s0[i];
    let b = s1[i];
    let square = moved(v, p.g * p.g, params.rate_2);
    let buffer = params.momentum * b + over_root(p.g * in_buffer(p), square);
    s0[i] = keep_tail(square, v, p.count);
    s1[i] = keep_tail(buffer, b, p.count);
    finish(p, p.w - buffer * behind_buffer(p));
}

// Keras' buffer holds steps, PyTorch's what the rate is multiplied by.
fn in_buffer(p: Point) -> f32 {
    return select(1.0, p.eta, params.variant != 0u);
}

fn behind_buffer(p: Point) -> f32 {
    return select(p.eta, 1.0, params.variant != 0u);
}

// Over the root of v − m², which rounding may put below 0.
fn over_deviation(x: vec4<f32>, v: vec4<f32>, m: vec4<f32>) -> vec4<f32> {
    return over_root(x, larger(v - m * m, vec4(0.0)));
}

@compute @workgroup_size(WORKGROUP)
fn rmsprop_centered(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let v = s0[i];
    let m = s1[i];
    let square = moved(v, p.g * p.g, params.rate_2);
    let mean = moved(m, p.g, params.rate_2);
    s0[i] = keep_tail(square, v, p.count);
    s1[i] = keep_tail(mean, m, p.count);
    finish(p, p.w - over_deviation(p.eta * p.g, square, mean));
}

@compute @workgroup_size(WORKGROUP)
fn rmsprop_centered_momentum(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let v = s0[i];
    let m = s1[i];
    let b = s2[i];
    let square = moved(v, p.g * p.g, params.rate_2);
    let mean = moved(m, p.g, params.rate_2);
    let buffer = params.momentum * b + over_deviation(p.g * in_buffer(p), square, mean);
    s0[i] = keep_tail(square, v, p.count);
    s1[i] = keep_tail(mean, m, p.count);
    s2[i] = keep_tail(buffer, b, p.count);
    finish(p, p.w - buffer * behind_buffer(p));
}

@compute @workgroup_size(WORKGROUP)
fn adagrad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let a = s0[i];
    let sum = a + p.g * p.g;
    s0[i] = keep_tail(sum, a, p.count);
    finish(p, p.w - over_root(p.eta * p.g, sum));
}

@compute @workgroup_size(WORKGROUP)
fn adadelta(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let a = s0[i];
    let d = s1[i];
    let square = moved(a, p.g * p.g, params.rate_2);
    let delta = sqrt(d + params.epsilon) / sqrt(square + params.epsilon) * p.g;
    s0[i] = keep_tail(square, a, p.count);
    s1[i] = keep_tail(moved(d, delta * delta, params.rate_2), d, p.count);
    finish(p, p.w - p.eta * delta);
}

// m·η/(1 − β₁ᵗ) over the root of v/(1 − β₂ᵗ), with ε beside the root before or after the correction.
fn adam_step(p: Point, m: vec4<f32>, v: vec4<f32>) -> vec4<f32> {
    let root = sqrt(1.0 - rates[0].z);
    let rate = p.eta / (1.0 - rates[0].y);
    if params.variant != 0u {
        return m * rate / (sqrt(v) / root + params.epsilon);
    }
    return m * (rate * root) / (sqrt(v) + params.epsilon);
}

@compute @workgroup_size(WORKGROUP)
fn adam(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let m = s0[i];
    let v = s1[i];
    let mean = moved(m, p.g, params.rate_1);
    let square = moved(v, p.g * p.g, params.rate_2);
    s0[i] = keep_tail(mean, m, p.count);
    s1[i] = keep_tail(square, v, p.count);
    finish(p, p.w - adam_step(p, mean, square));
}

@compute @workgroup_size(WORKGROUP)
fn amsgrad(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let m = s0[i];
    let v = s1[i];
    let h = s2[i];
    let mean = moved(m, p.g, params.rate_1);
    let square = moved(v, p.g * p.g, params.rate_2);
    let largest = larger(h, square);
    s0[i] = keep_tail(mean, m, p.count);
    s1[i] = keep_tail(square, v, p.count);
    s2[i] = keep_tail(largest, h, p.count);
    finish(p, p.w - adam_step(p, mean, largest));
}

@compute @workgroup_size(WORKGROUP)
fn adamax(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let m = s0[i];
    let u = s1[i];
    let mean = moved(m, p.g, params.rate_1);
    // ε is in the norm or beside it.
    let in_norm = select(0.0, params.epsilon, params.variant != 0u);
    let norm = larger(params.beta_2 * u, abs(p.g) + in_norm);
    s0[i] = keep_tail(mean, m, p.count);
    s1[i] = keep_tail(norm, u, p.count);
    finish(p, p.w - mean * (p.eta / (1.0 - rates[0].y)) / (norm + (params.epsilon - in_norm)));
}

@compute @workgroup_size(WORKGROUP)
fn nadam(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let m = s0[i];
    let v = s1[i];
    let mean = moved(m, p.g, params.rate_1);
    let square = moved(v, p.g * p.g, params.rate_2);
    let now = params.beta_1 * (1.0 - 0.5 * rates[1].z);
    let next = params.beta_1 * (1.0 - 0.5 * (rates[1].z * params.power));
    let product = rates[1].w;
    let ahead = mean * (next / (1.0 - product * next)) + p.g * ((1.0 - now) / (1.0 - product));
    s0[i] = keep_tail(mean, m, p.count);
    s1[i] = keep_tail(square, v, p.count);
    finish(p, p.w - ahead * p.eta / (sqrt(square / (1.0 - rates[0].z)) + params.epsilon));
}

@compute @workgroup_size(WORKGROUP)
fn radam(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let m = s0[i];
    let v = s1[i];
    let mean = moved(m, p.g, params.rate_1);
    let square = moved(v, p.g * p.g, params.rate_2);
    var step = mean * (p.eta / (1.0 - rates[0].y));
    if rates[1].z != 0.0 {
        step *= rates[1].z * sqrt(1.0 - rates[0].z) / (sqrt(square) + params.epsilon);
    }
    s0[i] = keep_tail(mean, m, p.count);
    s1[i] = keep_tail(square, v, p.count);
    finish(p, p.w - step);
}

@compute @workgroup_size(WORKGROUP)
fn lion(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let m = s0[i];
    let direction = sign_of(params.beta_1 * m + params.rate_1 * p.g);
    s0[i] = keep_tail(params.beta_2 * m + params.rate_2 * p.g, m, p.count);
    finish(p, p.w - p.eta * direction);
}

@compute @workgroup_size(WORKGROUP)
fn ftrl(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let n = s0[i];
    let z = s1[i];
    let sum = n + p.g * p.g;
    let root = power_of(sum, params.power);
    let gradient = p.g + params.least * p.w;
    let linear = z + (gradient - (root - power_of(n, params.power)) / p.eta * p.w);
    let quadratic = root / p.eta + (params.most + params.beta_1 / p.eta);
    s0[i] = keep_tail(sum, n, p.count);
    s1[i] = keep_tail(linear, z, p.count);
    finish(p, (limited(linear, params.l1) - linear) / quadratic);
}

@compute @workgroup_size(WORKGROUP)
fn asgd(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let mean = s0[i];
    let rate = rates[1].z * params.factor;
    let after = p.w - p.w * (params.beta_1 * rate) - rate * p.g;
    s0[i] = keep_tail(select(moved(mean, after, rates[1].w), after, vec4(rates[1].w == 1.0)), mean, p.count);
    finish(p, after);
}

@compute @workgroup_size(WORKGROUP)
fn rprop(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let last = s0[i];
    let size = select(s1[i], vec4(p.eta), vec4(rates[1].x == 1.0));
    let turn = sign_of(p.g) * sign_of(select(last, vec4(0.0), vec4(rates[1].x == 1.0)));
    let turned = turn < vec4(0.0);
    let factor = select(select(vec4(1.0), vec4(params.beta_2), turn > vec4(0.0)), vec4(params.beta_1), turned);
    let next = min(max(size * factor, vec4(params.least)), vec4(params.most));
    let gradient = select(p.g, vec4(0.0), turned);
    s0[i] = keep_tail(gradient, last, p.count);
    s1[i] = keep_tail(next, s1[i], p.count);
    finish(p, p.w - sign_of(gradient) * next);
}

@compute @workgroup_size(WORKGROUP)
fn lamb(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    let m = s0[i];
    let v = s1[i];
    let mean = moved(m, p.g, params.rate_1);
    let square = moved(v, p.g * p.g, params.rate_2);
    let direction = mean / (1.0 - rates[0].y) / (sqrt(square / (1.0 - rates[0].z)) + params.epsilon);
    s0[i] = keep_tail(mean, m, p.count);
    s1[i] = keep_tail(square, v, p.count);
    s2[i] = keep_tail(direction, s2[i], p.count);
    finish(p, p.w);
}

@compute @workgroup_size(WORKGROUP)
fn trust(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    var ratio = 1.0;
    if rates[2].x > 0.0 && rates[2].y > 0.0 {
        ratio = sqrt(rates[2].x) / sqrt(rates[2].y);
    }
    finish(p, p.w - (ratio * p.eta) * p.g);
}

@compute @workgroup_size(WORKGROUP)
fn relative(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    // power: 1 over the number of elements.
    let size = max(params.epsilon, sqrt(rates[2].x * params.power));
    let excess = max(1.0, sqrt(rates[2].y * params.power) / params.most);
    let rate = min(p.eta, 1.0 / sqrt(rates[1].x));
    finish(p, p.w - p.g * (size * rate / excess));
}

@compute @workgroup_size(WORKGROUP)
fn blend(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    finish(p, moved(p.w, p.g, rates[1].z));
}

@compute @workgroup_size(WORKGROUP)
fn buffer(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    let p = begin(i);
    finish(p, params.momentum * p.w + params.rate_1 * p.g);
}

// The mean of an update's gradients, as far as they have come: it changes in every step.
@compute @workgroup_size(WORKGROUP)
fn collect(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_index(group, groups, local, WORKGROUP);
    if i * 4u >= params.len {
        return;
    }
    var p = begin(i);
    p.count = p.all;
    finish(p, select(p.w, vec4(0.0), vec4(flag(4u))) + params.rate_1 * p.g);
}
