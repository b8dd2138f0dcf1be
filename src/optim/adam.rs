//! Adam: steps scaled by running means of the gradient and its square; AdamW and AMSGrad.

use std::sync::Arc;

use crate::number::Known;
use crate::op::{
    self, AdamFormula, Element, Moment, RuleForm, RuleState, UpdateRule, rest_of, rule_form,
};
use crate::range::{above_zero, share};
use crate::schedule::Schedule;

use super::CommonSettings;
use super::define::optimizer;
use super::settings::ADAM_W_DECAY;

optimizer! {
    /// Adam (Kingma and Ba, 2014) with Keras' defaults and its placement of ε ("epsilon hat"):
    ///
    /// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v),
    /// W ← W − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε)
    ///
    /// AMSGrad (Reddi et al., 2018) takes the largest v so far. PyTorch adds its ε (default 1e-8) after the correction of v,
    /// the same as ε·√(1 − β₂ᵗ) here: [`Adam::pytorch`]. Its `weight_decay` is `l2` here; that of its AdamW is
    /// `weight_decay`, 0.01 by default, where Keras has 0.004: [`AdamW`].
    elementwise Adam "adam", 0.001 {
        /// β₁, in [0, 1). Default 0.9.
        beta_1: f32 = 0.9, share;
        /// β₂, in [0, 1). Default 0.999.
        beta_2: f32 = 0.999, share;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
        /// Whether the largest v so far counts. Default false.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        amsgrad: bool = false;
        /// Whether ε stands where PyTorch has it. Default false.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        pytorch: bool = false;
    }
    tried on [
        Adam::default(),
        Adam::default().pytorch(),
        Adam::default().amsgrad(),
        Adam::default().amsgrad().pytorch(),
    ];
}

impl Adam {
    /// Divides by the largest v so far: AMSGrad.
    pub fn amsgrad(mut self) -> Self {
        self.amsgrad = true;
        self
    }

    /// PyTorch's form: ε is added to the root of the corrected v.
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }
}

/// The form of a rule with the means m and v and Adam's numbers.
pub(super) fn means_form(rule: RuleForm, betas: [f32; 2], epsilon: f32) -> RuleForm {
    let [rate_1, rate_2] = betas.map(rest_of);
    RuleForm {
        numbers: vec![
            ("rate_1", rate_1),
            ("rate_2", rate_2),
            ("epsilon", epsilon.into()),
        ],
        states: vec![RuleState::signed("m"), RuleState::positive("v")],
        betas,
        ..rule
    }
}

impl UpdateRule for Adam {
    fn form(&self) -> RuleForm {
        let (beta_1, beta_2, epsilon) = (self.beta_1, self.beta_2, self.epsilon);
        let mut form = means_form(rule_form!("adam"), [beta_1, beta_2], epsilon);
        form.numbers.extend([
            ("amsgrad", self.amsgrad.into()),
            ("pytorch", self.pytorch.into()),
        ]);
        if self.amsgrad {
            form.label = "update.amsgrad";
            form.states.push(RuleState::positive("v_hat"));
        } else if !self.pytorch {
            form.own_op = Some(Arc::new(op::Adam {
                beta_1,
                beta_2,
                epsilon,
            }));
        }
        form
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let formula = AdamFormula::<N>::new(self.beta_1, self.beta_2, self.epsilon);
        let (one, [power_1, power_2]) = (N::constant(1.0), at.powers);
        let (root, rate) = ((one - power_2).root(), at.eta / (one - power_1));
        move |(w, [m, v, largest]), g| {
            let [m, v] = formula.means(m, v, g);
            let largest = if self.amsgrad {
                largest.larger(v)
            } else {
                largest
            };
            let v_used = if self.amsgrad { largest } else { v };
            let change = if self.pytorch {
                m * rate / formula.corrected_divisor(v_used, root)
            } else {
                m * (rate * root) / formula.divisor(v_used)
            };
            (w - change, [m, v, largest])
        }
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2017), by default 0.004, as in Keras.
#[derive(Debug, Clone, Copy)]
pub struct AdamW;

impl AdamW {
    /// W ← W − 0.004·η·W before each update; [`CommonSettings::weight_decay`] sets another factor.
    #[allow(clippy::new_ret_no_self)] // It is Adam, by the name that people look for.
    pub fn new(learning_rate: impl Into<Schedule>) -> Adam {
        Adam::new(learning_rate).weight_decay(ADAM_W_DECAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optim::Optimizer;
    use crate::{Device, Graph, Plan, Program};

    #[test]
    fn the_means_move_by_one_minus_beta_as_it_was_written() {
        // In f32, 1 − 0.999 is 1.3e-5 off; Keras subtracts in f64.
        for device in [Device::cpu(), Device::reference()] {
            let graph = Graph::new();
            let adam = Adam::default();
            let clock = graph.clock("clock", 1, adam.rates());
            let w = graph.parameter("w", [1], &[0.0]);
            let gradient = graph.constant([1], &[1.0]);
            let update = adam.updates(&[("w", &w, &gradient)], &clock).remove(0);
            let program = Program::new("step").update([&clock.indices, &update]);
            let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
            let mut session = device.open(&plan).unwrap();
            session.run("step", 1).unwrap();
            for (state, expected) in [("w.m", 0.1f32), ("w.v", 0.001)] {
                let mean = session.read(state).unwrap()[0];
                assert!(
                    (mean - expected).abs() <= 1e-7 * expected,
                    "{state} is {mean} on {device}"
                );
            }
        }
    }
}
