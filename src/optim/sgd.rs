//! Gradient descent, plain, with momentum, and with Nesterov's look-ahead.

use std::sync::Arc;

use crate::number::Known;
use crate::op::{self, Element, Moment, RuleForm, RuleState, UpdateRule, rest, rest_of, rule_form};
use crate::range::{fraction, share};
use crate::schedule::Schedule;
use crate::{Error, Result, Tensor};

use super::define::optimizer;
use super::samples::RuleSamples;
use super::{Clock, Rates};

optimizer! {
    /// Stochastic gradient descent, as in Keras:
    ///
    /// - without momentum: W ← W − η·g
    /// - with momentum μ: v ← μ·v − η·g, W ← W + v
    /// - Nesterov: v ← μ·v − η·g, W ← W + μ·v − η·g
    ///
    /// where g = ∂L/∂W and η is the learning rate (default 0.01), a number or a [`Schedule`].
    ///
    /// [`Sgd::dampening`] gives PyTorch's form, in which the rate is no part of the buffer: b ← μ·b + (1 − τ)·g with b = g
    /// in the first update, W ← W − η·b, or W ← W − η·(g + μ·b). At a rate that stays and τ = 0 it is the same.
    ///
    /// [`Sgd::accumulated`] is the accumulated update of introductory texts, ΔW ← α·ΔW + β·∂L/∂W, W ← W − ΔW. There α is
    /// the momentum μ and β the learning rate η, and ΔW = −v: the update is subtracted, where v is added.
    composed Sgd "sgd", 0.01 {
        /// μ, in [0, 1). Default 0.
        momentum: f32 = 0.0, share;
        /// Whether to look ahead by the velocity. Default false; needs a momentum.
        nesterov: bool = false;
        /// τ of PyTorch's form, in [0, 1]. Default: Keras' form.
        #[serde(skip_serializing_if = "Option::is_none")]
        dampening: Option<f32> = None, within_one;
    }
    also |sgd| looks_ahead_by_something(sgd);
}

fn within_one(name: &'static str, dampening: Option<f32>) -> Result<()> {
    dampening.map_or(Ok(()), |dampening| fraction(name, dampening))
}

fn looks_ahead_by_something(sgd: &Sgd) -> Result<()> {
    if sgd.nesterov && sgd.momentum == 0.0 {
        let message = "looks ahead by the momentum, which is 0; set one";
        return Err(Error::argument("nesterov", message));
    }
    Ok(())
}

/// Does `$body` with the rule of the settings.
macro_rules! with_rule {
    ($sgd:expr, |$rule:ident| $body:expr) => {{
        let (momentum, nesterov) = ($sgd.momentum, $sgd.nesterov);
        match $sgd.dampening {
            _ if momentum == 0.0 => {
                let $rule = &Descent;
                $body
            }
            None => {
                let $rule = &Velocity(op::Momentum { momentum, nesterov });
                $body
            }
            Some(dampening) => {
                let $rule = &HeavyBall {
                    momentum,
                    dampening,
                    nesterov,
                };
                $body
            }
        }
    }};
}

impl Sgd {
    /// ΔW ← α·ΔW + β·∂L/∂W, W ← W − ΔW: `alpha` is the momentum, `beta` the learning rate.
    pub fn accumulated(alpha: f32, beta: impl Into<Schedule>) -> Self {
        Sgd::new(beta).momentum(alpha)
    }

    /// Sets the momentum μ; default 0.
    pub fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// Looks ahead as Nesterov does.
    pub fn nesterov(mut self) -> Self {
        self.nesterov = true;
        self
    }

    /// Takes PyTorch's form of momentum, in which the gradient enters the buffer times 1 − `dampening`.
    pub fn dampening(mut self, dampening: f32) -> Self {
        self.dampening = Some(dampening);
        self
    }

    fn clock_rates(&self) -> Rates {
        with_rule!(self, |rule| self.common.rates(&self.learning_rate, rule))
    }

    #[track_caller]
    fn record(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        with_rule!(self, |rule| self.common.updates(rule, parameters, clock))
    }

    pub(super) fn samples(samples: &mut RuleSamples) -> &mut RuleSamples {
        samples.add(Descent);
        samples.cases.extend(op::cases_within_the_limit(Descent));
        for nesterov in [false, true] {
            let momentum = 0.9;
            samples.add(Velocity(op::Momentum { momentum, nesterov }));
            samples.add(HeavyBall {
                momentum,
                dampening: 0.5,
                nesterov,
            });
        }
        samples
    }
}

/// w ← w − η·g.
#[derive(Debug, Clone)]
pub(super) struct Descent;

impl UpdateRule for Descent {
    fn form(&self) -> RuleForm {
        RuleForm {
            own_op: Some(Arc::new(op::Sgd)),
            ..rule_form!("sgd")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let eta = at.eta;
        move |(w, states), g| (w - eta * g, states)
    }
}

/// v ← μ·v − η·g, w ← w + v, or with Nesterov's look-ahead w ← w + μ·v − η·g.
#[derive(Debug, Clone)]
struct Velocity(op::Momentum);

impl UpdateRule for Velocity {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("momentum", self.0.momentum.into()),
                ("nesterov", self.0.nesterov.into()),
            ],
            states: vec![RuleState::signed("momentum")],
            own_op: Some(Arc::new(self.0)),
            ..rule_form!("momentum")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (eta, mu) = (at.eta, N::given(self.0.momentum));
        move |(w, [v, b, c]), g| {
            let step = eta * g;
            let v = self.0.velocity(v, step);
            let ahead = if self.0.nesterov { mu * v - step } else { v };
            (w + ahead, [v, b, c])
        }
    }
}

/// PyTorch's: b ← g in the first update, b ← μ·b + (1 − τ)·g after it, w ← w − η·b, or with Nesterov's look-ahead
/// w ← w − η·(g + μ·b).
#[derive(Debug, Clone)]
struct HeavyBall {
    momentum: f32,
    dampening: f32,
    nesterov: bool,
}

impl UpdateRule for HeavyBall {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("momentum", self.momentum.into()),
                ("rate", rest_of(self.dampening)),
                ("nesterov", self.nesterov.into()),
            ],
            states: vec![RuleState::signed("momentum_buffer")],
            ..rule_form!("heavy_ball")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (eta, first) = (at.eta, at.is_first());
        let (mu, rest) = (N::given(self.momentum), rest::<N>(self.dampening));
        move |(w, [b, y, z]), g| {
            let b = if first { g } else { mu * b + rest * g };
            let ahead = if self.nesterov { g + mu * b } else { b };
            (w - eta * ahead, [b, y, z])
        }
    }
}
