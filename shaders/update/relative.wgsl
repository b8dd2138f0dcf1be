// w ← w − max(ε, rms w)·min(η, 1/√t)·g/max(1, rms g/d) by the sums of squares in the rates.

struct Rule {
    epsilon: f32,
    threshold: f32,
    // 1 over the number of elements.
    part: f32,
}

// The root of the mean of squares, given their sum.
fn rms(squares: f32) -> f32 {
    return sqrt(abs(squares) * params.rule.part) * norm_of(squares).y;
}

fn take_step(p: Point, s: States) -> Next {
    let size = keep_nan(rates[2].x, max(params.rule.epsilon, rms(rates[2].x)));
    let excess = keep_nan(rates[2].y, max(1.0, rms(rates[2].y) / params.rule.threshold));
    let rate = min(p.eta, 1.0 / sqrt(rates[1].x));
    return Next(p.w - p.g * (size * rate / excess), s);
}
