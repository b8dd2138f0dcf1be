// w ← w·(1 − λ·ηₜ) − ηₜ·g, a ← a + μₜ·(w − a). The series: ηₜ and μₜ.

struct Rule {
    lambda: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let rate = rates[1].z * params.eta_factor;
    let after = p.w - p.w * (params.rule.lambda * rate) - rate * p.g;
    let mean = select(moved(s.a, after, rates[1].w), after, vec4(rates[1].w == 1.0));
    return Next(after, States(mean, s.b, s.c));
}
