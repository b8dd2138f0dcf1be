//! The settings of loss scaling.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::range::{at_least_one, within};

/// Dynamic loss scaling with the names and defaults of Keras' `LossScaleOptimizer`.
///
/// Gradients are those of S·L, divided by S in f32. If any is then no finite number, the step changes neither parameters nor
/// optimizer states, nor βᵗ, and S is halved; after `dynamic_growth_steps` steps in a row without that, S doubles. All of
/// it on the device. PyTorch's `GradScaler` does the same and begins with 65 536. A learning rate's schedule counts
/// skipped steps too, as PyTorch's do where they are stepped every time; Keras' do not.
///
/// The state is the variable `loss_scale.state`, u32 \[8\]: the bits of S, an f32, 0 before the first step; steps in a row
/// without a number that is not finite; whether this step has found one; whether this step's updates are skipped; steps
/// skipped so far; the rest is reserved.
///
/// Models whose device stores activations as f16 ([`Precision::Half`](crate::target::Precision::Half)) train with one of these
/// settings; a [`LossScaleOptimizer`](super::LossScaleOptimizer) has others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// S before the first step: a power of two. Default 32 768.
    pub initial_scale: f32,
    /// Steps in a row after which S doubles; at least 1. Default 2000.
    pub dynamic_growth_steps: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        LossScale {
            initial_scale: 32_768.0,
            dynamic_growth_steps: 2000,
        }
    }
}

impl LossScale {
    /// Whether every setting is in its range; the error names the field.
    pub(super) fn validate(&self) -> Result<()> {
        let scale = self.initial_scale;
        let fits = scale.is_normal() && scale > 0.0 && scale.to_bits() & 0x7f_ffff == 0;
        within(fits, "initial_scale", "a power of two", scale)?;
        at_least_one("dynamic_growth_steps", self.dynamic_growth_steps)
    }
}
