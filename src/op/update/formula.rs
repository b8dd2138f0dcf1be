//! The formulas of updates, each with its source, the states that it keeps, and what its shader's entry point takes.
//!
//! Throughout η is the learning rate, g the gradient, t the number of the update. Names and states are those of Keras 3
//! (`keras.optimizers`), and so are the formulas but where another source is named.

use crate::op::adam::complement;
use crate::op::sgd::check_factor;
use crate::op::{Launch, rate};

use super::number::Number;

/// How an update changes a weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Formula {
    /// w ← w − η·g.
    Descent,
    /// v ← μ·v − η·g, w ← w + v, or with Nesterov's look-ahead w ← w + μ·v − η·g.
    Momentum {
        /// μ, in [0, 1).
        momentum: f32,
        /// Whether to look ahead.
        nesterov: bool,
    },
    /// PyTorch's: b ← g in the first update, b ← μ·b + (1 − τ)·g after it, w ← w − η·b, or with Nesterov's look-ahead
    /// w ← w − η·(g + μ·b).
    HeavyBall {
        /// μ, in [0, 1).
        momentum: f32,
        /// τ, in [0, 1].
        dampening: f32,
        /// Whether to look ahead.
        nesterov: bool,
    },
    /// v ← ρ·v + (1 − ρ)·g², w ← w − η·g/√(v + ε); centred with the mean m of g: v − m² instead of v (Hinton, 2012;
    /// Graves, 2013). With momentum μ: b ← μ·b + η·g/√…, w ← w − b. PyTorch has ε outside of the root and η outside of b.
    RmsProp {
        /// ρ, in [0, 1).
        rho: f32,
        /// μ, in [0, 1).
        momentum: f32,
        /// ε.
        epsilon: f32,
        /// Whether the mean of g is taken off.
        centered: bool,
        /// Whether as in PyTorch.
        outside: bool,
    },
    /// a ← a + g², w ← w − η·g/√(a + ε) (Duchi et al., 2011); PyTorch has ε outside of the root.
    Adagrad {
        /// ε.
        epsilon: f32,
        /// Whether ε is outside of the root.
        outside: bool,
    },
    /// a ← ρ·a + (1 − ρ)·g², δ = √(d + ε)/√(a + ε)·g, d ← ρ·d + (1 − ρ)·δ², w ← w − η·δ (Zeiler, 2012).
    Adadelta {
        /// ρ, in [0, 1).
        rho: f32,
        /// ε.
        epsilon: f32,
    },
    /// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v), w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε) (Kingma and Ba,
    /// 2014); AMSGrad (Reddi et al., 2018) takes the largest v so far. PyTorch: w ← w − η/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + ε).
    Adam {
        /// β₁, in [0, 1).
        beta_1: f32,
        /// β₂, in [0, 1).
        beta_2: f32,
        /// ε.
        epsilon: f32,
        /// Whether the largest v counts.
        amsgrad: bool,
        /// Whether ε stands beside the corrected root, as in PyTorch.
        corrected: bool,
    },
    /// m as Adam's, u ← max(β₂·u, |g|), w ← w − η/(1 − β₁ᵗ)·m/(u + ε); PyTorch: u ← max(β₂·u, |g| + ε), m/u.
    Adamax {
        /// β₁, in [0, 1).
        beta_1: f32,
        /// β₂, in [0, 1).
        beta_2: f32,
        /// ε.
        epsilon: f32,
        /// Whether ε is in the norm, as in PyTorch.
        inside: bool,
    },
    /// m and v as Adam's, w ← w − η·(μₜ₊₁·m/(1 − Πμᵢ, i ≤ t+1) + (1 − μₜ)·g/(1 − Πμᵢ, i ≤ t))/(√(v/(1 − β₂ᵗ)) + ε)
    /// (Dozat, 2016), with the μ of the clock's [`Series::Nadam`](crate::op::Series::Nadam) of the same base.
    Nadam {
        /// β₁, in [0, 1).
        beta_1: f32,
        /// β₂, in [0, 1).
        beta_2: f32,
        /// ε.
        epsilon: f32,
        /// The base of the series.
        base: f32,
        /// Whether 1 − β is that of the f32 next to β, 1.3e-5 off for 0.999, as in Keras' Nadam alone.
        rounded: bool,
    },
    /// m and v as Adam's, w ← w − η·m/(1 − β₁ᵗ)·r·√(1 − β₂ᵗ)/(√v + ε), and without what follows m where r = 0 (Liu et
    /// al., 2019; PyTorch), with the r of the clock's [`Series::Radam`](crate::op::Series::Radam).
    Radam {
        /// β₁, in [0, 1).
        beta_1: f32,
        /// β₂, in [0, 1).
        beta_2: f32,
        /// ε.
        epsilon: f32,
    },
    /// w ← w − η·sign(β₁·m + (1 − β₁)·g), m ← β₂·m + (1 − β₂)·g (Chen et al., 2023).
    Lion {
        /// β₁, in [0, 1).
        beta_1: f32,
        /// β₂, in [0, 1).
        beta_2: f32,
    },
    /// n' = n + g², z ← z + g + 2s·w − (n'^p − n^p)/η·w, w ← (clip(z, ±λ₁) − z)/(n'^p/η + 2λ₂ + β/η), n ← n' (McMahan et
    /// al., 2013); p is Keras' −learning_rate_power.
    Ftrl {
        /// p, at least 0.
        power: f32,
        /// λ₁, at least 0.
        l1: f32,
        /// λ₂, at least 0.
        l2: f32,
        /// s, at least 0.
        shrinkage: f32,
        /// β, at least 0.
        beta: f32,
    },
    /// w ← w·(1 − λ·ηₜ) − ηₜ·g, a ← a + μₜ·(w − a) (Polyak and Juditsky, 1992; PyTorch), with ηₜ and μₜ of the clock's
    /// [`Series::Asgd`](crate::op::Series::Asgd).
    Asgd {
        /// λ.
        lambda: f32,
    },
    /// s ← min(max(s·(f₋, 1 or f₊), s₋), s₊) by the sign of g·(the gradient before), where the gradient that turns counts
    /// as 0; w ← w − s·sign g (Riedmiller and Braun, 1993; PyTorch). s is η at first.
    Rprop {
        /// f₋, in (0, 1).
        shrink: f32,
        /// f₊, above 1.
        grow: f32,
        /// s₋.
        least: f32,
        /// s₊.
        most: f32,
    },
    /// The first part of LAMB (You et al., 2019): m and v as Adam's, u ← m/(1 − β₁ᵗ)/(√(v/(1 − β₂ᵗ)) + ε); w stays.
    Lamb {
        /// β₁, in [0, 1).
        beta_1: f32,
        /// β₂, in [0, 1).
        beta_2: f32,
        /// ε.
        epsilon: f32,
    },
    /// The second part of LAMB, g being its u: w ← w − η·‖w‖/‖u‖·g by the sums of squares in the rates; 1 for the ratio
    /// where a norm is 0.
    Trust,
    /// The last part of Adafactor (Shazeer and Stern, 2018), g being its u: w ← w − max(ε, rms w)·min(η, 1/√t)·g/max(1,
    /// rms u/d) by the sums of squares in the rates.
    Relative {
        /// ε.
        epsilon: f32,
        /// d.
        threshold: f32,
        /// The number of elements, of which a mean square is the mean.
        elements: u32,
    },
    /// w ← w + (g − w)·p with the p of the clock's [`Series::Power`](crate::op::Series::Power).
    Blend,
    /// w ← μ·w + s·g.
    Buffer {
        /// μ.
        momentum: f32,
        /// s.
        share: f32,
    },
    /// w ← w + share·g in every step, of those of an update w = 0 before the first.
    Collect {
        /// The share.
        share: f32,
    },
}

