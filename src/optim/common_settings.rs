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

    /// The same with decoupled weight decay: W ← W − λ·η·W before each update.
    fn weight_decay(mut self, rate: f32) -> Self {
        self.common_mut().weight_decay = rate;
        self
    }

    /// The same with coupled weight decay, PyTorch's `weight_decay`: g ← g + λ·W.
    fn l2(mut self, rate: f32) -> Self {
        self.common_mut().l2 = rate;
        self
    }

    /// The same without decay of parameters whose names contain one of these.
    fn exclude_from_weight_decay<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        let excluded = &mut self.common_mut().exclude_from_weight_decay;
        excluded.extend(names.into_iter().map(Into::into));
        self
    }

    /// The same with each parameter's gradient cut to this norm.
    fn clipnorm(mut self, limit: f32) -> Self {
        self.common_mut().clipnorm = Some(limit);
        self
    }

    /// The same with all gradients together cut to this norm.
    fn global_clipnorm(mut self, limit: f32) -> Self {
        self.common_mut().global_clipnorm = Some(limit);
        self
    }

    /// The same with each element of a gradient cut into ± this.
    fn clipvalue(mut self, limit: f32) -> Self {
        self.common_mut().clipvalue = Some(limit);
        self
    }

    /// The same with one update for the mean gradient of this many batches.
    fn gradient_accumulation_steps(mut self, batches: u32) -> Self {
        self.common_mut().gradient_accumulation_steps = batches;
        self
    }

    /// The same with a running mean of the weights, of which `momentum` is kept.
    fn use_ema(mut self, momentum: f32) -> Self {
        let common = self.common_mut();
        (common.use_ema, common.ema_momentum) = (true, momentum);
        self
    }

    /// The same with the mean in the weights' place after every `updates` updates.
    fn ema_overwrite_frequency(mut self, updates: u32) -> Self {
        self.common_mut().ema_overwrite_frequency = Some(updates);
        self
    }

    /// The same with slow weights, which go `share` of the way to the fast ones after every `steps` updates.
    fn lookahead(mut self, steps: u32, share: f32) -> Self {
        self.common_mut().lookahead = Some(Lookahead { steps, share });
        self
    }

    /// The same making the loss large.
    fn maximize(mut self) -> Self {
        self.common_mut().maximize = true;
        self
    }

    /// The same with the learning rate of parameters whose names contain `part` times `factor`.
    fn learning_rate_factor(mut self, part: impl Into<String>, factor: f32) -> Self {
        let factors = &mut self.common_mut().learning_rate_factors;
        factors.push((part.into(), factor));
        self
    }
}
