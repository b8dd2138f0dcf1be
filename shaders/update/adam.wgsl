// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε); AMSGrad takes the
// largest v so far. PyTorch: w ← w − η/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + ε).

struct Rule {
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
    amsgrad: u32,
    pytorch: u32,
}

fn take_step(p: Point, s: States) -> Next {
    let m = moved(s.a, p.g, params.rule.rate_1);
    let v = moved(s.b, p.g * p.g, params.rule.rate_2);
    var largest = v;
    if params.rule.amsgrad != 0u {
        largest = larger(s.c, v);
    }
    let root = sqrt(1.0 - rates[0].z);
    let rate = p.eta / (1.0 - rates[0].y);
    var change = m * (rate * root) / (sqrt(largest) + params.rule.epsilon);
    if params.rule.pytorch != 0u {
        change = m * rate / (sqrt(largest) / root + params.rule.epsilon);
    }
    return Next(p.w - change, States(m, v, largest));
}
