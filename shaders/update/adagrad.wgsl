// a ← a + g², w ← w − η·g/√(a + ε); PyTorch has ε outside of the root.

struct Rule {
    epsilon: f32,
    pytorch: u32,
}

fn take_step(p: Point, s: States) -> Next {
    let sum = s.a + p.g * p.g;
    let change = over_root(p.eta * p.g, sum, params.rule.epsilon, params.rule.pytorch != 0u);
    return Next(p.w - change, States(sum, s.b, s.c));
}
