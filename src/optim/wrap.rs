//! What goes with a rule when it is recorded: the treatment by the common settings, states, and what the clock counts.

use std::panic::Location;

use crate::op::{Clipped, RuleState, Running, Series, Treatment, Update, UpdateCount, UpdateRule};
use crate::{Error, Initial, Tensor, TensorType};

use super::gradients::ACCUMULATOR;
use super::{Clock, Common, Rates, Schedule};

impl Common {
    /// What the clock computes for a rule with these settings: [`Optimizer::rates`](super::Optimizer::rates) of an
    /// optimizer whose formula is a rule.
    pub fn rates<R: UpdateRule>(&self, learning_rate: &Schedule, rule: &R) -> Rates {
        let form = rule.form();
        let mut rates = self.counted(learning_rate, form.betas, form.series);
        if self.does_nothing() && form.own_op.is_some() {
            rates.update_count = None;
        }
        rates
    }

    /// The rates of a clock that counts updates.
    pub(super) fn counted(
        &self,
        learning_rate: &Schedule,
        [beta_1, beta_2]: [f32; 2],
        series: Series,
    ) -> Rates {
        let overwritten = self.ema_overwrite_frequency.filter(|_| self.use_ema);
        let slow = self.lookahead.map(|lookahead| lookahead.steps);
        Rates {
            learning_rate: learning_rate.clone(),
            beta_1,
            beta_2,
            update_count: Some(UpdateCount {
                accumulate: self.gradient_accumulation_steps,
                every: overwritten.or(slow).unwrap_or(0),
                series,
            }),
        }
    }

    /// Records the updates of parameters by a rule with these settings before and after it:
    /// [`Optimizer::updates`](super::Optimizer::updates) of an optimizer whose formula is a rule. Where the parameters are
    /// treated alike, the updates of all are one dispatch.
    #[track_caller]
    pub fn updates<R: UpdateRule>(
        &self,
        rule: &R,
        parameters: &[(&str, &Tensor, &Tensor)],
        clock: &Clock,
    ) -> Vec<Tensor> {
        let form = rule.form();
        if let Some(op) = form.own_op.filter(|_| self.does_nothing()) {
            let location = Location::caller();
            let update = |&(name, w, g): &(&str, &Tensor, &Tensor)| {
                let states = states(&form.states, name, w);
                let operands = operands(w, &states, &[g, &clock.rates]);
                w.graph().apply_at(op.clone(), &operands, location)
            };
            return parameters.iter().flat_map(update).collect();
        }
        let (gradients, mut updates) = self.collected(parameters, clock, self.collects());
        updates.extend(self.global_norm(&gradients, clock));
        for ((name, parameter, _), gradient) in parameters.iter().zip(&gradients) {
            let mut treatment = Treatment {
                running: self.running(),
                ..self.treatment(name)
            };
            if self.collects() {
                treatment.batches = 1;
            }
            updates.extend(self.own_norm(gradient, clock));
            let update = Update::new(rule.clone(), treatment);
            updates.extend(record(update, name, parameter, gradient, clock));
        }
        updates
    }

    /// Whether a parameter of that name is decayed.
    fn decays(&self, name: &str) -> bool {
        let mut excluded = self.exclude_from_weight_decay.iter();
        !excluded.any(|part| name.contains(part.as_str()))
    }

    /// The factor of that parameter's learning rate.
    fn factor(&self, name: &str) -> f32 {
        let fits = |(part, _): &&(String, f32)| name.contains(part.as_str());
        let found = self.learning_rate_factors.iter().find(fits);
        found.map_or(1.0, |(_, factor)| *factor)
    }

    /// What runs along with the weights; it belongs to the last of an optimizer's updates of a parameter.
    pub(super) fn running(&self) -> Option<Running> {
        if self.use_ema {
            let keep = self.ema_momentum;
            return Some(Running::Mean { keep });
        }
        let share = self.lookahead?.share;
        Some(Running::Slow { share })
    }

    /// What comes before a rule in the update of that parameter.
    pub(super) fn treatment(&self, name: &str) -> Treatment {
        let decays = self.decays(name);
        let decay = |rate: f32| if decays { rate } else { 0.0 };
        let norm = self.clipnorm.or(self.global_clipnorm).map(Clipped::Norm);
        Treatment {
            maximize: self.maximize,
            batches: self.gradient_accumulation_steps,
            clip: norm.or(self.clipvalue.map(Clipped::Value)),
            decay: decay(self.weight_decay),
            l2: decay(self.l2),
            factor: self.factor(name),
            running: None,
        }
    }

    /// The decoupled decay and the factor of that parameter alone: for rules whose gradients are treated before.
    pub(super) fn pace(&self, name: &str) -> Treatment {
        let Treatment { decay, factor, .. } = self.treatment(name);
        Treatment {
            decay,
            factor,
            ..Treatment::default()
        }
    }
}

/// Records an update of `parameter` with its states.
#[track_caller]
pub(super) fn record<R: UpdateRule>(
    update: Update<R>,
    name: &str,
    parameter: &Tensor,
    gradient: &Tensor,
    clock: &Clock,
) -> Option<Tensor> {
    let mut states = states(&update.form.states, name, parameter);
    if update.treatment.batches > 1 {
        states.push(state(name, ACCUMULATOR, parameter, 0.0));
    }
    if update.treatment.running.is_some() {
        states.push(state(name, "average", parameter, 0.0));
    }
    let operands = operands(parameter, &states, &[gradient, &clock.rates]);
    let graph = parameter.graph();
    graph.apply(update, &operands).into_iter().next()
}

/// The operands of an update: the parameter, its states, and the rest.
pub(super) fn operands<'a>(
    w: &'a Tensor,
    states: &'a [Tensor],
    rest: &[&'a Tensor],
) -> Vec<&'a Tensor> {
    let first = std::iter::once(w).chain(states);
    first.chain(rest.iter().copied()).collect()
}

/// The states of a rule for a parameter, variables `<name>.<state>` of its shape.
pub(super) fn states(states: &[RuleState], name: &str, parameter: &Tensor) -> Vec<Tensor> {
    let made = states
        .iter()
        .map(|kind| state(name, kind.name, parameter, kind.first));
    made.collect()
}

/// A state of the same shape as its parameter, at first this number everywhere.
pub(super) fn state(name: &str, state: &str, parameter: &Tensor, first: f32) -> Tensor {
    shaped_state(name, state, parameter, parameter.kind(), first)
}

/// A state of another shape.
pub(super) fn shaped_state(
    name: &str,
    state: &str,
    parameter: &Tensor,
    kind: TensorType,
    first: f32,
) -> Tensor {
    let initial = filled(&kind, first);
    let graph = parameter.graph();
    graph.variable(format!("{name}.{state}"), kind, initial)
}

/// Initial values all alike.
fn filled(kind: &TensorType, value: f32) -> Initial {
    if value == 0.0 {
        return Initial::Zeros;
    }
    let elements = usize::try_from(kind.elements()).unwrap_or(usize::MAX);
    Initial::Floats(vec![value; elements].into())
}

/// What is recorded in place of the updates of an optimizer whose settings are refused.
#[track_caller]
pub(super) fn refused(optimizer: &str, refusal: &Error, clock: &Clock) -> Vec<Tensor> {
    let graph = clock.rates.graph();
    vec![graph.refuse_at(optimizer, refusal.to_string(), Location::caller())]
}
