// Functions of one number and their derivatives, by the numbers of `Function` in src/op/pointwise.rs. Appended to the
// shaders that apply them: pointwise.wgsl, and the matrix products that end in one.
//
// `function` is an override where it is given, so that a driver keeps one arm of each switch.

// `constant`: the slope of leaky ReLU, the factor of scale, the offset of offset.
fn value_of(function: u32, x: f32, constant: f32) -> f32 {
    switch function {
        case 0u: { return sigmoid(x); }
        case 1u: { return tanh_accurate(x); }
        case 2u: { return keep_nan(x, select(x, 0.0, x < 0.0)); }
        case 3u: { return select(x, constant * x, x < 0.0); }
        case 4u: { return keep_nan(x, exp(x)); }
        case 5u: { return keep_nan(x, log(x)); }
        case 6u: { return keep_nan(x, sqrt(x)); }
        case 7u: { return x * x; }
        case 8u: { return abs(x); }
        case 9u: { return -x; }
        case 10u: { return constant * x; }
        default: { return x + constant; }
    }
}

// f′ from what the function saves, its input or its output.
fn slope_of(function: u32, s: f32, constant: f32) -> f32 {
    switch function {
        case 0u: { return s * (1.0 - s); }
        case 1u: { return 1.0 - s * s; }
        case 2u: { return keep_nan(s, select(0.0, 1.0, s > 0.0)); }
        case 3u: { return keep_nan(s, select(constant, 1.0, s > 0.0)); }
        case 4u: { return s; }
        case 5u: { return 1.0 / s; }
        case 6u: { return 0.5 / s; }
        case 7u: { return 2.0 * s; }
        case 8u: { return keep_nan(s, sign(s)); }
        case 9u: { return -1.0; }
        case 10u: { return constant; }
        default: { return 1.0; }
    }
}
