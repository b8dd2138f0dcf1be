// Updates with an average of weights, or slow weights.

@group(0) @binding(4) var<storage, read_write> averages: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> s0: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> s1: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> s2: array<vec4<f32>>;

fn collected(i: u32, gradient: vec4<f32>, count: u32) -> vec4<f32> {
    return gradient;
}

// The running mean of weights, which may take their place every so often; or slow weights.

fn averaged(i: u32, before: vec4<f32>, after: vec4<f32>, count: u32) -> vec4<f32> {
    let old = averages[i];
    let first = rates[1].x == 1.0;
    let due = flag(2u);
    var average = old;
    if params.lookahead != 0u {
        // Slow weights begin where the fast ones do.
        average = select(old, before, vec4(first));
        if due && live() {
            average = moved(average, after, params.keep);
        }
    } else {
        let keep = select(params.keep, 0.0, first);
        average = keep * old + (1.0 - keep) * after;
    }
    averages[i] = keep_tail(average, old, count);
    return select(after, average, vec4(due && (params.lookahead == 0u || live())));
}
