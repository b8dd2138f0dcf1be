//! Averaged gradient descent, and resilient propagation, as PyTorch has them.

use crate::Result;
use crate::number::Known;
use crate::op::{Element, Moment, RuleForm, RuleState, Series, UpdateRule, moved, rule_form};
use crate::range::{above_zero, at_least_zero, within};

use super::define::optimizer;

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
    tried on [Asgd { lambd: 1e-2, ..Asgd::default() }];
}

impl UpdateRule for Asgd {
    fn form(&self) -> RuleForm {
        RuleForm {
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
            ..rule_form!("asgd")
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
    tried on [Rprop { step_sizes: [1e-6, 0.6], ..Rprop::default() }];
}

fn factors(name: &'static str, [shrink, grow]: [f32; 2]) -> Result<()> {
    let fits = shrink > 0.0 && shrink < 1.0 && grow > 1.0 && grow.is_finite();
    let given = format!("{shrink} and {grow}");
    within(fits, name, "in (0, 1) and above 1", given)
}

fn sizes(name: &'static str, [least, most]: [f32; 2]) -> Result<()> {
    above_zero(name, least)?;
    let fits = most >= least && most.is_finite();
    let given = format!("{least} and {most}");
    within(fits, name, "in order and finite", given)
}

impl UpdateRule for Rprop {
    fn form(&self) -> RuleForm {
        RuleForm {
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
            ..rule_form!("rprop")
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
