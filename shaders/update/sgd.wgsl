// w ← w − η·g.

struct Rule {
    none: u32,
}

fn take_step(p: Point, s: States) -> Next {
    return Next(p.w - p.eta * p.g, s);
}
