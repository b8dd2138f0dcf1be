// The mean of an update's gradients, as far as they have come: w ← w + s·g in every step, of those of an update w = 0
// before the first.

struct Rule {
    gradient_share: f32,
}

fn take_step(p: Point, s: States) -> Next {
    return Next(select(p.w, vec4(0.0), vec4(flag(4u))) + params.rule.gradient_share * p.g, s);
}
