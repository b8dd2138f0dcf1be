// w ← w − max(ε, rms w)·min(η, 1/√t)·g/max(1, rms g/d) by the sums of squares in the rates.

struct Rule {
    epsilon: f32,
    threshold: f32,
    // 1 over the number of elements.
    part: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let size = max(params.rule.epsilon, sqrt(rates[2].x * params.rule.part));
    let excess = max(1.0, sqrt(rates[2].y * params.rule.part) / params.rule.threshold);
    let rate = min(p.eta, 1.0 / sqrt(rates[1].x));
    return Next(p.w - p.g * (size * rate / excess), s);
}
