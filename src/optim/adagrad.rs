//! Adagrad, and Adadelta, which forgets.

use crate::number::Known;
use crate::op::{
    Element, Moment, RuleForm, RuleState, UpdateRule, moved, over_root, rest, rest_of, rule_form,
};
use crate::range::{above_zero, at_least_zero, share};

use super::define::optimizer;

optimizer! {
    /// Adagrad (Duchi et al., 2011) with Keras' defaults and its ε inside the root: a ← a + g², W ← W − η·g/√(a + ε).
    ///
    /// [`Adagrad::pytorch`] is PyTorch's form, √a + ε; its defaults are η 0.01, a 0 at first, ε 1e-10. Its `lr_decay` is a
    /// [`Schedule::InverseTimeDecay`](crate::optim::Schedule::InverseTimeDecay) in steps of 1.
    elementwise Adagrad "adagrad", 0.001 {
        /// a at first, at least 0. Default 0.1.
        initial_accumulator_value: f32 = 0.1, at_least_zero;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
        /// Whether ε stands where PyTorch has it. Default false.
        pytorch: bool = false;
    }
    tried on [Adagrad::default(), Adagrad::default().pytorch()];
}

impl Adagrad {
    /// PyTorch's form: ε is added to the root.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

impl UpdateRule for Adagrad {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("epsilon", self.epsilon.into()),
                ("pytorch", self.pytorch.into()),
            ],
            states: vec![RuleState {
                first: self.initial_accumulator_value,
                ..RuleState::positive("accumulator")
            }],
            ..rule_form!("adagrad")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (eta, epsilon) = (at.eta, N::given(self.epsilon));
        move |(w, [a, y, z]), g| {
            let a = a + g * g;
            (w - over_root(eta * g, a, epsilon, self.pytorch), [a, y, z])
        }
    }
}

optimizer! {
    /// Adadelta (Zeiler, 2012) with Keras' defaults:
    ///
    /// a ← ρ·a + (1 − ρ)·g², δ = √(d + ε)/√(a + ε)·g, d ← ρ·d + (1 − ρ)·δ², W ← W − η·δ.
    ///
    /// PyTorch's is the same with η 1, ρ 0.9, ε 1e-6.
    elementwise Adadelta "adadelta", 0.001 {
        /// ρ, in [0, 1). Default 0.95.
        rho: f32 = 0.95, share;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
    }
    tried on [Adadelta { epsilon: 1e-6, ..Adadelta::default() }];
}

impl UpdateRule for Adadelta {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("rate", rest_of(self.rho)),
                ("epsilon", self.epsilon.into()),
            ],
            states: ["accumulated_grad", "accumulated_delta_var"]
                .map(RuleState::positive)
                .into(),
            ..rule_form!("adadelta")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (eta, rest, epsilon) = (at.eta, rest::<N>(self.rho), N::given(self.epsilon));
        move |(w, [a, d, z]), g| {
            let a = moved(a, g * g, rest);
            let delta = (d + epsilon).root() / (a + epsilon).root() * g;
            (w - eta * delta, [a, moved(d, delta * delta, rest), z])
        }
    }
}
