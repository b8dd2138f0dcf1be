// a ← ρ·a + (1 − ρ)·g², δ = √(d + ε)/√(a + ε)·g, d ← ρ·d + (1 − ρ)·δ², w ← w − η·δ.

struct Rule {
    // 1 − ρ.
    rate: f32,
    epsilon: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let square = moved(s.a, p.g * p.g, params.rule.rate);
    let delta = sqrt(s.b + params.rule.epsilon) / sqrt(square + params.rule.epsilon) * p.g;
    return Next(p.w - p.eta * delta, States(square, moved(s.b, delta * delta, params.rule.rate), s.c));
}
