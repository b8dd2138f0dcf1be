// w ← w + (g − w)·p. The series: p.

struct Rule {
    none: u32,
}

fn take_step(p: Point, s: States) -> Next {
    return Next(moved(p.w, p.g, rates[1].z), s);
}
