// s ← min(max(s·(f₋, 1 or f₊), s₋), s₊) by the sign of g·(the gradient before), where the gradient that turns counts as 0;
// w ← w − s·sign g. s is η at first.

struct Rule {
    shrink: f32,
    grow: f32,
    least: f32,
    most: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let first = vec4(is_first());
    let size = select(s.b, vec4(p.eta), first);
    let turn = sign_of(p.g) * sign_of(select(s.a, vec4(0.0), first));
    let turned = turn < vec4(0.0);
    let factor = select(select(vec4(1.0), vec4(params.rule.grow), turn > vec4(0.0)), vec4(params.rule.shrink), turned);
    let next = min(max(size * factor, vec4(params.rule.least)), vec4(params.rule.most));
    let gradient = select(p.g, vec4(0.0), turned);
    return Next(p.w - sign_of(gradient) * next, States(gradient, next, s.c));
}
