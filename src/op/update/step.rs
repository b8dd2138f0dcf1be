//! The arithmetic of an update, for weights in lanes, for f64, and for the bounds of rounding errors alike.

use crate::number::Known;
use crate::op::adam::complement;
use crate::op::rate;

use super::Formula;

/// A few weights with their states and gradients.
pub(super) struct Lanes<N, const B: usize> {
    pub w: [N; B],
    pub states: [[N; B]; 3],
    pub g: [N; B],
}

impl<N: Known, const B: usize> Lanes<N, B> {
    #[inline(always)]
    fn each(&mut self, step: impl Fn(N, [N; 3], N) -> (N, [N; 3])) {
        let [a, b, c] = &mut self.states;
        for i in 0..B {
            let (w, [x, y, z]) = step(self.w[i], [a[i], b[i], c[i]], self.g[i]);
            (self.w[i], a[i], b[i], c[i]) = (w, x, y, z);
        }
    }
}

impl Formula {
    /// One update of a few weights, already decayed, by gradients already treated, at the learning rate `eta`.
    #[inline(always)]
    pub(super) fn step<N: Known, const B: usize>(
        &self,
        lanes: &mut Lanes<N, B>,
        eta: N,
        factor: f32,
        rates: &[N],
    ) {
        let of = |value: f32| N::constant(f64::from(value));
        let share = |beta: f32| N::constant(complement(beta));
        let one = N::constant(1.0);
        let moved = |before: N, to: N, rate: N| before + (to - before) * rate;
        match *self {
            Formula::Descent => lanes.each(|w, s, g| (w - eta * g, s)),
            Formula::Momentum { momentum, nesterov } => {
                let mu = of(momentum);
                lanes.each(|w, [v, b, c], g| {
                    let step = eta * g;
                    let v = mu * v - step;
                    let ahead = if nesterov { mu * v - step } else { v };
                    (w + ahead, [v, b, c])
                });
            }
            Formula::HeavyBall {
                momentum,
                dampening,
                nesterov,
            } => {
                let (mu, share) = (of(momentum), share(dampening));
                let first = rates[rate::UPDATE].decides() == 1.0;
                lanes.each(|w, [v, b, c], g| {
                    let v = if first { g } else { mu * v + share * g };
                    let ahead = if nesterov { g + mu * v } else { v };
                    (w - eta * ahead, [v, b, c])
                });
            }
            Formula::RmsProp {
                rho,
                momentum,
                epsilon,
                centered,
                outside,
            } => {
                let (share, mu, epsilon) = (share(rho), of(momentum), of(epsilon));
                let over = |x: N, v: N| over_root(x, v, epsilon, outside);
                let held = momentum != 0.0;
                // Keras' buffer holds steps, PyTorch's what the rate is multiplied by.
                let (inside, behind) = if outside { (one, eta) } else { (eta, one) };
                lanes.each(|w, [v, y, z], g| {
                    let v = moved(v, g * g, share);
                    let (y, z, spread) = if centered {
                        let y = moved(y, g, share);
                        // Rounding may put a variance below 0.
                        (y, z, (v - y * y).larger(N::constant(0.0)))
                    } else {
                        (y, z, v)
                    };
                    if !held {
                        return (w - over(eta * g, spread), [v, y, z]);
                    }
                    let before = if centered { z } else { y };
                    let buffer = mu * before + over(g * inside, spread);
                    let (y, z) = if centered { (y, buffer) } else { (buffer, z) };
                    (w - buffer * behind, [v, y, z])
                });
            }
            Formula::Adagrad { epsilon, outside } => {
                let epsilon = of(epsilon);
                lanes.each(|w, [a, y, z], g| {
                    let a = a + g * g;
                    (w - over_root(eta * g, a, epsilon, outside), [a, y, z])
                });
            }
            Formula::Adadelta { rho, epsilon } => {
                let (share, epsilon) = (share(rho), of(epsilon));
                lanes.each(|w, [a, d, z], g| {
                    let a = moved(a, g * g, share);
                    let delta = (d + epsilon).root() / (a + epsilon).root() * g;
                    (w - eta * delta, [a, moved(d, delta * delta, share), z])
                });
            }
            Formula::Adam {
                beta_1,
                beta_2,
                epsilon,
                amsgrad,
                corrected,
            } => {
                let (c1, c2, epsilon) = (share(beta_1), share(beta_2), of(epsilon));
                let root = (one - rates[rate::POWER_2]).root();
                let rate = eta / (one - rates[rate::POWER_1]);
                lanes.each(|w, [m, v, h], g| {
                    let (m, v) = (moved(m, g, c1), moved(v, g * g, c2));
                    let h = if amsgrad { h.larger(v) } else { h };
                    let v_used = if amsgrad { h } else { v };
                    let step = if corrected {
                        m * rate / (v_used.root() / root + epsilon)
                    } else {
                        m * (rate * root) / (v_used.root() + epsilon)
                    };
                    (w - step, [m, v, h])
                });
            }
            Formula::Adamax {
                beta_1,
                beta_2,
                epsilon,
                inside,
            } => {
                let (c1, b2) = (share(beta_1), of(beta_2));
                let rate = eta / (one - rates[rate::POWER_1]);
                let (within, beside) = if inside {
                    (of(epsilon), of(0.0))
                } else {
                    (of(0.0), of(epsilon))
                };
                lanes.each(|w, [m, u, z], g| {
                    let m = moved(m, g, c1);
                    let u = (b2 * u).larger(g.magnitude() + within);
                    (w - m * rate / (u + beside), [m, u, z])
                });
            }
            Formula::Nadam {
                beta_1,
                beta_2,
                epsilon,
                base,
                rounded,
            } => {
                let share = |beta: f32| N::constant(nadam_share(beta, rounded));
                let (c1, c2, epsilon) = (share(beta_1), share(beta_2), of(epsilon));
                let (power, product) = (rates[rate::SERIES], rates[rate::SERIES + 1]);
                let half = N::constant(0.5);
                let now = of(beta_1) * (one - half * power);
                let next = of(beta_1) * (one - half * (power * of(base)));
                let of_mean = next / (one - product * next);
                let of_gradient = (one - now) / (one - product);
                let left = one - rates[rate::POWER_2];
                lanes.each(|w, [m, v, z], g| {
                    let (m, v) = (moved(m, g, c1), moved(v, g * g, c2));
                    let ahead = m * of_mean + g * of_gradient;
                    (w - ahead * eta / ((v / left).root() + epsilon), [m, v, z])
                });
            }
            Formula::Radam {
                beta_1,
                beta_2,
                epsilon,
            } => {
                let (c1, c2, epsilon) = (share(beta_1), share(beta_2), of(epsilon));
                let rate = eta / (one - rates[rate::POWER_1]);
                let rectified = rates[rate::SERIES];
                let factor = rectified * (one - rates[rate::POWER_2]).root();
                let plain = rectified.decides() == 0.0;
                lanes.each(|w, [m, v, z], g| {
                    let (m, v) = (moved(m, g, c1), moved(v, g * g, c2));
                    let step = m * rate;
                    let step = if plain {
                        step
                    } else {
                        step * (factor / (v.root() + epsilon))
                    };
                    (w - step, [m, v, z])
                });
            }
            Formula::Lion { beta_1, beta_2 } => {
                let (b1, c1, b2, c2) = (of(beta_1), share(beta_1), of(beta_2), share(beta_2));
                lanes.each(|w, [m, y, z], g| {
                    let direction = (b1 * m + c1 * g).sign();
                    (w - eta * direction, [b2 * m + c2 * g, y, z])
                });
            }
            Formula::Ftrl {
                power,
                l1,
                l2,
                shrinkage,
                beta,
            } => {
                let (power, l1) = (f64::from(power), f64::from(l1));
                let shrinkage = of(2.0 * shrinkage);
                let constant = of(2.0 * l2) + of(beta) / eta;
                lanes.each(|w, [n, z, y], g| {
                    let sum = n + g * g;
                    let root = sum.to_the(power);
                    let gradient = g + shrinkage * w;
                    let z = z + (gradient - (root - n.to_the(power)) / eta * w);
                    let w = (z.limited(l1) - z) / (root / eta + constant);
                    (w, [sum, z, y])
                });
            }
            Formula::Asgd { lambda } => {
                let rate = rates[rate::SERIES] * of(factor);
                let decay = of(lambda) * rate;
                let share = rates[rate::SERIES + 1];
                let whole = share.decides() == 1.0;
                lanes.each(|w, [mean, y, z], g| {
                    let w = w - w * decay - rate * g;
                    let mean = if whole { w } else { moved(mean, w, share) };
                    (w, [mean, y, z])
                });
            }
            Formula::Rprop {
                shrink,
                grow,
                least,
                most,
            } => {
                let first = rates[rate::UPDATE].decides() == 1.0;
                let zero = N::constant(0.0);
                lanes.each(|w, [last, size, z], g| {
                    let (last, size) = if first { (zero, eta) } else { (last, size) };
                    let turn = (g.sign() * last.sign()).decides();
                    let (factor, g) = if turn < 0.0 {
                        (of(shrink), zero)
                    } else if turn > 0.0 {
                        (of(grow), g)
                    } else {
                        (one, g)
                    };
                    let size = (size * factor).larger(of(least)).smaller(of(most));
                    (w - g.sign() * size, [g, size, z])
                });
            }
            Formula::Lamb {
                beta_1,
                beta_2,
                epsilon,
            } => {
                let (c1, c2, epsilon) = (share(beta_1), share(beta_2), of(epsilon));
                let (left_1, left_2) = (one - rates[rate::POWER_1], one - rates[rate::POWER_2]);
                lanes.each(|w, [m, v, _], g| {
                    let (m, v) = (moved(m, g, c1), moved(v, g * g, c2));
                    let u = m / left_1 / ((v / left_2).root() + epsilon);
                    (w, [m, v, u])
                });
            }
            Formula::Trust => {
                let (w_square, u_square) = (rates[rate::SQUARES], rates[rate::SQUARES + 1]);
                let ratio = if w_square.decides() > 0.0 && u_square.decides() > 0.0 {
                    w_square.root() / u_square.root()
                } else {
                    one
                };
                let rate = ratio * eta;
                lanes.each(|w, s, g| (w - rate * g, s));
            }
            Formula::Relative {
                epsilon,
                threshold,
                elements,
            } => {
                let part = N::constant(1.0 / f64::from(elements));
                let size = of(epsilon).larger((rates[rate::SQUARES] * part).root());
                let excess = one.larger((rates[rate::SQUARES + 1] * part).root() / of(threshold));
                let slowest = one / rates[rate::UPDATE].root();
                let rate = size * eta.smaller(slowest) / excess;
                lanes.each(|w, s, g| (w - g * rate, s));
            }
            Formula::Blend => {
                let share = rates[rate::SERIES];
                lanes.each(|w, s, g| (moved(w, g, share), s));
            }
            Formula::Buffer { momentum, share } => {
                let (mu, share) = (of(momentum), of(share));
                lanes.each(|w, s, g| (mu * w + share * g, s));
            }
            Formula::Collect { share } => {
                let share = of(share);
                let begins = (rates[rate::FLAGS].decides() as u32) & 4 != 0;
                lanes.each(|w, s, g| {
                    let before = if begins { N::constant(0.0) } else { w };
                    (before + share * g, s)
                });
            }
        }
    }
}

/// 1 − β, of the decimal number or of the float.
pub(super) fn nadam_share(beta: f32, rounded: bool) -> f64 {
    match rounded {
        true => 1.0 - f64::from(beta),
        false => complement(beta),
    }
}

/// x over the root of v, with ε inside or outside.
#[inline(always)]
fn over_root<N: Known>(x: N, v: N, epsilon: N, outside: bool) -> N {
    if outside {
        x / (v.root() + epsilon)
    } else {
        x / (v + epsilon).root()
    }
}
