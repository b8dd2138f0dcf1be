// The rule of a network's steps: m ← m + (g − m)(1 − β₁), v ← v + (g² − v)(1 − β₂), w ← w − α·m/(√v + ε), as in adam.wgsl.
// Follows network.wgsl.

@group(0) @binding(7) var<storage, read_write> m: array<f32>;
@group(0) @binding(8) var<storage, read_write> v: array<f32>;

var<workgroup> means: array<vec4<f32>, VECTORS>;
var<workgroup> squares: array<vec4<f32>, VECTORS>;

fn load_states(i: u32, at: vec4<u32>, there: vec4<bool>) {
    means[i] = select(vec4<f32>(), vec4<f32>(m[at.x], m[at.y], m[at.z], m[at.w]), there);
    squares[i] = select(vec4<f32>(), vec4<f32>(v[at.x], v[at.y], v[at.z], v[at.w]), there);
}

fn store_states(i: u32, c: u32, at: u32) {
    m[at] = means[i][c];
    v[at] = squares[i][c];
}

// α, what a mean is multiplied by.
fn step_length(eta: f32, power_1: f32, power_2: f32) -> f32 {
    return eta * sqrt(1.0 - power_2) / (1.0 - power_1);
}

// One step of a vector of parameters by its gradient g.
fn update(i: u32, g: vec4<f32>, rate: f32) {
    let mean = means[i] + (g - means[i]) * params.rate_1;
    let square = squares[i] + (g * g - squares[i]) * params.rate_2;
    means[i] = mean;
    squares[i] = square;
    weights[i] -= mean * rate / (sqrt(square) + params.epsilon);
}
