// Functions of one number and their derivatives: NAME_value and NAME_slope for each function of src/op/pointwise/functions/.
// Appended to the shaders that apply them: pointwise.wgsl, and the matrix products that end in one. These call `value_of` and
// `slope_of`, which a launch makes those of its function: see identity.wgsl.
//
// A slope is computed from what the function saves, its input or its output. `c` holds the function's settings in the order
// of its SETTINGS. What the builtins leave loose is written out: tanh, e^x − 1, ln near 1, erf, sine and cosine.

const ROOT_HALF: f32 = 0.70710677;
// 1/√(2π), and 2/√π.
const NORMAL: f32 = 0.3989423;
const TWO_BY_ROOT_PI: f32 = 1.1283792;

fn sigmoid_value(x: f32, c: vec3<f32>) -> f32 { return sigmoid(x); }
fn sigmoid_slope(y: f32, c: vec3<f32>) -> f32 { return y * (1.0 - y); }

fn tanh_value(x: f32, c: vec3<f32>) -> f32 { return tanh_accurate(x); }
fn tanh_slope(y: f32, c: vec3<f32>) -> f32 { return 1.0 - y * y; }

fn relu_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(x, 0.0, x < 0.0)); }
fn relu_slope(y: f32, c: vec3<f32>) -> f32 { return keep_nan(y, select(0.0, 1.0, y > 0.0)); }

fn leaky_relu_value(x: f32, c: vec3<f32>) -> f32 { return select(x, c.x * x, x < 0.0); }
fn leaky_relu_slope(s: f32, c: vec3<f32>) -> f32 { return keep_nan(s, select(c.x, 1.0, s > 0.0)); }

fn rectify_value(x: f32, c: vec3<f32>) -> f32 {
    // Not 0·∞.
    let below = select(c.x * (x - c.y), 0.0, c.x == 0.0);
    return keep_nan(x, select(min(x, c.z), below, x <= c.y));
}
fn rectify_slope(x: f32, c: vec3<f32>) -> f32 {
    let above = select(0.0, 1.0, x > c.y && x <= c.z);
    return keep_nan(x, select(above, c.x, x < c.y));
}

fn clamp_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, min(max(x, c.x), c.y)); }
fn clamp_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(0.0, 1.0, x >= c.x && x <= c.y)); }

fn shrink_value(x: f32, c: vec3<f32>) -> f32 {
    return keep_nan(x, select(select(0.0, x + c.y, x < -c.x), x - c.y, x > c.x));
}
fn shrink_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(0.0, 1.0, abs(x) > c.x)); }

fn threshold_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(c.y, x, x > c.x)); }
fn threshold_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(0.0, 1.0, x > c.x)); }

fn hard_sigmoid_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, clamp(c.x * x + c.y, 0.0, 1.0)); }
fn hard_sigmoid_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, select(0.0, c.x, is_between(x, c))); }

fn hard_silu_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, x * clamp(c.x * x + c.y, 0.0, 1.0)); }
fn hard_silu_slope(x: f32, c: vec3<f32>) -> f32 {
    return keep_nan(x, clamp(c.x * x + c.y, 0.0, 1.0) + select(0.0, c.x * x, is_between(x, c)));
}

fn sparse_plus_value(x: f32, c: vec3<f32>) -> f32 {
    let bend = 0.25 * (x + 1.0) * (x + 1.0);
    return keep_nan(x, select(select(bend, 0.0, x <= -1.0), x, x >= 1.0));
}
fn sparse_plus_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, clamp(0.5 * (x + 1.0), 0.0, 1.0)); }

fn abs_value(x: f32, c: vec3<f32>) -> f32 { return abs(x); }
fn abs_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, sign(x)); }

fn sign_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, sign(x)); }
fn sign_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, 0.0); }

fn floor_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, floor(x)); }
fn floor_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, 0.0); }

fn ceil_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, ceil(x)); }
fn ceil_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, 0.0); }

fn round_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, round(x)); }
fn round_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, 0.0); }

fn elu_value(x: f32, c: vec3<f32>) -> f32 {
    return keep_nan(x, c.y * select(c.x * expm1(min(x, 0.0) / c.z), x, x > 0.0));
}
fn elu_slope(x: f32, c: vec3<f32>) -> f32 {
    return keep_nan(x, c.y * select(c.x / c.z * exp(min(x, 0.0) / c.z), 1.0, x > 0.0));
}

fn gelu_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, x * normal(x)); }
fn gelu_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, normal(x) + x * (NORMAL * exp(-0.5 * x * x))); }

