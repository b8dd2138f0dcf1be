// n' = n + g², z ← z + g + 2s·w − (n'^p − n^p)/η·w, w ← (clip(z, ±λ₁) − z)/(n'^p/η + 2λ₂ + β/η), n ← n'.

struct Rule {
    power: f32,
    l1: f32,
    // 2λ₂ and 2s.
    twice_l2: f32,
    twice_shrinkage: f32,
    beta: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let sum = s.a + p.g * p.g;
    let root = power_of(sum, params.rule.power);
    let gradient = p.g + params.rule.twice_shrinkage * p.w;
    let linear = s.b + (gradient - (root - power_of(s.a, params.rule.power)) / p.eta * p.w);
    let quadratic = root / p.eta + (params.rule.twice_l2 + params.rule.beta / p.eta);
    return Next((limited(linear, params.rule.l1) - linear) / quadratic, States(sum, linear, s.c));
}
