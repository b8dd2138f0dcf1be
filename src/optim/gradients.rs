//! Gradients before an optimizer takes them: summed over the batches of an update, their norms, clipped.

use crate::Tensor;
use crate::number::Known;
use crate::op::{
    Element, Moment, RuleForm, SumOfSquares, Treatment, Update, UpdateRule, rule_form,
};

use super::samples::RuleSamples;
use super::wrap::{record, state};
use super::{Clock, Common};

/// The state that sums the gradients of several batches.
pub(super) const ACCUMULATOR: &str = "gradient_accumulator";

/// Whether a variable sums the gradients of several batches.
pub(crate) fn is_accumulator(variable: &str) -> bool {
    let parts = variable.rsplit_once('.');
    parts.is_some_and(|(_, state)| state == ACCUMULATOR)
}

/// Most tensors of one sum of squares.
const MAX_TENSORS: usize = 6;

/// w ← w + share·g in every step; of the steps that make an update, w = 0 before the first.
#[derive(Debug, Clone)]
pub(super) struct Collect {
    pub share: f32,
}

impl UpdateRule for Collect {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![("gradient_share", self.share.into())],
            hides_nan: true,
            always: true,
            ..rule_form!("collect")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (share, begins) = (N::given(self.share), at.begins());
        move |(w, states), g| {
            let before = if begins { N::constant(0.0) } else { w };
            (before + share * g, states)
        }
    }
}

/// w ← μ·w + share·g.
#[derive(Debug, Clone)]
pub(super) struct MomentumBuffer {
    pub momentum: f32,
    pub share: f32,
}

impl UpdateRule for MomentumBuffer {
    fn form(&self) -> RuleForm {
        RuleForm {
            numbers: vec![
                ("momentum", self.momentum.into()),
                ("gradient_share", self.share.into()),
            ],
            ..rule_form!("buffer")
        }
    }

    #[inline(always)]
    fn step<N: Known>(&self, _at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let (mu, share) = (N::given(self.momentum), N::given(self.share));
        move |(w, states), g| (mu * w + share * g, states)
    }
}

impl Common {
    /// Gradients as rules take them one by one: collected where a norm of their mean is wanted, or where an average takes
    /// the place of their sum; and the updates that this takes. The update of each parameter is not to collect them again.
    pub(super) fn collected(
        &self,
        parameters: &[(&str, &Tensor, &Tensor)],
        clock: &Clock,
        wanted: bool,
    ) -> (Vec<Tensor>, Vec<Tensor>) {
        let gradients = parameters.iter().map(|(_, _, gradient)| *gradient);
        if self.gradient_accumulation_steps == 1 || !wanted {
            return (gradients.cloned().collect(), Vec::new());
        }
        let share = (1.0 / f64::from(self.gradient_accumulation_steps)) as f32;
        let mut updates = Vec::new();
        let sums = parameters.iter().map(|(name, parameter, gradient)| {
            let sum = state(name, ACCUMULATOR, parameter, 0.0);
            let collect = Update::from(Collect { share });
            updates.extend(record(collect, name, &sum, gradient, clock));
            sum
        });
        (sums.collect(), updates)
    }

    /// Gradients as they enter an optimizer that is made of several updates: collected, clipped, of the wanted sign; and
    /// the updates that this takes.
    pub(super) fn prepared(
        &self,
        parameters: &[(&str, &Tensor, &Tensor)],
        clock: &Clock,
    ) -> (Vec<Tensor>, Vec<Tensor>) {
        let (mut gradients, mut updates) = self.collected(parameters, clock, true);
        let norm = self.clipnorm.or(self.global_clipnorm);
        if norm.is_none() && self.clipvalue.is_none() && !self.maximize {
            return (gradients, updates);
        }
        updates.extend(self.global_norm(&gradients, clock));
        for ((name, parameter, _), gradient) in parameters.iter().zip(&mut gradients) {
            updates.extend(self.own_norm(gradient, clock));
            let alone = MomentumBuffer {
                momentum: 0.0,
                share: 1.0,
            };
            let treatment = Treatment {
                batches: 1,
                decay: 0.0,
                l2: 0.0,
                ..self.treatment(name)
            };
            let clipped = state(name, "gradient", parameter, 0.0);
            updates.extend(record(
                Update::new(alone, treatment),
                name,
                &clipped,
                gradient,
                clock,
            ));
            *gradient = clipped;
        }
        (gradients, updates)
    }

    /// Whether gradients must be collected before anything else is done with them.
    pub(super) fn collects(&self) -> bool {
        let norm = self.clipnorm.or(self.global_clipnorm).is_some();
        self.gradient_accumulation_steps > 1 && (norm || self.running().is_some())
    }

    /// The sum of squares of all gradients together, if that is what they are clipped by.
    pub(super) fn global_norm(&self, gradients: &[Tensor], clock: &Clock) -> Vec<Tensor> {
        if self.global_clipnorm.is_none() {
            return Vec::new();
        }
        let chunks = gradients.chunks(MAX_TENSORS).enumerate();
        let sum = |(number, chunk): (usize, &[Tensor])| {
            let op = SumOfSquares {
                separate: false,
                add: number > 0,
            };
            sum_of_squares(op, &chunk.iter().collect::<Vec<_>>(), clock)
        };
        chunks.map(sum).collect()
    }

    /// The sum of squares of one gradient, if that is what each is clipped by.
    pub(super) fn own_norm(&self, gradient: &Tensor, clock: &Clock) -> Option<Tensor> {
        self.clipnorm?;
        let op = SumOfSquares {
            separate: false,
            add: false,
        };
        Some(sum_of_squares(op, &[gradient], clock))
    }
}

/// The squares of a parameter and of its direction, each summed by itself.
pub(super) const SEPARATE_NORMS: SumOfSquares = SumOfSquares {
    separate: true,
    add: false,
};

/// Records a sum of squares into the clock's rates.
pub(super) fn sum_of_squares(op: SumOfSquares, tensors: &[&Tensor], clock: &Clock) -> Tensor {
    let operands: Vec<&Tensor> = std::iter::once(&clock.rates)
        .chain(tensors.iter().copied())
        .collect();
    clock.rates.graph().apply_one(op, &operands)
}

/// What the rules of this file are tried on.
pub(super) fn samples(samples: &mut RuleSamples) {
    let (momentum, share) = (0.95, 1.0);
    samples.add(MomentumBuffer { momentum, share });
    samples.add(Collect { share: 0.25 });
}
