//! FTRL-proximal: follow the regularised leader.

use crate::Result;
use crate::number::{Known, limited};
use crate::op::{Element, Moment, RuleForm, RuleState, UpdateRule, rule_form};
use crate::range::{at_least_zero, within};

use super::define::optimizer;

optimizer! {
    /// FTRL-proximal (McMahan et al., 2013) with Keras' names and defaults, p being −`learning_rate_power`:
    ///
    /// n' = n + g², z ← z + g + 2s·W − (n'^p − n^p)/η·W, W ← (clip(z, ±λ₁) − z)/(n'^p/η + 2λ₂ + β/η), n ← n'.
    elementwise Ftrl "ftrl", 0.001 {
        /// −p, at most 0. Default −0.5.
        learning_rate_power: f32 = -0.5, at_most_zero;
        /// n at first, at least 0. Default 0.1.
        initial_accumulator_value: f32 = 0.1, at_least_zero;
        /// λ₁, at least 0. Default 0.
        l1_regularization_strength: f32 = 0.0, at_least_zero;
        /// λ₂, at least 0. Default 0.
        l2_regularization_strength: f32 = 0.0, at_least_zero;
        /// s, at least 0. Default 0.
        l2_shrinkage_regularization_strength: f32 = 0.0, at_least_zero;
        /// β, at least 0. Default 0.
        beta: f32 = 0.0, at_least_zero;
    }
    tried on [Ftrl::sample(-0.5, 0.0), Ftrl::sample(-0.4, 0.1)];
}

fn at_most_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = value <= 0.0 && value.is_finite();
    within(fits, name, "at most 0 and finite", value)
}

impl Ftrl {
    fn sample(learning_rate_power: f32, l1_regularization_strength: f32) -> Self {
        Ftrl {
            learning_rate_power,
            l1_regularization_strength,
            l2_regularization_strength: 0.02,
            l2_shrinkage_regularization_strength: 0.01,
            beta: 0.1,
            ..Ftrl::default()
        }
    }
}

impl UpdateRule for Ftrl {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("power", (-self.learning_rate_power).into()),
                ("l1", self.l1_regularization_strength.into()),
                ("twice_l2", (2.0 * self.l2_regularization_strength).into()),
                (
                    "twice_shrinkage",
                    (2.0 * self.l2_shrinkage_regularization_strength).into(),
                ),
                ("beta", self.beta.into()),
            ],
            states: vec![
                RuleState {
                    first: self.initial_accumulator_value,
                    ..RuleState::positive("accumulator")
                },
                RuleState::signed("linear"),
            ],
            hides_nan: true,
            ..rule_form!("ftrl")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let power = f64::from(-self.learning_rate_power);
        let (eta, l1) = (at.eta, N::given(self.l1_regularization_strength));
        let shrinkage = N::given(2.0 * self.l2_shrinkage_regularization_strength);
        let l2 = N::given(2.0 * self.l2_regularization_strength);
        let constant = l2 + N::given(self.beta) / eta;
        move |(w, [n, z, y]), g| {
            let sum = n + g * g;
            let root = sum.to_the(power);
            let gradient = g + shrinkage * w;
            let z = z + (gradient - (root - n.to_the(power)) / eta * w);
            let w = (limited(z, l1) - z) / (root / eta + constant);
            (w, [sum, z, y])
        }
    }
}
