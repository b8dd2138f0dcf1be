// The rule of a network's steps: w ← w − η·g. Follows network.wgsl.

fn load_states(i: u32, at: vec4<u32>, there: vec4<bool>) {}

fn store_states(i: u32, c: u32, at: u32) {}

// What a gradient is multiplied by.
fn step_length(eta: f32, power_1: f32, power_2: f32) -> f32 {
    return eta;
}

// One step of a vector of parameters by its gradient g.
fn update(i: u32, g: vec4<f32>, rate: f32) {
    weights[i] -= rate * g;
}
