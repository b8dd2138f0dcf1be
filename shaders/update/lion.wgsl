// w ← w − η·sign(β₁·m + (1 − β₁)·g), m ← β₂·m + (1 − β₂)·g.

struct Rule {
    beta_1: f32,
    rate_1: f32,
    beta_2: f32,
    rate_2: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let direction = sign_of(params.rule.beta_1 * s.a + params.rule.rate_1 * p.g);
    let m = params.rule.beta_2 * s.a + params.rule.rate_2 * p.g;
    return Next(p.w - p.eta * direction, States(m, s.b, s.c));
}
