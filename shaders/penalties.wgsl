// Functions of a prediction and its target and their slopes, by the numbers of `Penalty` in src/op/penalty.rs. Appended to
// pointwise_loss.wgsl together with the terms of binary cross-entropy.

const EPSILON = 1e-7f;

// ln x without the builtin's loss of digits near 1.
fn log_accurate(x: f32) -> f32 {
    let near = select(-log1p((1.0 - x) / x), log1p(x - 1.0), x >= 1.0);
    return select(near, log(x), x <= 0.0);
}

// xᵞ for x ≥ 0; 0⁰ = 1.
fn power(x: f32, gamma: f32) -> f32 {
    if gamma == 0.0 {
        return 1.0;
    }
    if gamma == 1.0 {
        return x;
    }
    if gamma == 2.0 {
        return x * x;
    }
    let exponent = gamma * log_accurate(max(x, 1e-37));
    return keep_nan(x, select(exp(exponent), select(0.0, exp(exponent), gamma < 0.0), x < 1e-37));
}

// ln(1 + y) − ln(1 + t) with both at least EPSILON, through ln(1 + (y − t)/(1 + t)): nothing cancels.
fn logarithms_apart(y: f32, t: f32) -> f32 {
    let low = max(min(y, t), EPSILON);
    let high = max(max(y, t), EPSILON);
    return select(-1.0, 1.0, y >= t) * log1p((high - low) / (1.0 + low));
}

// A target of a hinge: 0 is the negative class.
fn side(t: f32) -> f32 {
    return select(t, -1.0, t == 0.0);
}

// The probability of a wrong answer, t·(1 − p) + (1 − t)·p.
fn wrong(y: f32, t: f32) -> f32 {
    if LOGITS {
        return t * sigmoid(-y) + (1.0 - t) * sigmoid(y);
    }
    return t * (1.0 - y) + (1.0 - t) * y;
}

// a, b, c: the constants of `Penalty::code`.
fn penalty(function: u32, y: f32, t: f32, a: f32, b: f32, c: f32) -> f32 {
    let distance = abs(y - t);
    switch function {
        case 0u: { return distance; }
        case 1u: { return 100.0 * (distance / max(abs(t), EPSILON)); }
        case 2u: {
            let d = logarithms_apart(y, t);
            return d * d;
        }
        case 3u: { return select(a * (distance - 0.5 * a), 0.5 * distance * distance, distance <= a); }
        case 4u: {
            // cosh d = 1 + 2·sinh²(d/2), and 2·sinh²(d/2) = ½(eᵈ − 1)²·e⁻ᵈ.
            let above = expm1(min(distance, 1.0));
            let near = log1p(0.5 * above * above * exp(-min(distance, 1.0)));
            return select(distance + (log1p(exp(-2.0 * distance)) - 0.6931472), near, distance < 1.0);
        }
        case 5u: { return max(1.0 - side(t) * y, 0.0); }
        case 6u: {
            let margin = max(1.0 - side(t) * y, 0.0);
            return margin * margin;
        }
        case 7u: { return y - t * log_accurate(y + EPSILON); }
        case 8u: {
            let q = clamp(t, EPSILON, 1.0);
            return q * log_accurate(q / clamp(y, EPSILON, 1.0));
        }
        case 9u: { return (t * b + (1.0 - t) * c) * power(wrong(y, t), a) * term(y, t); }
        case 11u: { return select(-(t * y), 0.0, t == 0.0); }
        case 12u: { return distance * distance; }
        case 13u: { return term(y, t); }
        default: {
            let p = clamp(y, LOWEST, HIGHEST);
            return t * b * power(1.0 - p, a) * log1p((1.0 - p) / p);
        }
    }
}

fn penalty_slope(function: u32, y: f32, t: f32, a: f32, b: f32, c: f32) -> f32 {
    let difference = y - t;
    switch function {
        case 0u: { return keep_nan(difference, sign(difference)); }
        case 1u: { return keep_nan(difference, sign(difference)) * 100.0 / max(abs(t), EPSILON); }
        case 2u: { return select(2.0 * logarithms_apart(y, t) / (1.0 + y), 0.0, y < EPSILON); }
        case 3u: { return keep_nan(difference, clamp(difference, -a, a)); }
        case 4u: { return tanh_accurate(difference); }
        case 5u: { return select(0.0, -side(t), 1.0 - side(t) * y >= 0.0); }
        case 6u: { return -(2.0 * side(t)) * max(1.0 - side(t) * y, 0.0); }
        case 7u: { return 1.0 - t / (y + EPSILON); }
        case 8u: { return select(-(clamp(t, EPSILON, 1.0) / y), 0.0, y < EPSILON || y > 1.0); }
        case 9u: {
            var inner = 1.0;
            if LOGITS {
                inner = sigmoid(y) * sigmoid(-y);
            }
            let m = wrong(y, t);
            var focus = 0.0;
            if a != 0.0 {
                focus = a * power(m, a - 1.0) * ((1.0 - 2.0 * t) * inner * term(y, t));
            }
            return (t * b + (1.0 - t) * c) * (focus + power(m, a) * slope(y, t));
        }
        case 11u: { return -t; }
        case 12u: { return 2.0 * difference; }
        case 13u: { return slope(y, t); }
        default: {
            let p = clamp(y, LOWEST, HIGHEST);
            var focus = 0.0;
            if a != 0.0 {
                focus = a * power(1.0 - p, a - 1.0) * log1p((1.0 - p) / p);
            }
            return select(0.0, -(t * b) * (focus + power(1.0 - p, a) / p), p == y);
        }
    }
}
