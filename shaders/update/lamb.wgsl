// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), u ← m/(1 − β₁ᵗ)/(√(v/(1 − β₂ᵗ)) + ε); w stays.

struct Rule {
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let m = moved(s.a, p.g, params.rule.rate_1);
    let v = moved(s.b, p.g * p.g, params.rule.rate_2);
    let direction = m / (1.0 - rates[0].y) / (sqrt(v / (1.0 - rates[0].z)) + params.rule.epsilon);
    return Next(p.w, States(m, v, direction));
}
