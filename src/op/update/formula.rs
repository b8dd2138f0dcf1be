//! The formulas of updates, each with its source and the states that it keeps. `step.rs` computes them, `params.rs` hands
//! their numbers to the shader.
//!
//! Throughout η is the learning rate, g the gradient, t the number of the update. Names and states are those of Keras 3
//! (`keras.optimizers`), and so are the formulas but where another source is named.

use crate::op::sgd::check_factor;

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
}
