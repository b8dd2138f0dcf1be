// w ← w − η·‖w‖/‖g‖·g by the sums of squares in the rates; 1 for the ratio where a norm is 0.

struct Rule {
    none: u32,
}

fn take_step(p: Point, s: States) -> Next {
    var ratio = 1.0;
    if rates[2].x > 0.0 && rates[2].y > 0.0 {
        ratio = sqrt(rates[2].x) / sqrt(rates[2].y);
    }
    return Next(p.w - (ratio * p.eta) * p.g, s);
}
