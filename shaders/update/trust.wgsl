// w ← w − η·‖w‖/‖g‖·g by the sums of squares in the rates; 1 for the ratio where a norm is 0.

struct Rule {
    none: u32,
}

fn take_step(p: Point, s: States) -> Next {
    var ratio = 1.0;
    if abs(rates[2].x) > 0.0 && abs(rates[2].y) > 0.0 {
        let weights = norm_of(rates[2].x);
        let direction = norm_of(rates[2].y);
        ratio = weights.x / direction.x * (weights.y / direction.y);
    }
    return Next(p.w - (ratio * p.eta) * p.g, s);
}
