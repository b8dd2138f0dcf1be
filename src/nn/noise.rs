//! Layers that regularise by chance: dropout and noise in training, nothing at all otherwise.

use serde::{Deserialize, Serialize};

use crate::op::NoiseKind;
use crate::range::{at_least_zero, share};
use crate::{Result, Shape, Tensor};

use super::layer::{saved_as, single};
use super::{Call, Layer};

/// x with noise on it in training; x otherwise.
#[track_caller]
fn noisy(x: &Tensor, call: &Call, kind: NoiseKind) -> Tensor {
    if !call.training {
        return x.clone();
    }
    match &call.clock {
        Some(clock) => x.noise(&clock.cursor, kind, call.seed, call.stream),
        None => call.refuse("draws by the step of a clock, and this training has none"),
    }
}

/// A layer with one number as its setting.
macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident($setting:ident: $range:literal by $check:ident) => $kind:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            #[doc = $range]
            pub $setting: f32,
        }

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
                $check(stringify!($setting), self.$setting)
            }

            fn detail(&self) -> Option<String> {
                Some(self.$setting.to_string())
            }
        }
    )*};
}

layers! {
    /// In training 0 with the probability `rate`, else x/(1 − rate) (Srivastava et al., 2014).
    ///
    /// Draws go by counter, keyed by the model's seed, the layer, the step and the element: the same on every device, and
    /// in a run that is continued.
    Dropout(rate: "p, in [0, 1)." by share) => NoiseKind::Dropout { rate };
    /// In training dropout that keeps mean and variance of what SELU gives (Klambauer et al., 2017).
    AlphaDropout(rate: "p, in [0, 1)." by share) => NoiseKind::AlphaDropout { rate };
    /// In training x·(1 + N·√(rate/(1 − rate))) with standard normal draws N.
    GaussianDropout(rate: "p, in [0, 1)." by share) => NoiseKind::GaussianDropout { rate };
    /// In training x + deviation·N with standard normal draws N.
    GaussianNoise(deviation: "The standard deviation, at least 0." by at_least_zero) => NoiseKind::Gaussian { deviation };
}
