//! RMSprop: steps divided by the root of a running mean of squares.

use crate::number::Known;
use crate::op::{
    Element, Moment, RuleForm, RuleState, UpdateRule, moved, over_root, rest, rest_of, rule_form,
};
use crate::range::{above_zero, share};

use super::define::optimizer;

optimizer! {
    /// RMSprop (Hinton, 2012) with Keras' defaults and its ε inside the root:
    ///
    /// v ← ρ·v + (1 − ρ)·g², W ← W − η·g/√(v + ε); centred (Graves, 2013): v − m² with the running mean m of g; with
    /// momentum μ: b ← μ·b + η·g/√…, W ← W − b.
    ///
    /// [`RmsProp::pytorch`] is PyTorch's form, √v + ε and b without η; its defaults are η 0.01, ρ 0.99, ε 1e-8.
    elementwise RmsProp "rmsprop", 0.001 {
        /// ρ, in [0, 1). Default 0.9.
        rho: f32 = 0.9, share;
        /// μ, in [0, 1). Default 0.
        momentum: f32 = 0.0, share;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
        /// Whether the mean of gradients is taken off. Default false.
        centered: bool = false;
        /// Whether ε stands where PyTorch has it. Default false.
        pytorch: bool = false;
    }
    tried on [
        RmsProp::default(),
        RmsProp::default().centered().pytorch(),
        RmsProp::default().momentum(0.8).pytorch(),
        RmsProp::default().momentum(0.8).centered(),
    ];
}

impl RmsProp {
    /// Sets the momentum μ; default 0.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Takes the square of the gradients' mean off the mean of their squares, so that their variance is left.
    pub fn centered(mut self) -> Self {
        self.centered = true;
        self
    }

    /// PyTorch's form.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

impl UpdateRule for RmsProp {
    fn form(&self) -> RuleForm {
        let mut states = vec![RuleState::positive("velocity")];
        if self.centered {
            states.push(RuleState::signed("average_gradient"));
        }
        if self.momentum != 0.0 {
            states.push(RuleState::signed("momentum"));
        }
        RuleForm {
            numbers: vec![
                ("rate", rest_of(self.rho)),
                ("momentum", self.momentum.into()),
                ("epsilon", self.epsilon.into()),
                ("centered", self.centered.into()),
                ("pytorch", self.pytorch.into()),
            ],
            states,
            ..rule_form!("rmsprop")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (rest, mu) = (rest::<N>(self.rho), N::given(self.momentum));
        let (centered, held) = (self.centered, self.momentum != 0.0);
        let (epsilon, outside) = (N::given(self.epsilon), self.pytorch);
        let over = move |x: N, v: N| over_root(x, v, epsilon, outside);
        // Keras' buffer holds steps, PyTorch's what the rate is multiplied by.
        let (eta, one) = (at.eta, N::constant(1.0));
        let (into, out_of) = if outside { (one, eta) } else { (eta, one) };
        move |(w, [v, y, z]), g| {
            let v = moved(v, g * g, rest);
            let (y, spread) = if centered {
                let y = moved(y, g, rest);
                // Rounding may put a variance below 0.
                (y, (v - y * y).larger(N::constant(0.0)))
            } else {
                (y, v)
            };
            if !held {
                return (w - over(eta * g, spread), [v, y, z]);
            }
            let before = if centered { z } else { y };
            let buffer = mu * before + over(g * into, spread);
            let (y, z) = if centered { (y, buffer) } else { (buffer, z) };
            (w - buffer * out_of, [v, y, z])
        }
    }
}
