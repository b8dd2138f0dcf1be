// Binary cross-entropy of one element, from a logit or a probability, and its derivative.
//
//   of logits          |z|·(z > 0 ? 1 − t : t) + ln(1 + e^−|z|),   which is max(z, 0) − z·t + ln(1 + e^−|z|)
//   of probabilities   t·ln(1 + (1 − p)/p) + (1 − t)·ln(1 + p/(1 − p))

override LOGITS: bool = true;

// Keras's ends of a probability, 1e-7 and 1 − 1e-7, as f32.
const LOWEST = 1e-7f;
const HIGHEST = 0.9999998807907104f;

fn term(y: f32, t: f32) -> f32 {
    if LOGITS {
        return abs(y) * select(t, 1.0 - t, y > 0.0) + log1p(exp(-abs(y)));
    }
    let p = clamp(y, LOWEST, HIGHEST);
    return t * log1p((1.0 - p) / p) + (1.0 - t) * log1p(p / (1.0 - p));
}

// d term/dy. Of logits it is sigmoid z − t over a common denominator, where nothing cancels for t = 0 or 1; of
// probabilities it is 0 outside the ends.
fn slope(y: f32, t: f32) -> f32 {
    if LOGITS {
        let e = exp(-abs(y));
        return select(e * (1.0 - t) - t, (1.0 - t) - t * e, y >= 0.0) / (1.0 + e);
    }
    let p = clamp(y, LOWEST, HIGHEST);
    return select(0.0, (p - t) / (p * (1.0 - p)), p == y);
}
