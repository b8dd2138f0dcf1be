// b ← g in the first update, b ← μ·b + (1 − τ)·g after it, w ← w − η·b, or with Nesterov's look-ahead w ← w − η·(g + μ·b).

struct Rule {
    momentum: f32,
    // 1 − τ.
    rate: f32,
    nesterov: u32,
}

fn take_step(p: Point, s: States) -> Next {
    var buffer = p.g;
    if !is_first() {
        buffer = params.rule.momentum * s.a + params.rule.rate * p.g;
    }
    var ahead = buffer;
    if params.rule.nesterov != 0u {
        ahead = p.g + params.rule.momentum * buffer;
    }
    return Next(p.w - p.eta * ahead, States(buffer, s.b, s.c));
}
