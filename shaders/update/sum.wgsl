// Updates with a sum of gradients, by batches of which there is one update.

@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> s0: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> s1: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> s2: array<vec4<f32>>;

fn averaged(i: u32, before: vec4<f32>, after: vec4<f32>, count: u32) -> vec4<f32> {
    return after;
}

// The mean of the gradients of an update, the last of which ends the sum. What an update that was never made has left counts
// for none.

fn collected(i: u32, gradient: vec4<f32>, count: u32) -> vec4<f32> {
    let before = sums[i];
    let sum = select(before, vec4(0.0), vec4(flag(4u))) + gradient;
    sums[i] = keep_tail(select(sum, vec4(0.0), vec4(live())), before, count);
    return sum * params.mean;
}