fn gelu_tanh_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, x * sigmoid(twice_u(x).x)); }
fn gelu_tanh_slope(x: f32, c: vec3<f32>) -> f32 {
    // Beyond 12 the sigmoid is 0 or 1 and the second term below the least number; x³ would overflow in it.
    let near = clamp(x, -12.0, 12.0);
    let u = twice_u(near);
    return keep_nan(x, sigmoid(u.x) + near * u.y * sigmoid(u.x) * sigmoid(-u.x));
}

fn silu_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, x * sigmoid(c.x * x)); }
fn silu_slope(x: f32, c: vec3<f32>) -> f32 {
    let scaled = c.x * x;
    let share = sigmoid(scaled);
    return keep_nan(x, share + scaled * share * sigmoid(-scaled));
}

fn softplus_value(x: f32, c: vec3<f32>) -> f32 {
    let scaled = c.x * x;
    return keep_nan(x, select(softplus(scaled) / c.x, x, scaled > c.y));
}
fn softplus_slope(x: f32, c: vec3<f32>) -> f32 {
    let scaled = c.x * x;
    return keep_nan(x, select(sigmoid(scaled), 1.0, scaled > c.y));
}

fn softsign_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, x / (1.0 + abs(x))); }
fn softsign_slope(x: f32, c: vec3<f32>) -> f32 {
    let share = 1.0 / (1.0 + abs(x));
    return keep_nan(x, share * share);
}

fn mish_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, x * mish_parts(x).x); }
fn mish_slope(x: f32, c: vec3<f32>) -> f32 {
    let m = mish_parts(x);
    return keep_nan(x, m.x + x * m.y * (1.0 + m.x) * sigmoid(x));
}

fn log_sigmoid_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, -softplus(-x)); }
fn log_sigmoid_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, sigmoid(-x)); }

fn tanh_shrink_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, x - tanh_accurate(x)); }
fn tanh_shrink_slope(x: f32, c: vec3<f32>) -> f32 {
    let t = tanh_accurate(x);
    return keep_nan(x, t * t);
}

fn squareplus_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, squareplus(x, root_beyond(x, c.x), c.x)); }
fn squareplus_slope(x: f32, c: vec3<f32>) -> f32 {
    let root = root_beyond(x, c.x);
    return keep_nan(x, select(squareplus(x, root, c.x) / root, 0.5, root == 0.0));
}

fn exp_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, exp(x)); }
fn exp_slope(y: f32, c: vec3<f32>) -> f32 { return y; }

fn log_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, log_accurate(x)); }
fn log_slope(x: f32, c: vec3<f32>) -> f32 { return 1.0 / x; }

fn sqrt_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, sqrt(x)); }
fn sqrt_slope(y: f32, c: vec3<f32>) -> f32 { return 0.5 / y; }

fn rsqrt_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, 1.0 / sqrt(x)); }
fn rsqrt_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, -0.5 / (x * sqrt(x))); }

fn log1p_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, log1p(x)); }
fn log1p_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, 1.0 / (1.0 + x)); }

fn reciprocal_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, 1.0 / x); }
fn reciprocal_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, -(1.0 / x) * (1.0 / x)); }

fn expm1_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, expm1(x)); }
fn expm1_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, exp(x)); }

fn square_value(x: f32, c: vec3<f32>) -> f32 { return x * x; }
fn square_slope(x: f32, c: vec3<f32>) -> f32 { return 2.0 * x; }

fn neg_value(x: f32, c: vec3<f32>) -> f32 { return -x; }
fn neg_slope(x: f32, c: vec3<f32>) -> f32 { return -1.0; }

fn erf_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, erf(x)); }
fn erf_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, TWO_BY_ROOT_PI * exp(-x * x)); }

fn sin_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, sine(x, 0)); }
fn sin_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, sine(x, 1)); }

fn cos_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, sine(x, 1)); }
fn cos_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, -sine(x, 0)); }

fn scale_value(x: f32, c: vec3<f32>) -> f32 { return c.x * x; }
fn scale_slope(x: f32, c: vec3<f32>) -> f32 { return c.x; }

fn offset_value(x: f32, c: vec3<f32>) -> f32 { return x + c.x; }
fn offset_slope(x: f32, c: vec3<f32>) -> f32 { return 1.0; }

fn power_value(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, power(x, c.x)); }
fn power_slope(x: f32, c: vec3<f32>) -> f32 { return keep_nan(x, c.x * power(x, c.x - 1.0)); }

// ln x: near 1 through ln(1 + (x − 1)), whose argument is exact.
fn log_accurate(x: f32) -> f32 {
    return select(log(x), log1p(x - 1.0), x >= 0.5 && x <= 2.0);
}

