// What every kernel may use; appended to each shader, so that line numbers of the shader itself stay true.

// An invocation's number in a grid that `fold` spread over x and y.
fn linear_index(group: vec3<u32>, groups: vec3<u32>, local: u32, size: u32) -> u32 {
    return (group.y * groups.x + group.x) * size + local;
}

// WGSL lets a driver assume that there are no NaNs, so only the bits tell.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// A NaN that no driver can fold away: the bits come from the value itself.
fn keep_nan(x: f32, y: f32) -> f32 {
    return select(y, x, is_nan(x));
}

// e^x − 1 without cancellation near zero: a series for |x| < 1/2.
fn expm1(x: f32) -> f32 {
    let series = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666668 + x * (0.008333334 + x * (0.0013888889 + x * (0.0001984127 + x * 0.0000248016)))))));
    return select(exp(x) - 1.0, series, abs(x) < 0.5);
}

// ln(1 + x): through atanh, 2·(s + s³/3 + s⁵/5 …) with s = x/(2 + x), for −½ ≤ x ≤ 1, so that |s| ≤ ⅓; the builtin loses
// relative accuracy near ln 1.
fn log1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let q = s * s;
    let series = 2.0 * s * (1.0 + q * (0.33333334 + q * (0.2 + q * (0.14285715 + q * (0.11111111 + q * (0.09090909 + q * 0.07692308))))));
    return select(log(1.0 + x), series, x >= -0.5 && x <= 1.0);
}

// 1/(1 + e^−x) without overflow on either side.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return keep_nan(x, select(e, 1.0, x >= 0.0) / (1.0 + e));
}

// tanh x = t/(t + 2) with t = e^2|x| − 1: accurate near zero, and clamped because builtins give NaN for large |x|.
fn tanh_accurate(x: f32) -> f32 {
    let t = expm1(2.0 * min(abs(x), 15.0));
    return keep_nan(x, select(1.0, -1.0, x < 0.0) * (t / (t + 2.0)));
}

// The first `count` of four elements, and what was there before in the others.
fn keep_tail(value: vec4<f32>, before: vec4<f32>, count: u32) -> vec4<f32> {
    return select(before, value, vec4(0u, 1u, 2u, 3u) < vec4(count));
}
