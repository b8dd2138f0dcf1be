//! Averaged gradient descent, and resilient propagation, as PyTorch has them.

use crate::Result;
use crate::contract::wgsl;
use crate::number::Known;
use crate::op::{Element, Moment, RuleForm, RuleState, Series, UpdateRule, moved};
use crate::range::{above_zero, at_least_zero};

use super::define::optimizer;
use super::samples::RuleSamples;

optimizer! {
    /// Averaged gradient descent (Polyak and Juditsky, 1992) with PyTorch's names and defaults; Keras has none:
    ///
    /// ηₜ = η/(1 + λ·η·(t − 1))^α, W ← W·(1 − λ·ηₜ) − ηₜ·g, a ← a + (W − a)/max(1, t − 1 − t₀). The average a is the state
    /// `<parameter>.ax`.
    elementwise Asgd "asgd", 0.01 {
        /// λ, at least 0. Default 0.0001.
        lambd: f32 = 1e-4, at_least_zero;
        /// α, at least 0. Default 0.75.
        alpha: f32 = 0.75, at_least_zero;
        /// t₀, at least 0. Default a million.
        t0: f32 = 1e6, at_least_zero;
    }
}

impl Asgd {
    pub(super) fn samples(samples: &mut RuleSamples) {
        samples.add(Asgd {
            lambd: 1e-2,
            ..Asgd::default()
        });
    }
}

impl UpdateRule for Asgd {
    fn form(&self) -> RuleForm {
        RuleForm {
            label: "update.asgd",
            wgsl: wgsl!("update/asgd"),
            numbers: vec![("lambda", self.lambd.into())],
            states: vec![RuleState {
                hides_nan: true,
                ..RuleState::signed("ax")
            }],
            series: Series::Asgd {
                lambda: self.lambd,
                alpha: self.alpha,
                start: self.t0,
            },
            ..RuleForm::default()
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let [rate, share] = at.series;
        let rate = rate * at.factor;
        let decay = N::given(self.lambd) * rate;
        let whole = share.decides() == 1.0;
        move |(w, [mean, y, z]), g| {
            let w = w - w * decay - rate * g;
            let mean = if whole { w } else { moved(mean, w, share) };
            (w, [mean, y, z])
        }
    }
}

optimizer! {
    /// Resilient propagation (Riedmiller and Braun, 1993) with PyTorch's names and defaults; Keras has none. For whole data
    /// sets, not for batches.
    ///
    /// Each weight has a step size s, η at first, that grows by f₊ while its gradient keeps its sign and shrinks by f₋ when
    /// it turns, within [s₋, s₊]; W ← W − s·sign g, and no step where it turned.
    elementwise Rprop "rprop", 0.01 {
        /// f₋, in (0, 1), and f₊, above 1. Default 0.5 and 1.2.
        etas: [f32; 2] = [0.5, 1.2], factors;
        /// s₋ and s₊, above 0 and in order. Default 1e-6 and 50.
        step_sizes: [f32; 2] = [1e-6, 50.0], sizes;
    }
}

fn factors(name: &'static str, [shrink, grow]: [f32; 2]) -> Result<()> {
    if shrink > 0.0 && shrink < 1.0 && grow > 1.0 && grow.is_finite() {
        return Ok(());
    }
    let message = format!("must be in (0, 1) and above 1, got {shrink} and {grow}");
    Err(crate::Error::argument(name, message))
}

fn sizes(name: &'static str, [least, most]: [f32; 2]) -> Result<()> {
    above_zero(name, least)?;
    if most >= least && most.is_finite() {
        return Ok(());
    }
    let message = format!("must be in order and finite, got {least} and {most}");
    Err(crate::Error::argument(name, message))
}

impl Rprop {
    pub(super) fn samples(samples: &mut RuleSamples) {
        samples.add(Rprop {
            step_sizes: [1e-6, 0.6],
            ..Rprop::default()
        });
    }
}

impl UpdateRule for Rprop {
    fn form(&self) -> RuleForm {
        RuleForm {
            label: "update.rprop",
            wgsl: wgsl!("update/rprop"),
            numbers: vec![
                ("shrink", self.etas[0].into()),
                ("grow", self.etas[1].into()),
                ("least", self.step_sizes[0].into()),
                ("most", self.step_sizes[1].into()),
            ],
            states: [RuleState::signed("prev"), RuleState::positive("step_size")]
                .map(|state| RuleState {
                    hides_nan: true,
                    ..state
                })
                .into(),
            ..RuleForm::default()
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (first, eta) = (at.is_first(), at.eta);
        let (zero, one) = (N::constant(0.0), N::constant(1.0));
        let [shrink, grow] = self.etas.map(N::given);
        let [least, most] = self.step_sizes.map(N::given);
        move |(w, [last, size, z]), g| {
            let (last, size) = if first { (zero, eta) } else { (last, size) };
            let turn = (g.sign() * last.sign()).decides();
            let (factor, g) = if turn < 0.0 {
                (shrink, zero)
            } else if turn > 0.0 {
                (grow, g)
            } else {
                (one, g)
            };
            let size = (size * factor).larger(least).smaller(most);
            (w - g.sign() * size, [g, size, z])
        }
    }
}
