// The mean of the gradients of an update, the last of which ends the sum.

fn collected(i: u32, gradient: vec4<f32>, count: u32) -> vec4<f32> {
    let before = sums[i];
    let sum = before + gradient;
    sums[i] = keep_tail(select(sum, vec4(0.0), vec4(live())), before, count);
    return sum * params.share;
}
