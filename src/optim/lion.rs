//! Lion: steps of one size, by the sign of a mean.

use crate::number::Known;
use crate::op::{Element, Moment, RuleForm, RuleState, UpdateRule, rest, rest_of, rule_form};
use crate::range::share;

use super::define::optimizer;

optimizer! {
    /// Lion (Chen et al., 2023) with Keras' defaults: W ← W − η·sign(β₁·m + (1 − β₁)·g), m ← β₂·m + (1 − β₂)·g.
    elementwise Lion "lion", 0.001 {
        /// β₁, in [0, 1). Default 0.9.
        beta_1: f32 = 0.9, share;
        /// β₂, in [0, 1). Default 0.99.
        beta_2: f32 = 0.99, share;
    }
    tried on [Lion::default()];
}

impl UpdateRule for Lion {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("beta_1", self.beta_1.into()),
                ("rate_1", rest_of(self.beta_1)),
                ("beta_2", self.beta_2.into()),
                ("rate_2", rest_of(self.beta_2)),
            ],
            states: vec![RuleState::signed("m")],
            ..rule_form!("lion")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let eta = at.eta;
        let [beta_1, beta_2] = [self.beta_1, self.beta_2].map(N::given);
        let [rest_1, rest_2] = [self.beta_1, self.beta_2].map(rest::<N>);
        move |(w, [m, y, z]), g| {
            let direction = (beta_1 * m + rest_1 * g).sign();
            (w - eta * direction, [beta_2 * m + rest_2 * g, y, z])
        }
    }
}
