//! The settings that every optimizer has beside its own: decay, clipping, accumulation, averages, rates of single layers.

use serde::{Deserialize, Serialize};

use crate::range::{above_zero, at_least_one, at_least_zero, fraction};
use crate::{Error, Result};

/// The decoupled decay of AdamW, as in Keras.
pub(super) const ADAM_W_DECAY: f32 = 0.004;

/// Settings that all optimizers have, by Keras' names; as they are by default none of them does anything.
///
/// Optimizers have methods of the same names, [`CommonSettings`](super::CommonSettings):
/// `Adam::new(0.001).weight_decay(0.01).clipnorm(1.0)`. In one update they come in this order: the mean of accumulated gradients, clipping, decay, the optimizer's formula, the average.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Common {
    /// λ of decoupled decay, at least 0: W ← W − λ·η·W before the update, of every parameter that is not excluded.
    /// Default 0; PyTorch's optimizers but AdamW have `l2` under this name.
    pub weight_decay: f32,
    /// λ of coupled decay, at least 0: g ← g + λ·W, as PyTorch's `weight_decay`. Default 0.
    pub l2: f32,
    /// Parameters whose names contain one of these are not decayed, in either way.
    pub exclude_from_weight_decay: Vec<String>,
    /// Cuts each gradient, parameter by parameter, to this norm; above 0.
    pub clipnorm: Option<f32>,
    /// Cuts all gradients together to this norm; above 0.
    pub global_clipnorm: Option<f32>,
    /// Cuts each element of a gradient into ± this; above 0. Only one of the three can be set.
    pub clipvalue: Option<f32>,
    /// n: the mean of n batches' gradients makes one update, with the n-th batch. Default 1.
    pub gradient_accumulation_steps: u32,
    /// Whether a running mean of the weights is kept: a ← m·a + (1 − m)·W after each batch, a = W after the first
    /// update. `fit` ends with it in the weights' place, as Keras' does. Default false.
    pub use_ema: bool,
    /// m, in [0, 1]. Default 0.99.
    pub ema_momentum: f32,
    /// Puts the mean in the weights' place after every `n` updates, `Some(n)`, too. Default: at the end of `fit` alone.
    pub ema_overwrite_frequency: Option<u32>,
    /// Slow weights that follow the fast ones (Zhang et al., 2019). Default: none.
    pub lookahead: Option<Lookahead>,
    /// Whether the loss is made large instead of small. Default false.
    pub maximize: bool,
    /// Factors of the learning rate, at least 0: of parameters whose names contain the text, the first that fits.
    pub learning_rate_factors: Vec<(String, f32)>,
}

/// Every `steps` updates the slow weights go `share` of the way to the fast ones, which go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lookahead {
    /// k, at least 1; 5 in the paper.
    pub steps: u32,
    /// α, in (0, 1]; 0.5 in the paper.
    pub share: f32,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            weight_decay: 0.0,
            l2: 0.0,
            exclude_from_weight_decay: Vec::new(),
            clipnorm: None,
            global_clipnorm: None,
            clipvalue: None,
            gradient_accumulation_steps: 1,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            lookahead: None,
            maximize: false,
            learning_rate_factors: Vec::new(),
        }
    }
}

impl Common {
    /// Whether an update is the formula and nothing else.
    pub(super) fn does_nothing(&self) -> bool {
        let idle = Common {
            ema_momentum: self.ema_momentum,
            exclude_from_weight_decay: self.exclude_from_weight_decay.clone(),
            ..Common::default()
        };
        *self == idle
    }

    /// Checks the settings that all optimizers have.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] with the name of the first setting that is out of its range.
    pub fn validate(&self) -> Result<()> {
        at_least_zero("weight_decay", self.weight_decay)?;
        at_least_zero("l2", self.l2)?;
        let limits = [
            ("clipnorm", self.clipnorm),
            ("global_clipnorm", self.global_clipnorm),
            ("clipvalue", self.clipvalue),
        ];
        for (name, limit) in limits {
            limit.map_or(Ok(()), |limit| above_zero(name, limit))?;
        }
        let set = limits.iter().filter(|(_, limit)| limit.is_some());
        if let [first, second, ..] = set.collect::<Vec<_>>()[..] {
            let message = format!(
                "cannot be set beside {}: one way of clipping at most",
                second.0
            );
            return Err(Error::argument(first.0, message));
        }
        at_least_one(
            "gradient_accumulation_steps",
            self.gradient_accumulation_steps,
        )?;
        at_least_one(
            "ema_overwrite_frequency",
            self.ema_overwrite_frequency.unwrap_or(1),
        )?;
        fraction("ema_momentum", self.ema_momentum)?;
        if let Some(lookahead) = self.lookahead {
            at_least_one("lookahead", lookahead.steps)?;
            if !(lookahead.share > 0.0 && lookahead.share <= 1.0) {
                let message = format!("must go a share in (0, 1], got {}", lookahead.share);
                return Err(Error::argument("lookahead", message));
            }
            if self.use_ema {
                let message = "keeps slow weights where use_ema keeps a mean: one of them at most";
                return Err(Error::argument("lookahead", message));
            }
        }
        let excluded = &self.exclude_from_weight_decay;
        not_empty("exclude_from_weight_decay", excluded)?;
        for (part, factor) in &self.learning_rate_factors {
            not_empty("learning_rate_factors", [part])?;
            at_least_zero("learning_rate_factors", *factor)?;
        }
        Ok(())
    }
}

/// Refuses an empty part of a name, which is in every name.
pub(super) fn not_empty<'a>(
    setting: &'static str,
    parts: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    if parts.into_iter().all(|part| !part.is_empty()) {
        return Ok(());
    }
    let message = "must be parts of weights' names, got an empty text, which is in every name";
    Err(Error::argument(setting, message))
}
