// The rule of a network's steps: v ← μ·v − η·g, w ← w + v, or with NESTEROV w ← w + μ·v − η·g. Follows network.wgsl.

override NESTEROV: bool = false;

@group(0) @binding(7) var<storage, read_write> v: array<f32>;

var<workgroup> velocities: array<vec4<f32>, VECTORS>;

fn load_states(i: u32, at: vec4<u32>, there: vec4<bool>) {
    velocities[i] = select(vec4<f32>(), vec4<f32>(v[at.x], v[at.y], v[at.z], v[at.w]), there);
}

fn store_states(i: u32, c: u32, at: u32) {
    v[at] = velocities[i][c];
}

// What a gradient is multiplied by.
fn step_length(eta: f32, power_1: f32, power_2: f32) -> f32 {
    return eta;
}

// One step of a vector of parameters by its gradient g.
fn update(i: u32, g: vec4<f32>, rate: f32) {
    let change = rate * g;
    let velocity = params.momentum * velocities[i] - change;
    velocities[i] = velocity;
    if NESTEROV {
        weights[i] = weights[i] + params.momentum * velocity - change;
    } else {
        weights[i] += velocity;
    }
}
