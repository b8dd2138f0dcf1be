//! Nadam: Adam with Nesterov's look-ahead; and RAdam, which waits until its variance is known.

use crate::number::Known;
use crate::op::{
    AdamFormula, Element, Moment, RuleForm, Series, UpdateRule, complement, rule_form,
};
use crate::range::{above_zero, at_least_zero, share};

use super::adam::means_form;
use super::define::optimizer;

optimizer! {
    /// Nadam (Dozat, 2016) with Keras' defaults. m and v are Adam's, μₜ = β₁·(1 − ½·0.96^(t·d)), and
    ///
    /// W ← W − η·(μₜ₊₁·m/(1 − Π μᵢ, i ≤ t+1) + (1 − μₜ)·g/(1 − Π μᵢ, i ≤ t))/(√(v/(1 − β₂ᵗ)) + ε).
    ///
    /// PyTorch's is the same with η 0.002, ε 1e-8 and a momentum decay d of 0.004. With Keras' d, 1 − β is that of the f32
    /// next to β, 1.3e-5 off for 0.999, as Keras computes it.
    elementwise Nadam "nadam", 0.001 {
        /// β₁, in [0, 1). Default 0.9.
        beta_1: f32 = 0.9, share;
        /// β₂, in [0, 1). Default 0.999.
        beta_2: f32 = 0.999, share;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
        /// d, at least 0. Default 1, which is what Keras has.
        momentum_decay: f32 = 1.0, at_least_zero;
    }
    tried on [Nadam::default(), Nadam { momentum_decay: 0.004, ..Nadam::default() }];
}

impl Nadam {
    /// 0.96^d.
    fn base(&self) -> f32 {
        0.96f64.powf(f64::from(self.momentum_decay)) as f32
    }

    /// 1 − β, of the float with Keras' d, of the decimal number with any other.
    fn rest(&self, beta: f32) -> f64 {
        if self.momentum_decay == 1.0 {
            1.0 - f64::from(beta)
        } else {
            complement(beta)
        }
    }
}

impl UpdateRule for Nadam {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("beta_1", self.beta_1.into()),
                ("rate_1", (self.rest(self.beta_1) as f32).into()),
                ("rate_2", (self.rest(self.beta_2) as f32).into()),
                ("epsilon", self.epsilon.into()),
                ("base", self.base().into()),
            ],
            series: Series::Nadam { base: self.base() },
            ..means_form(
                rule_form!("nadam"),
                [self.beta_1, self.beta_2],
                self.epsilon,
            )
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let rest = [self.beta_1, self.beta_2].map(|beta| N::constant(self.rest(beta)));
        let formula = AdamFormula::from_rests(rest, N::given(self.epsilon));
        let ([power, product], eta) = (at.series, at.eta);
        let (one, half, beta_1) = (N::constant(1.0), N::constant(0.5), N::given(self.beta_1));
        let now = beta_1 * (one - half * power);
        let next = beta_1 * (one - half * (power * N::given(self.base())));
        let of_mean = next / (one - product * next);
        let of_gradient = (one - now) / (one - product);
        let left = one - at.powers[1];
        move |(w, [m, v, z]), g| {
            let [m, v] = formula.means(m, v, g);
            let ahead = m * of_mean + g * of_gradient;
            (w - ahead * eta / formula.divisor(v / left), [m, v, z])
        }
    }
}

optimizer! {
    /// RAdam (Liu et al., 2019) as PyTorch has it; Keras has none. m and v are Adam's, ρ∞ = 2/(1 − β₂) − 1 and
    /// ρₜ = ρ∞ − 2t·β₂ᵗ/(1 − β₂ᵗ). W ← W − η·m/(1 − β₁ᵗ)·r·√(1 − β₂ᵗ)/(√v + ε) with
    /// r = √((ρₜ − 4)(ρₜ − 2)ρ∞/((ρ∞ − 4)(ρ∞ − 2)ρₜ)) where ρₜ > 5, and W ← W − η·m/(1 − β₁ᵗ) before that.
    ///
    /// PyTorch's ε is 1e-8.
    elementwise Radam "radam", 0.001 {
        /// β₁, in [0, 1). Default 0.9.
        beta_1: f32 = 0.9, share;
        /// β₂, in [0, 1). Default 0.999.
        beta_2: f32 = 0.999, share;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
    }
    tried on [Radam::default()];
}

impl UpdateRule for Radam {
    fn form(&self) -> RuleForm {
        let betas = [self.beta_1, self.beta_2];
        RuleForm {
            series: Series::Radam,
            ..means_form(rule_form!("radam"), betas, self.epsilon)
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let formula = AdamFormula::<N>::new(self.beta_1, self.beta_2, self.epsilon);
        let (one, [power_1, power_2], [rectified, _]) = (N::constant(1.0), at.powers, at.series);
        let rate = at.eta / (one - power_1);
        let factor = rectified * (one - power_2).root();
        let plain = rectified.decides() == 0.0;
        move |(w, [m, v, z]), g| {
            let [m, v] = formula.means(m, v, g);
            let step = m * rate;
            let step = if plain {
                step
            } else {
                step * (factor / formula.divisor(v))
            };
            (w - step, [m, v, z])
        }
    }
}
