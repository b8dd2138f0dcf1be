// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), μₜ = β₁·(1 − ½·baseᵗ),
// w ← w − η·(μₜ₊₁·m/(1 − Πμᵢ, i ≤ t+1) + (1 − μₜ)·g/(1 − Πμᵢ, i ≤ t))/(√(v/(1 − β₂ᵗ)) + ε).
//
// The series: baseᵗ and Πμᵢ.

struct Rule {
    beta_1: f32,
    rate_1: f32,
    rate_2: f32,
    epsilon: f32,
    base: f32,
}

fn take_step(p: Point, s: States) -> Next {
    let m = moved(s.a, p.g, params.rule.rate_1);
    let v = moved(s.b, p.g * p.g, params.rule.rate_2);
    let now = params.rule.beta_1 * (1.0 - 0.5 * rates[1].z);
    let next = params.rule.beta_1 * (1.0 - 0.5 * (rates[1].z * params.rule.base));
    let product = rates[1].w;
    let ahead = m * (next / (1.0 - product * next)) + p.g * ((1.0 - now) / (1.0 - product));
    let change = ahead * p.eta / (sqrt(v / (1.0 - rates[0].z)) + params.rule.epsilon);
    return Next(p.w - change, States(m, v, s.c));
}
