//! What an optimizer is: update nodes for each parameter, and constants for the clock.

use std::fmt;

use crate::{Result, Tensor};

use super::{Clock, LossScale, OptimizerConfig, Rates};

/// A rule that changes parameters by their gradients.
///
/// Where the rule is a formula for each element, an [`UpdateRule`](crate::op::UpdateRule), `rates` and `updates` are those
/// of [`Common`](super::Common) with the settings that all optimizers have:
///
/// ```
/// use kiln::op::{Element, Known, Moment, RuleForm, UpdateRule};
/// use kiln::optim::{Clock, Common, CommonSettings, Optimizer, Rates, Schedule};
/// use kiln::{Result, Tensor};
///
/// /// w ← w − η·g/(1 + |g|/limit).
/// #[derive(Debug, Clone)]
/// struct Soft {
///     learning_rate: Schedule,
///     limit: f32,
///     common: Common,
/// }
///
/// impl UpdateRule for Soft {
///     fn form(&self) -> RuleForm {
///         RuleForm {
///             label: "update.soft",
///             wgsl: "struct Rule { limit: f32 }
///                    fn take_step(p: Point, s: States) -> Next {
///                        return Next(p.w - p.eta * p.g / (1.0 + abs(p.g) / params.rule.limit), s);
///                    }",
///             numbers: vec![("limit", self.limit.into())],
///             ..RuleForm::default()
///         }
///     }
///
///     fn step<N: Known>(&self, at: &Moment<N>) -> impl Fn(Element<N>, N) -> Element<N> {
///         let (eta, one, limit) = (at.eta, N::constant(1.0), N::given(self.limit));
///         move |(w, states), g| (w - eta * g / (one + g.magnitude() / limit), states)
///     }
/// }
///
/// impl Optimizer for Soft {
///     fn name(&self) -> &'static str {
///         "soft"
///     }
///
///     fn validate(&self) -> Result<()> {
///         self.learning_rate.validate()?;
///         self.common.validate()
///     }
///
///     fn rates(&self) -> Rates {
///         self.common.rates(&self.learning_rate, self)
///     }
///
///     fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
///         self.common.updates(self, parameters, clock)
///     }
/// }
///
/// impl CommonSettings for Soft {
///     fn common_mut(&mut self) -> &mut Common {
///         &mut self.common
///     }
/// }
///
/// let soft = Soft { learning_rate: 0.1.into(), limit: 2.0, common: Common::default() };
/// soft.clone().clipnorm(1.0).validate()?;
/// for case in soft.cases(0) {
///     kiln::check::parity(&case, &kiln::Device::cpu())?;
/// }
/// # Ok::<(), kiln::Error>(())
/// ```
pub trait Optimizer: fmt::Debug + Send + Sync {
    /// The optimizer's name in summaries and files.
    fn name(&self) -> &'static str;

    /// Whether every setting is in its range.
    ///
    /// # Errors
    ///
    /// The first setting that is not, by name.
    fn validate(&self) -> Result<()>;

    /// The settings as a model file keeps them; none for an optimizer of the user's own.
    fn config(&self) -> Option<OptimizerConfig> {
        None
    }

    /// What the clock computes for it.
    fn rates(&self) -> Rates;

    /// The settings of its loss scale; none for an optimizer that is not a [`LossScaleOptimizer`](super::LossScaleOptimizer).
    fn loss_scale(&self) -> Option<LossScale> {
        None
    }

    /// Records the updates of named parameters by their gradients: all nodes that [`Program::update`] needs, in order.
    /// States are variables `<name>.<state>`.
    ///
    /// [`Program::update`]: crate::Program::update
    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor>;

    /// Records gradients of `loss` and the updates of all named parameters, for `Program::update`; the clock's advance
    /// comes with them.
    #[track_caller]
    fn minimize(
        &self,
        loss: &Tensor,
        parameters: &[(&str, &Tensor)],
        clock: &Clock,
    ) -> Vec<Tensor> {
        let tensors: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| *tensor).collect();
        let gradients = loss.graph().gradients(loss, &tensors);
        let all: Vec<(&str, &Tensor, &Tensor)> = parameters
            .iter()
            .zip(&gradients)
            .map(|((name, parameter), gradient)| (*name, *parameter, gradient))
            .collect();
        // The clock writes the rates that the updates read, but none of them takes its output.
        std::iter::once(clock.indices.clone())
            .chain(self.updates(&all, clock))
            .collect()
    }
}