// ln(1 + e^x).
fn softplus(x: f32) -> f32 {
    return max(x, 0.0) + log1p(exp(-abs(x)));
}

// erfc x for x ≥ 0: e^(−x²)·t·P(t) with t = 1/(1 + 0.35·x), P as in src/cpu/real.rs.
fn erfc(x: f32) -> f32 {
    let z = min(x, 12.0);
    let t = 1.0 / (1.0 + 0.35 * z);
    let p = 0.19748732 + t * (0.19706602 + t * (0.18853174 + t * (0.14812138 + t * (0.15526104 + t * (0.06922331 + t * (-0.0056126223 + t * (0.16441028 + t * (-0.15148726 + t * 0.036998796))))))));
    return t * p * exp(-z * z);
}

// erf x: a series below ¾, 1 − erfc x from there.
fn erf(x: f32) -> f32 {
    let q = -x * x;
    let series = 0.33333334 + q * (0.1 + q * (0.023809524 + q * (0.0046296297 + q * (0.00075757574 + q * (0.00010683761 + q * 0.000013227513)))));
    let near = TWO_BY_ROOT_PI * (x + x * (q * series));
    let far = select(1.0, -1.0, x < 0.0) * (1.0 - erfc(abs(x)));
    return select(far, near, abs(x) < 0.75);
}

// The normal distribution Φ(x), accurate on the far left too.
fn normal(x: f32) -> f32 {
    let tail = 0.5 * erfc(abs(x) * ROOT_HALF);
    return select(1.0 - tail, tail, x < 0.0);
}

// 2u with u = √(2/π)·(x + 0.044715·x³), and its derivative.
fn twice_u(x: f32) -> vec2<f32> {
    let square = 0.044715 * (x * x);
    return 1.5957691 * vec2(x + square * x, 1.0 + 3.0 * square);
}

// t = tanh(ln(1 + e^x)) and 1 − t, neither by a difference: ratios of polynomials in e^−|x|.
fn mish_parts(x: f32) -> vec2<f32> {
    let e = exp(-abs(x));
    let above = select(1.0 + 2.0 * e, e * (e + 2.0), x < 0.0);
    let rest = select(2.0 * e * e, 2.0, x < 0.0);
    return vec2(above, rest) / (above + rest);
}

// Whether slope·x + offset is above 0 and below 1.
fn is_between(x: f32, c: vec3<f32>) -> bool {
    let straight = c.x * x + c.y;
    return straight > 0.0 && straight < 1.0;
}

// √(x² + b); |x| where the square is beyond all b, before it overflows.
fn root_beyond(x: f32, b: f32) -> f32 {
    return select(sqrt(x * x + b), abs(x), abs(x) > 1e18);
}

// (x + root)/2 as max(x, 0) + b/(2·(|x| + root)), without a difference; the last sum may overflow, to a share of 0.
fn squareplus(x: f32, root: f32, b: f32) -> f32 {
    return max(x, 0.0) + select(0.5 * b / (abs(x) + root), 0.0, root == 0.0);
}

// sin(x + quarters·π/2). x is brought to within π/4 of a multiple n of π/2, which is taken off in three parts, the first
// of 8 and the second of 11 bits, so that n times them is exact for |n| < 2¹³. There Taylor's series leave 3e-8.
fn sine(x: f32, quarters: i32) -> f32 {
    let n = round(x * 0.63661975);
    let r = ((x - n * 1.5703125) - n * 0.000483751296997) - n * 7.54978995e-8;
    let q = r * r;
    let sine = r + r * (q * (-0.16666667 + q * (0.008333334 + q * (-0.0001984127 + q * 0.0000027557319))));
    let cosine = 1.0 + q * (-0.5 + q * (0.041666668 + q * (-0.0013888889 + q * 0.000024801587)));
    let turn = i32(n) + quarters;
    let value = select(sine, cosine, (turn & 1) == 1);
    return select(value, -value, (turn & 2) == 2);
}

// x^exponent: for x < 0 no number, unless the exponent is a whole one, odd or even.
fn power(x: f32, exponent: f32) -> f32 {
    let magnitude = exp(exponent * log_accurate(abs(x)));
    let at_zero = select(0.0, 1.0 / abs(x), exponent < 0.0);
    let some = select(select(magnitude, at_zero, x == 0.0), 1.0, exponent == 0.0);
    let nothing = bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
    let half = 0.5 * exponent;
    let negative = select(select(-some, some, half == floor(half)), nothing, exponent != floor(exponent));
    return select(some, negative, x < 0.0);
}
