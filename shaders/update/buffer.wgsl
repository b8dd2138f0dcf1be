// w ← μ·w + s·g.

struct Rule {
    momentum: f32,
    gradient_share: f32,
}

fn take_step(p: Point, s: States) -> Next {
    return Next(params.rule.momentum * p.w + params.rule.gradient_share * p.g, s);
}
