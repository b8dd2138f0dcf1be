// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), w ← w − η·m/(1 − β₁ᵗ)·r·√(1 − β₂ᵗ)/(√v + ε), and without what follows
// m where r = 0. The series: r.

struct Rule {
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let m = moved(s.a, p.g, params.rule.rate_1);
    let v = moved(s.b, p.g * p.g, params.rule.rate_2);
    var step = m * (p.eta / (1.0 - rates[0].y));
    if rates[1].z != 0.0 {
        step *= rates[1].z * sqrt(1.0 - rates[0].z) / (sqrt(v) + params.rule.epsilon);
    }
    return Next(p.w - step, States(m, v, s.c));
}