/// A few weights with their states and gradients.
pub(super) struct Lanes<N, const B: usize> {
    pub w: [N; B],
    pub states: [[N; B]; 3],
    pub g: [N; B],
}

impl<N: Number, const B: usize> Lanes<N, B> {
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
    /// The op's name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Formula::Descent => "update.sgd",
            Formula::Momentum { .. } => "update.momentum",
            Formula::HeavyBall { .. } => "update.heavy_ball",
            Formula::RmsProp { .. } => "update.rmsprop",
            Formula::Adagrad { .. } => "update.adagrad",
            Formula::Adadelta { .. } => "update.adadelta",
            Formula::Adam { amsgrad: false, .. } => "update.adam",
            Formula::Adam { amsgrad: true, .. } => "update.amsgrad",
            Formula::Adamax { .. } => "update.adamax",
            Formula::Nadam { .. } => "update.nadam",
            Formula::Radam { .. } => "update.radam",
            Formula::Lion { .. } => "update.lion",
            Formula::Ftrl { .. } => "update.ftrl",
            Formula::Asgd { .. } => "update.asgd",
            Formula::Rprop { .. } => "update.rprop",
            Formula::Lamb { .. } => "update.lamb",
            Formula::Trust => "update.trust",
            Formula::Relative { .. } => "update.relative",
            Formula::Blend => "update.blend",
            Formula::Buffer { .. } => "update.buffer",
            Formula::Collect { .. } => "update.collect",
        }
    }

    /// Where the formula is in the shader.
    pub(super) fn entry(&self) -> &'static str {
        match self {
            Formula::Descent => "descent",
            Formula::Momentum { .. } => "momentum",
            Formula::HeavyBall { .. } => "heavy_ball",
            Formula::RmsProp {
                momentum, centered, ..
            } => match (*momentum != 0.0, centered) {
                (false, false) => "rmsprop",
                (true, false) => "rmsprop_momentum",
                (false, true) => "rmsprop_centered",
                (true, true) => "rmsprop_centered_momentum",
            },
            Formula::Adagrad { .. } => "adagrad",
            Formula::Adadelta { .. } => "adadelta",
            Formula::Adam { amsgrad: false, .. } => "adam",
            Formula::Adam { amsgrad: true, .. } => "amsgrad",
            Formula::Adamax { .. } => "adamax",
            Formula::Nadam { .. } => "nadam",
            Formula::Radam { .. } => "radam",
            Formula::Lion { .. } => "lion",
            Formula::Ftrl { .. } => "ftrl",
            Formula::Asgd { .. } => "asgd",
            Formula::Rprop { .. } => "rprop",
            Formula::Lamb { .. } => "lamb",
            Formula::Trust => "trust",
            Formula::Relative { .. } => "relative",
            Formula::Blend => "blend",
            Formula::Buffer { .. } => "buffer",
            Formula::Collect { .. } => "collect",
        }
    }

    /// The names of its states, as variables of a graph have them behind the parameter's.
    pub fn states(&self) -> &'static [&'static str] {
        match self {
            Formula::Descent
            | Formula::Trust
            | Formula::Relative { .. }
            | Formula::Blend
            | Formula::Buffer { .. }
            | Formula::Collect { .. } => &[],
            Formula::Momentum { .. } => &["momentum"],
            Formula::HeavyBall { .. } => &["momentum_buffer"],
            Formula::RmsProp {
                momentum, centered, ..
            } => match (*momentum != 0.0, centered) {
                (false, false) => &["velocity"],
                (true, false) => &["velocity", "momentum"],
                (false, true) => &["velocity", "average_gradient"],
                (true, true) => &["velocity", "average_gradient", "momentum"],
            },
            Formula::Adagrad { .. } => &["accumulator"],
            Formula::Adadelta { .. } => &["accumulated_grad", "accumulated_delta_var"],
            Formula::Adam { amsgrad: true, .. } => &["m", "v", "v_hat"],
            Formula::Adam { .. } | Formula::Nadam { .. } | Formula::Radam { .. } => &["m", "v"],
            Formula::Adamax { .. } => &["m", "u"],
            Formula::Lion { .. } => &["m"],
            Formula::Ftrl { .. } => &["accumulator", "linear"],
            Formula::Asgd { .. } => &["ax"],
            Formula::Rprop { .. } => &["prev", "step_size"],
            Formula::Lamb { .. } => &["m", "v", "direction"],
        }
    }

    /// Whether it changes in every step, not only in those that update.
    pub(super) fn always(&self) -> bool {
        matches!(self, Formula::Collect { .. })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let positive = |name: &str, value: f32| {
            if value > 0.0 && value.is_finite() {
                return Ok(());
            }
            Err(format!("{name} must be above 0 and finite, got {value}"))
        };
        let betas = |beta_1: f32, beta_2: f32| {
            check_factor("beta_1", beta_1)?;
            check_factor("beta_2", beta_2)
        };
        match *self {
            Formula::Momentum { momentum, .. } | Formula::HeavyBall { momentum, .. } => {
                check_factor("momentum", momentum)
            }
            Formula::RmsProp {
                rho,
                momentum,
                epsilon,
                ..
            } => {
                check_factor("rho", rho)?;
                check_factor("momentum", momentum)?;
                positive("epsilon", epsilon)
            }
            Formula::Adagrad { epsilon, .. } | Formula::Relative { epsilon, .. } => {
                positive("epsilon", epsilon)
            }
            Formula::Adadelta { rho, epsilon } => {
                check_factor("rho", rho)?;
                positive("epsilon", epsilon)
            }
            Formula::Adam {
                beta_1,
                beta_2,
                epsilon,
                ..
            }
            | Formula::Adamax {
                beta_1,
                beta_2,
                epsilon,
                ..
            }
            | Formula::Nadam {
                beta_1,
                beta_2,
                epsilon,
                ..
            }
            | Formula::Radam {
                beta_1,
                beta_2,
                epsilon,
            }
            | Formula::Lamb {
                beta_1,
                beta_2,
                epsilon,
            } => {
                betas(beta_1, beta_2)?;
                positive("epsilon", epsilon)
            }
            Formula::Lion { beta_1, beta_2 } => betas(beta_1, beta_2),
            Formula::Ftrl { .. }
            | Formula::Descent
            | Formula::Asgd { .. }
            | Formula::Rprop { .. }
            | Formula::Trust
            | Formula::Blend
            | Formula::Buffer { .. }
            | Formula::Collect { .. } => Ok(()),
        }
    }

    /// Sets the params of the formula; those that it has no use for are zeros.
    pub(super) fn params(&self, launch: Launch) -> Launch {
        let share = |beta: f32| complement(beta) as f32;
        let mut numbers = [
            ("beta_1", 0.0),
            ("rate_1", 0.0),
            ("beta_2", 0.0),
            ("rate_2", 0.0),
            ("epsilon", 0.0),
            ("momentum", 0.0),
            ("power", 0.0),
            ("l1", 0.0),
            ("least", 0.0),
            ("most", 0.0),
        ];
        let mut set = |name: &str, value: f32| {
            if let Some(number) = numbers.iter_mut().find(|(known, _)| *known == name) {
                number.1 = value;
            }
        };
        let mut variant = false;
        match *self {
            Formula::Descent | Formula::Trust | Formula::Blend => {}
            Formula::Momentum { momentum, nesterov } => {
                set("momentum", momentum);
                variant = nesterov;
            }
            Formula::HeavyBall {
                momentum,
                dampening,
                nesterov,
            } => {
                set("momentum", momentum);
                set("rate_1", share(dampening));
                variant = nesterov;
            }
            Formula::RmsProp {
                rho,
                momentum,
                epsilon,
                outside,
                ..
            } => {
                set("rate_2", share(rho));
                set("momentum", momentum);
                set("epsilon", epsilon);
                variant = !outside;
            }
            Formula::Adagrad { epsilon, outside } => {
                set("epsilon", epsilon);
                variant = !outside;
            }
            Formula::Adadelta { rho, epsilon } => {
                set("rate_2", share(rho));
                set("epsilon", epsilon);
            }
            Formula::Adam {
                beta_1,
                beta_2,
                epsilon,
                corrected,
                ..
            } => {
                set("rate_1", share(beta_1));
                set("rate_2", share(beta_2));
                set("epsilon", epsilon);
                variant = corrected;
            }
            Formula::Adamax {
                beta_1,
                beta_2,
                epsilon,
                inside,
            } => {
                set("rate_1", share(beta_1));
                set("beta_2", beta_2);
                set("epsilon", epsilon);
                variant = inside;
            }
            Formula::Nadam {
                beta_1,
                beta_2,
                epsilon,
                base,
                rounded,
            } => {
                set("beta_1", beta_1);
                set("rate_1", nadam_share(beta_1, rounded) as f32);
                set("rate_2", nadam_share(beta_2, rounded) as f32);
                set("epsilon", epsilon);
                set("power", base);
            }
            Formula::Radam {
                beta_1,
                beta_2,
                epsilon,
            }
            | Formula::Lamb {
                beta_1,
                beta_2,
                epsilon,
            } => {
                set("rate_1", share(beta_1));
                set("rate_2", share(beta_2));
                set("epsilon", epsilon);
            }
            Formula::Lion { beta_1, beta_2 } => {
                set("beta_1", beta_1);
                set("rate_1", share(beta_1));
                set("beta_2", beta_2);
                set("rate_2", share(beta_2));
            }
            Formula::Ftrl {
                power,
                l1,
                l2,
                shrinkage,
                beta,
            } => {
                set("power", power);
                set("l1", l1);
                set("most", 2.0 * l2);
                set("least", 2.0 * shrinkage);
                set("beta_1", beta);
            }
            Formula::Asgd { lambda } => set("beta_1", lambda),
            Formula::Rprop {
                shrink,
                grow,
                least,
                most,
            } => {
                set("beta_1", shrink);
                set("beta_2", grow);
                set("least", least);
                set("most", most);
            }
            Formula::Relative {
                epsilon,
                threshold,
                elements,
            } => {
                set("epsilon", epsilon);
                set("most", threshold);
                set("power", (1.0 / f64::from(elements)) as f32);
            }
            Formula::Buffer { momentum, share } => {
                set("momentum", momentum);
                set("rate_1", share);
            }
            Formula::Collect { share } => set("rate_1", share),
        }
        let launch = launch.param("variant", u32::from(variant));
        numbers
            .into_iter()
            .fold(launch, |launch, (name, value)| launch.param(name, value))
    }

    /// One update of a few weights, already decayed, by gradients already treated, at the learning rate `eta`.
    #[inline(always)]
    pub(super) fn step<N: Number, const B: usize>(
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
fn nadam_share(beta: f32, rounded: bool) -> f64 {
    match rounded {
        true => 1.0 - f64::from(beta),
        false => complement(beta),
    }
}

/// x over the root of v, with ε inside or outside.
#[inline(always)]
fn over_root<N: Number>(x: N, v: N, epsilon: N, outside: bool) -> N {
    if outside {
        x / (v.root() + epsilon)
    } else {
        x / (v + epsilon).root()
    }
}
