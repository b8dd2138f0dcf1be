//! Layers that regularise by chance: dropout and noise in training, nothing at all otherwise.

use serde::{Deserialize, Serialize};

use crate::op::{Noise, NoiseKind};
use crate::{Error, Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Call, Layer};

/// In training 0 with the probability `rate`, else x/(1 − rate) (Srivastava et al., 2014).
///
/// Draws go by counter, keyed by the model's seed, the layer, the step and the element: the same on every device, and in a
/// run that is continued.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// p, in [0, 1).
    pub rate: f32,
}

/// In training dropout that keeps mean and variance of what SELU gives (Klambauer et al., 2017).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AlphaDropout {
    /// p, in [0, 1).
    pub rate: f32,
}

/// In training x + deviation·N with standard normal draws N.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaussianNoise {
    /// The standard deviation, at least 0.
    pub deviation: f32,
}

/// In training x·(1 + N·√(rate/(1 − rate))) with standard normal draws N.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaussianDropout {
    /// p, in [0, 1).
    pub rate: f32,
}

/// x with noise on it in training; x otherwise.
#[track_caller]
fn noisy(x: &Tensor, call: &Call, kind: NoiseKind) -> Tensor {
    if !call.training {
        return x.clone();
    }
    let noise = Noise {
        kind,
        seed: call.seed,
        stream: call.stream,
    };
    match &call.clock {
        Some(clock) => x.noise(&clock.cursor, noise),
        None => call.refuse("draws by the step of a clock, and this training has none"),
    }
}

fn rate_in_range(rate: f32) -> Result<()> {
    if (0.0..1.0).contains(&rate) {
        return Ok(());
    }
    Err(Error::argument(
        "rate",
        format!("must be at least 0 and below 1, got {rate}"),
    ))
}

/// The layer of a name with one setting.
macro_rules! layers {
    ($($name:ident, $setting:ident => $kind:expr, $check:expr;)*) => {$(
        impl $name {
            /// With this setting.
            pub fn new($setting: f32) -> Self {
                $name { $setting }
            }
        }

        impl Layer for $name {
            saved_as!(stringify!($name));

            fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
                single(inputs).cloned()
            }

            fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
                let $setting = self.$setting;
                noisy(&inputs[0], call, $kind)
            }

            fn validate(&self) -> Result<()> {
                $check(self.$setting)
            }

            fn detail(&self) -> Option<String> {
                Some(self.$setting.to_string())
            }
        }
    )*};
}

layers! {
    Dropout, rate => NoiseKind::Dropout { rate }, rate_in_range;
    AlphaDropout, rate => NoiseKind::AlphaDropout { rate }, rate_in_range;
    GaussianDropout, rate => NoiseKind::GaussianDropout { rate }, rate_in_range;
    GaussianNoise, deviation => NoiseKind::Gaussian { deviation }, |deviation: f32| {
        if deviation >= 0.0 && deviation.is_finite() {
            return Ok(());
        }
        Err(Error::argument("deviation", format!("must be at least 0 and finite, got {deviation}")))
    };
}
