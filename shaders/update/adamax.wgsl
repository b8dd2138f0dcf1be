// m ← m + (1 − β₁)(g − m), u ← max(β₂·u, |g|), w ← w − η/(1 − β₁ᵗ)·m/(u + ε); PyTorch: u ← max(β₂·u, |g| + ε), m/u.

struct Rule {
    rate_1: f32,
    beta_2: f32,
    epsilon: f32,
    pytorch: u32,
}

fn take_step(p: Point, s: States) -> Next {
    let m = moved(s.a, p.g, params.rule.rate_1);
    // ε is in the norm or beside it.
    let in_norm = select(0.0, params.rule.epsilon, params.rule.pytorch != 0u);
    let norm = larger(params.rule.beta_2 * s.b, abs(p.g) + in_norm);
    let change = m * (p.eta / (1.0 - rates[0].y)) / (norm + (params.rule.epsilon - in_norm));
    return Next(p.w - change, States(m, norm, s.c));
}
