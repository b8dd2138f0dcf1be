// Functions of one number and their derivatives, by the numbers of `Function` in src/op/pointwise/function.rs. Appended
// to the shaders that apply them: pointwise.wgsl, and the matrix products that end in one.
//
// `function` is an override where it is given, and Kiln keeps one arm of each switch: see src/gpu/specialise.rs. `c` holds
// the function's constants in the order of its fields. What the builtins leave loose is written out: tanh, e^x − 1, ln
// near 1, erf, sine and cosine.

const ROOT_HALF: f32 = 0.70710677;
// 1/√(2π), and 2/√π.
const NORMAL: f32 = 0.3989423;
const TWO_BY_ROOT_PI: f32 = 1.1283792;

fn value_of(function: u32, x: f32, c: vec3<f32>) -> f32 {
    switch function {
        case 0u: { return sigmoid(x); }
        case 1u: { return tanh_accurate(x); }
        case 2u: { return keep_nan(x, select(x, 0.0, x < 0.0)); }
        case 3u: { return select(x, c.x * x, x < 0.0); }
        case 4u: { return keep_nan(x, exp(x)); }
        case 5u: { return keep_nan(x, log_accurate(x)); }
        case 6u: { return keep_nan(x, sqrt(x)); }
        case 7u: { return x * x; }
        case 8u: { return abs(x); }
        case 9u: { return -x; }
        case 10u: { return c.x * x; }
        case 11u: { return x + c.x; }
        case 12u: {
            // Not 0·∞.
            let below = select(c.x * (x - c.y), 0.0, c.x == 0.0);
            return keep_nan(x, select(min(x, c.z), below, x <= c.y));
        }
        case 13u: { return keep_nan(x, c.y * select(c.x * expm1(min(x, 0.0) / c.z), x, x > 0.0)); }
        case 14u: { return keep_nan(x, x * normal(x)); }
        case 15u: { return keep_nan(x, x * sigmoid(twice_u(x).x)); }
        case 16u: { return keep_nan(x, x * sigmoid(c.x * x)); }
        case 17u: {
            let scaled = c.x * x;
            return keep_nan(x, select(softplus(scaled) / c.x, x, scaled > c.y));
        }
        case 18u: { return keep_nan(x, x / (1.0 + abs(x))); }
        case 19u: { return keep_nan(x, x * mish_parts(x).x); }
        case 20u: { return keep_nan(x, -softplus(-x)); }
        case 21u: { return keep_nan(x, hard_sigmoid(x, c)); }
        case 22u: { return keep_nan(x, x * hard_sigmoid(x, c)); }
        case 23u: { return keep_nan(x, min(max(x, c.x), c.y)); }
        case 24u: { return keep_nan(x, x - tanh_accurate(x)); }
        case 25u: {
            let far = select(select(0.0, x + c.y, x < -c.x), x - c.y, x > c.x);
            return keep_nan(x, far);
        }
        case 26u: { return keep_nan(x, select(c.y, x, x > c.x)); }
        case 27u: {
            return keep_nan(x, squareplus(x, root_beyond(x, c.x), c.x));
        }
        case 28u: {
            let bend = 0.25 * (x + 1.0) * (x + 1.0);
            return keep_nan(x, select(select(bend, 0.0, x <= -1.0), x, x >= 1.0));
        }
        case 29u: { return keep_nan(x, erf(x)); }
        case 30u: { return keep_nan(x, sine(x, 0)); }
        case 31u: { return keep_nan(x, sine(x, 1)); }
        case 32u: { return keep_nan(x, 1.0 / x); }
        case 33u: { return keep_nan(x, 1.0 / sqrt(x)); }
        case 34u: { return keep_nan(x, sign(x)); }
        case 35u: { return keep_nan(x, log1p(x)); }
        case 36u: { return keep_nan(x, expm1(x)); }
        case 37u: { return keep_nan(x, floor(x)); }
        case 38u: { return keep_nan(x, ceil(x)); }
        case 39u: { return keep_nan(x, round(x)); }
        default: { return keep_nan(x, power(x, c.x, c.y)); }
    }
}

