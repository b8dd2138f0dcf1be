//! LAMB: Adam's direction, as long as its layer's weights are.

use crate::Tensor;
use crate::number::Known;
use crate::op::{
    AdamFormula, Element, Moment, RuleForm, RuleState, Series, Treatment, Update, UpdateRule,
    norm_of, rule_form,
};
use crate::range::{above_zero, share};

use super::adam::means_form;
use super::define::optimizer;
use super::gradients::{SEPARATE_NORMS, sum_of_squares};
use super::wrap::{operands, record, states};
use super::{Clock, Rates};

optimizer! {
    /// LAMB (You et al., 2019) with Keras' defaults. m and v are Adam's, u = m/(1 − β₁ᵗ)/(√(v/(1 − β₂ᵗ)) + ε), and
    /// W ← W − η·‖W‖/‖u‖·u for each parameter, the ratio being 1 where a norm is 0.
    ///
    /// One dispatch for all directions, and two for each parameter: its norms, its step.
    composed Lamb "lamb", 0.001 {
        /// β₁, in [0, 1). Default 0.9.
        beta_1: f32 = 0.9, share;
        /// β₂, in [0, 1). Default 0.999.
        beta_2: f32 = 0.999, share;
        /// ε, above 0. Default 1e-7.
        epsilon: f32 = 1e-7, above_zero;
    }
    tried on [Lamb::default(), Trust];
}

impl Lamb {
    fn clock_rates(&self) -> Rates {
        let betas = [self.beta_1, self.beta_2];
        self.common
            .counted(&self.learning_rate, betas, Series::None)
    }

    #[track_caller]
    fn record(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        let common = &self.common;
        // Both parts see the weights before and after, so gradients are summed apart.
        let (gradients, mut updates) = common.collected(parameters, clock, true);
        updates.extend(common.global_norm(&gradients, clock));
        let mut directions = Vec::new();
        for ((name, parameter, _), gradient) in parameters.iter().zip(&gradients) {
            updates.extend(common.own_norm(gradient, clock));
            let treatment = Treatment {
                batches: 1,
                ..common.treatment(name)
            };
            let update = Update::new(self.rule(), treatment);
            let states = states(&update.form.states, name, parameter);
            let operands = operands(parameter, &states, &[gradient, &clock.rates]);
            updates.push(parameter.graph().apply_one(update, &operands));
            directions.extend(states.into_iter().next_back());
        }
        for ((name, parameter, _), direction) in parameters.iter().zip(&directions) {
            updates.push(sum_of_squares(
                SEPARATE_NORMS,
                &[parameter, direction],
                clock,
            ));
            let treatment = Treatment {
                decay: 0.0,
                running: common.running(),
                ..common.pace(name)
            };
            let step = Update::new(Trust, treatment);
            updates.extend(record(step, name, parameter, direction, clock));
        }
        updates
    }
}

/// The first part: m and v as Adam's, u ← m/(1 − β₁ᵗ)/(√(v/(1 − β₂ᵗ)) + ε); w stays.
impl UpdateRule for Lamb {
    fn form(&self) -> RuleForm {
        let betas = [self.beta_1, self.beta_2];
        let mut form = means_form(rule_form!("lamb"), betas, self.epsilon);
        form.states.push(RuleState {
            hides_nan: true,
            ..RuleState::signed("direction")
        });
        form
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let formula = AdamFormula::<N>::new(self.beta_1, self.beta_2, self.epsilon);
        let [left_1, left_2] = at.powers.map(|power| N::constant(1.0) - power);
        move |(w, [m, v, _]), g| {
            let [m, v] = formula.means(m, v, g);
            (w, [m, v, m / left_1 / formula.divisor(v / left_2)])
        }
    }
}

/// The second part, g being u: w ← w − η·‖w‖/‖u‖·g by the sums of squares in the rates; 1 for the ratio where a norm is 0.
#[derive(Debug, Clone)]
struct Trust;

impl UpdateRule for Trust {
    fn form(&self) -> RuleForm {
        rule_form!("trust")
    }

    #[inline(always)]
    fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
        let [weights, direction] = at.squares;
        let ratio = if weights.decides().abs() > 0.0 && direction.decides().abs() > 0.0 {
            let ((weights, unit), (direction, unit_of_direction)) =
                (norm_of(weights), norm_of(direction));
            weights / direction * (unit / unit_of_direction)
        } else {
            N::constant(1.0)
        };
        let rate = ratio * at.eta;
        move |(w, states), g| (w - rate * g, states)
    }
}
