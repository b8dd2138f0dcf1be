//! Adamax: Adam with the largest gradient so far instead of a mean of squares.

use crate::number::Known;
use crate::op::{
    Element, Moment, RuleForm, RuleState, UpdateRule, moved, rest, rest_of, rule_form,
};
use crate::range::{above_zero, share};

use super::define::optimizer;

optimizer! {
    /// Adamax (Kingma and Ba, 2014) with Keras' defaults:
    ///
    /// m ← m + (1 − β₁)(g − m), u ← max(β₂·u, |g|), W ← W − η/(1 − β₁ᵗ)·m/(u + ε).
    ///
    /// [`Adamax::pytorch`] is PyTorch's form, u ← max(β₂·u, |g| + ε), m/u; its defaults are η 0.002, ε 1e-8.
    elementwise Adamax "adamax", 0.001 {
        /// β₁, in [0, 1). Default 0.9.
        beta_1: f32 = 0.9, share;
        /// β₂, in [0, 1). Default 0.999.
        beta_2: f32 = 0.999, share;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
        /// Whether ε stands where PyTorch has it. Default false.
        pytorch: bool = false;
    }
    tried on [Adamax::default(), Adamax::default().pytorch()];
}

impl Adamax {
    /// PyTorch's form: ε is part of the norm.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

impl UpdateRule for Adamax {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("rate_1", rest_of(self.beta_1)),
                ("beta_2", self.beta_2.into()),
                ("epsilon", self.epsilon.into()),
                ("pytorch", self.pytorch.into()),
            ],
            states: vec![RuleState::signed("m"), RuleState::positive("u")],
            betas: [self.beta_1, self.beta_2],
            ..rule_form!("adamax")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (rest_1, beta_2) = (rest::<N>(self.beta_1), N::given(self.beta_2));
        let rate = at.eta / (N::constant(1.0) - at.powers[0]);
        let (within, beside) = if self.pytorch {
            (self.epsilon, 0.0)
        } else {
            (0.0, self.epsilon)
        };
        let (within, beside) = (N::given(within), N::given(beside));
        move |(w, [m, u, z]), g| {
            let m = moved(m, g, rest_1);
            let u = (beta_2 * u).larger(g.magnitude() + within);
            (w - m * rate / (u + beside), [m, u, z])
        }
    }
}