// f′ from what the function saves, its input or its output.
fn slope_of(function: u32, s: f32, c: vec3<f32>) -> f32 {
    switch function {
        case 0u: { return s * (1.0 - s); }
        case 1u: { return 1.0 - s * s; }
        case 2u: { return keep_nan(s, select(0.0, 1.0, s > 0.0)); }
        case 3u: { return keep_nan(s, select(c.x, 1.0, s > 0.0)); }
        case 4u: { return s; }
        case 5u: { return 1.0 / s; }
        case 6u: { return 0.5 / s; }
        case 7u: { return 2.0 * s; }
        case 8u: { return keep_nan(s, sign(s)); }
        case 9u: { return -1.0; }
        case 10u: { return c.x; }
        case 11u: { return 1.0; }
        case 12u: {
            let above = select(0.0, 1.0, s > c.y && s <= c.z);
            return keep_nan(s, select(above, c.x, s < c.y));
        }
        case 13u: { return keep_nan(s, c.y * select(c.x / c.z * exp(min(s, 0.0) / c.z), 1.0, s > 0.0)); }
        case 14u: { return keep_nan(s, normal(s) + s * (NORMAL * exp(-0.5 * s * s))); }
        case 15u: {
            // Beyond 12 the second term is below the least number; x³ would overflow in it.
            let near = clamp(s, -12.0, 12.0);
            let u = twice_u(near);
            return keep_nan(s, sigmoid(twice_u(s).x) + near * u.y * sigmoid(u.x) * sigmoid(-u.x));
        }
        case 16u: {
            let scaled = c.x * s;
            let share = sigmoid(scaled);
            return keep_nan(s, share + scaled * share * sigmoid(-scaled));
        }
        case 17u: {
            let scaled = c.x * s;
            return keep_nan(s, select(sigmoid(scaled), 1.0, scaled > c.y));
        }
        case 18u: { return keep_nan(s, 1.0 / ((1.0 + abs(s)) * (1.0 + abs(s)))); }
        case 19u: {
            let m = mish_parts(s);
            return keep_nan(s, m.x + s * m.y * (1.0 + m.x) * sigmoid(s));
        }
        case 20u: { return keep_nan(s, sigmoid(-s)); }
        case 21u: { return keep_nan(s, select(0.0, c.x, is_between(s, c))); }
        case 22u: { return keep_nan(s, hard_sigmoid(s, c) + select(0.0, c.x * s, is_between(s, c))); }
        case 23u: { return keep_nan(s, select(0.0, 1.0, s >= c.x && s <= c.y)); }
        case 24u: {
            let t = tanh_accurate(s);
            return keep_nan(s, t * t);
        }
        case 25u: { return keep_nan(s, select(0.0, 1.0, abs(s) > c.x)); }
        case 26u: { return keep_nan(s, select(0.0, 1.0, s > c.x)); }
        case 27u: {
            let root = root_beyond(s, c.x);
            return keep_nan(s, select(squareplus(s, root, c.x) / root, 0.5, root == 0.0));
        }
        case 28u: { return keep_nan(s, clamp(0.5 * (s + 1.0), 0.0, 1.0)); }
        case 29u: { return keep_nan(s, TWO_BY_ROOT_PI * exp(-s * s)); }
        case 30u: { return keep_nan(s, sine(s, 1)); }
        case 31u: { return keep_nan(s, -sine(s, 0)); }
        case 32u: { return keep_nan(s, -(1.0 / s) * (1.0 / s)); }
        case 33u: { return keep_nan(s, -0.5 / (s * sqrt(s))); }
        case 35u: { return keep_nan(s, 1.0 / (1.0 + s)); }
        case 36u: { return keep_nan(s, exp(s)); }
        case 40u: { return keep_nan(s, c.x * power(s, c.x - 1.0, select(3.0 - c.y, 0.0, c.y == 0.0))); }
        // Sign, floor, ceil and round have none.
        default: { return keep_nan(s, 0.0); }
    }
}

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

fn hard_sigmoid(x: f32, c: vec3<f32>) -> f32 {
    return clamp(c.x * x + c.y, 0.0, 1.0);
}

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

// x^exponent. `parity` says what it is to a negative x: 0 no number, 1 odd, 2 even.
fn power(x: f32, exponent: f32, parity: f32) -> f32 {
    let magnitude = exp(exponent * log_accurate(abs(x)));
    let at_zero = select(0.0, 1.0 / abs(x), exponent < 0.0);
    let some = select(select(magnitude, at_zero, x == 0.0), 1.0, exponent == 0.0);
    let nothing = bitcast<f32>(bitcast<u32>(x) | 0x7fc00000u);
    let negative = select(select(-some, some, parity == 2.0), nothing, parity == 0.0);
    return select(some, negative, x < 0.0);
}
