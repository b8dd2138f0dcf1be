//! Loss scaling: gradients computed many times too large, so that 16 bits hold the small ones, and divided again.

use std::panic::Location;

use crate::op::{EndScale, Finite, MAX_CHECKED_TENSORS, POWERS, ScaleLoss, Unscale, scale};
use crate::{Initial, Result, Tensor, TensorType};

use super::{Clock, LossScale, Optimizer, OptimizerConfig, Rates};

/// The variable of its state: see [`LossScale`].
const LOSS_SCALE: &str = "loss_scale.state";

/// The variable of what the clock's rates were before a step: see `EndScale`.
pub(crate) const POWERS_KEPT: &str = "loss_scale.powers";

/// Loss scaling that has begun a step: see [`LossScale::begin`].
#[derive(Debug, Clone)]
pub(crate) struct Scaling {
    /// Steps after which S doubles; none where it stays 1.
    growth_steps: Option<u32>,
    state: Tensor,
    /// S, as dL/dL; none where it stays 1.
    seed: Option<Tensor>,
}

impl LossScale {
    /// Records the first part of a step, which tells the clock's cursor S. Best before the forward pass: the plan can then
    /// scale the gradient of the loss where it is computed.
    #[track_caller]
    pub(crate) fn begin(&self, clock: &Clock) -> Scaling {
        let state = state_of(clock);
        let op = ScaleLoss {
            first: self.initial_scale,
        };
        let seed = state.graph().apply_one(op, &[&state, &clock.cursor]);
        Scaling {
            growth_steps: Some(self.dynamic_growth_steps),
            state,
            seed: Some(seed),
        }
    }
}

/// The variable of the scale's state.
#[track_caller]
fn state_of(clock: &Clock) -> Tensor {
    let kind = TensorType::u32([scale::WORDS]);
    let graph = clock.cursor.graph();
    graph.variable(LOSS_SCALE, kind, Initial::Zeros)
}

/// What else belongs to a step's updates.
pub(crate) struct Extras<'a> {
    /// Updates that layers have recorded, left out as well in a step that is skipped.
    pub layers: &'a [Tensor],
    /// Records what follows the updates of the parameters.
    pub after: &'a dyn Fn() -> Vec<Tensor>,
}

impl Scaling {
    /// With S = 1 for ever: nothing but the test of the gradients, and the step that is skipped.
    #[track_caller]
    pub(crate) fn test_only(clock: &Clock) -> Self {
        Scaling {
            growth_steps: None,
            state: state_of(clock),
            seed: None,
        }
    }

    /// The gradients of the loss divided by S, the state told whether any number of them is not finite; and what else is to be
    /// done for that before the end of the scale.
    fn gradients(
        &self,
        loss: &Tensor,
        parameters: &[&Tensor],
        clock: &Clock,
    ) -> (Vec<Tensor>, Vec<Tensor>) {
        let graph = loss.graph();
        if let Some(seed) = &self.seed {
            let scaled = graph.gradients_from(loss, seed, parameters);
            let unscale = |g: &Tensor| graph.apply_one(Unscale, &[g, &clock.cursor, &self.state]);
            return (scaled.iter().map(unscale).collect(), Vec::new());
        }
        let gradients = graph.gradients(loss, parameters);
        let look = |some: &[Tensor]| {
            let operands: Vec<&Tensor> = std::iter::once(&self.state).chain(some).collect();
            graph.apply_one(Finite, &operands)
        };
        let looked = gradients.chunks(MAX_CHECKED_TENSORS).map(look).collect();
        (gradients, looked)
    }

    /// [`Optimizer::minimize`] with scaled gradients: their division, what becomes of S, and the updates, which a step whose
    /// gradients are not all finite leaves out, as it does the extras. `loss` is a scalar.
    #[track_caller]
    pub(crate) fn minimize(
        &self,
        optimizer: &dyn Optimizer,
        loss: &Tensor,
        parameters: &[(&str, &Tensor)],
        clock: &Clock,
        extras: &Extras<'_>,
    ) -> Vec<Tensor> {
        let graph = loss.graph();
        if optimizer
            .rates()
            .update_count
            .is_some_and(|count| count.accumulate > 1)
        {
            let message = "a sum of several batches' gradients has no scale of its own, and none of them can be left out: train with larger batches, or without a loss scale and without skipping steps";
            let refused = graph.refuse_at("loss_scale", message.into(), Location::caller());
            return vec![refused];
        }
        let tensors: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| *tensor).collect();
        let (gradients, looked) = self.gradients(loss, &tensors, clock);
        let kept = graph.variable(POWERS_KEPT, TensorType::f32([POWERS]), Initial::Zeros);
        let end = EndScale {
            growth_steps: self.growth_steps,
        };
        let end = graph.apply_one(end, &[&clock.cursor, &self.state, &kept, &clock.rates]);
        let named = parameters.iter().zip(&gradients);
        let named: Vec<_> = named
            .map(|(&(name, parameter), g)| (name, parameter, g))
            .collect();
        // What is written into the rates is for this step alone.
        let updates = graph.unless(&self.state, scale::SKIP, &clock.rates, || {
            // The layers' first: what they read is the parameters before the step.
            let layers = extras.layers.iter().map(|update| graph.again(update));
            let mut updates: Vec<Tensor> = layers.collect();
            updates.extend(optimizer.updates(&named, clock));
            updates.extend((extras.after)());
            updates
        });
        std::iter::once(clock.indices.clone())
            .chain(looked)
            .chain([end])
            .chain(updates)
            .collect()
    }
}

/// An optimizer with loss scaling of its own settings.
///
/// ```
/// use kiln::optim::{LossScale, LossScaleOptimizer};
/// use kiln::prelude::*;
///
/// let scale = LossScale { initial_scale: 1024.0, ..LossScale::default() };
/// let optimizer = LossScaleOptimizer::new(Adam::new(0.01), scale);
/// # optimizer.validate()?;
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct LossScaleOptimizer {
    inner: Box<dyn Optimizer>,
    scale: LossScale,
}

impl LossScaleOptimizer {
    /// `inner` with these settings of its loss scale.
    pub fn new(inner: impl Optimizer + 'static, scale: LossScale) -> Self {
        LossScaleOptimizer {
            inner: Box::new(inner),
            scale,
        }
    }
}

impl Optimizer for LossScaleOptimizer {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn validate(&self) -> Result<()> {
        self.scale.validate()?;
        self.inner.validate()
    }

    /// The settings of the inner optimizer: how activations are stored is the device's business, not the file's.
    fn config(&self) -> Option<OptimizerConfig> {
        self.inner.config()
    }

    fn rates(&self) -> Rates {
        self.inner.rates()
    }

    fn loss_scale(&self) -> Option<LossScale> {
        Some(self.scale)
    }

    fn updates(&self, parameters: &[(&str, &Tensor, &Tensor)], clock: &Clock) -> Vec<Tensor> {
        self.inner.updates(parameters, clock)
    }

    fn minimize(
        &self,
        loss: &Tensor,
        parameters: &[(&str, &Tensor)],
        clock: &Clock,
    ) -> Vec<Tensor> {
        let extras = Extras {
            layers: &[],
            after: &Vec::new,
        };
        let scaling = self.scale.begin(clock);
        scaling.minimize(self.inner.as_ref(), loss, parameters, clock, &extras)
    }
}
