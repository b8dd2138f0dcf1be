// v ← ρ·v + (1 − ρ)·g², w ← w − η·g/√(v + ε); centred with the mean m of g: v − m² instead of v. With momentum μ:
// b ← μ·b + η·g/√…, w ← w − b. PyTorch has ε outside of the root and η outside of b.
//
// States: v, then m where it is centred, then b where there is a momentum.

struct Rule {
    // 1 − ρ.
    rate: f32,
    momentum: f32,
    epsilon: f32,
    centered: u32,
    pytorch: u32,
}

fn take_step(p: Point, s: States) -> Next {
    let centered = params.rule.centered != 0u;
    let pytorch = params.rule.pytorch != 0u;
    let v = moved(s.a, p.g * p.g, params.rule.rate);
    var states = States(v, s.b, s.c);
    var spread = v;
    if centered {
        states.b = moved(s.b, p.g, params.rule.rate);
        // Rounding may put a variance below 0.
        spread = larger(v - states.b * states.b, vec4(0.0));
    }
    if params.rule.momentum == 0.0 {
        return Next(p.w - over_root(p.eta * p.g, spread, params.rule.epsilon, pytorch), states);
    }
    // Keras' buffer holds steps, PyTorch's what the rate is multiplied by.
    let inside = select(p.eta, 1.0, pytorch);
    let outside = select(1.0, p.eta, pytorch);
    let before = select(s.b, s.c, vec4(centered));
    let buffer = params.rule.momentum * before + over_root(p.g * inside, spread, params.rule.epsilon, pytorch);
    states.b = select(buffer, states.b, vec4(centered));
    states.c = select(s.c, buffer, vec4(centered));
    return Next(p.w - buffer * outside, states);
}
