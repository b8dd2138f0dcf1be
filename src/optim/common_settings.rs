//! The methods that set what all optimizers have.

use super::{Common, Lookahead};

/// Methods of every optimizer for its [`Common`] settings; the prelude has them, and `use kiln::optim::CommonSettings` does
/// without it. An optimizer from outside has them too once it says where its settings are.
///
/// ```
/// use kiln::optim::{CommonSettings, Lamb};
///
/// let lamb = Lamb::new(0.001).weight_decay(0.01).clipnorm(1.0);
/// assert_eq!(lamb.common.clipnorm, Some(1.0));
/// ```
pub trait CommonSettings: Sized {
    /// The settings themselves.
    fn common_mut(&mut self) -> &mut Common;

    /// Sets decoupled weight decay λ: W ← W − λ·η·W before each update; default 0, but for AdamW.
    fn weight_decay(mut self, rate: f32) -> Self {
        self.common_mut().weight_decay = rate;
        self
    }

    /// Sets coupled weight decay λ, PyTorch's `weight_decay`: g ← g + λ·W; default 0.
    fn l2(mut self, rate: f32) -> Self {
        self.common_mut().l2 = rate;
        self
    }

    /// Leaves parameters whose names contain one of these texts without decay; default: none. Compiling a model refuses a text that
    /// is in no weight's name, here and in [`learning_rate_factor`](Self::learning_rate_factor).
    fn exclude_from_weight_decay<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        let excluded = &mut self.common_mut().exclude_from_weight_decay;
        excluded.extend(names.into_iter().map(Into::into));
        self
    }

    /// Scales each parameter's gradient down to this norm where it is larger; default: never.
    fn clipnorm(mut self, limit: f32) -> Self {
        self.common_mut().clipnorm = Some(limit);
        self
    }

    /// Scales all gradients down where their common norm is larger than this; default: never.
    fn global_clipnorm(mut self, limit: f32) -> Self {
        self.common_mut().global_clipnorm = Some(limit);
        self
    }

    /// Cuts each element of a gradient off at ±`limit`; default: never.
    fn clipvalue(mut self, limit: f32) -> Self {
        self.common_mut().clipvalue = Some(limit);
        self
    }

    /// Makes one update for the mean gradient of this many batches; default 1.
    fn gradient_accumulation_steps(mut self, batches: u32) -> Self {
        self.common_mut().gradient_accumulation_steps = batches;
        self
    }

    /// Keeps a running mean of the weights: mean ← `momentum`·mean + (1 − `momentum`)·W after each update; default: none.
    fn use_ema(mut self, momentum: f32) -> Self {
        let common = self.common_mut();
        (common.use_ema, common.ema_momentum) = (true, momentum);
        self
    }

    /// Puts the [running mean](Self::use_ema) in the place of the weights after every `updates` updates; default: never.
    fn ema_overwrite_frequency(mut self, updates: u32) -> Self {
        self.common_mut().ema_overwrite_frequency = Some(updates);
        self
    }

    /// Keeps slow weights, which go `share` of the way to the fast ones after every `steps` updates, and puts them in the place
    /// of these (Zhang et al., 2019); default: none.
    fn lookahead(mut self, steps: u32, share: f32) -> Self {
        self.common_mut().lookahead = Some(Lookahead { steps, share });
        self
    }

    /// Makes the loss large instead of small.
    fn maximize(mut self) -> Self {
        self.common_mut().maximize = true;
        self
    }

    /// Multiplies the learning rate of parameters whose names contain `part` by `factor`.
    fn learning_rate_factor(mut self, part: impl Into<String>, factor: f32) -> Self {
        let factors = &mut self.common_mut().learning_rate_factors;
        factors.push((part.into(), factor));
        self
    }
}
