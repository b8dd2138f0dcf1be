// v ← μ·v − η·g, w ← w + v, or with Nesterov's look-ahead w ← w + μ·v − η·g.

struct Rule {
    momentum: f32,
    nesterov: u32,
}

fn take_step(p: Point, s: States) -> Next {
    let step = p.eta * p.g;
    let velocity = params.rule.momentum * s.a - step;
    var ahead = velocity;
    if params.rule.nesterov != 0u {
        ahead = params.rule.momentum * velocity - step;
    }
    return Next(p.w + ahead, States(velocity, s.b, s.c));
}
