//! The kinds of noise, and the constants by which the kernel and the CPU form draw them.

/// What is drawn, and what happens to an element.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum NoiseKind {
    /// 0 with the probability `rate`, else x/(1 − rate).
    Dropout {
        /// p, in [0, 1).
        rate: f32,
    },
    /// a·α′ + b with the probability `rate`, else a·x + b, with α′ = −1.7581 (SELU's least value), and a and b such that mean 0
    /// and variance 1 stay what they are.
    AlphaDropout {
        /// p, in [0, 1).
        rate: f32,
    },
    /// x + deviation·N with normal draws N.
    Gaussian {
        /// The standard deviation, at least 0.
        deviation: f32,
    },
    /// x·(1 + N·√(rate/(1 − rate))) with normal draws N.
    GaussianDropout {
        /// p, in [0, 1).
        rate: f32,
    },
}

use NoiseKind::{AlphaDropout, Dropout, Gaussian, GaussianDropout};

/// α′ = −α·scale of SELU.
const LEAST_SELU: f64 = -1.673_263_242_354_377_2 * 1.050_700_987_355_480_5;

/// The kind as the shader knows it: the least draw that keeps; the factor of what is kept, or the deviation; the summands
/// of what is kept and dropped.
pub(super) struct Constants {
    pub kind: u32,
    pub least: u32,
    pub kept: f32,
    pub kept_more: f32,
    pub dropped_more: f32,
}

impl NoiseKind {
    pub(super) fn constants(self) -> Constants {
        let least = |rate: f32| (f64::from(rate) * f64::from(1 << 24)).ceil() as u32;
        let drawn = |kind: u32, kept: f64| Constants {
            kind,
            least: 0,
            kept: kept as f32,
            kept_more: 0.0,
            dropped_more: 0.0,
        };
        match self {
            Dropout { rate } => Constants {
                least: least(rate),
                ..drawn(0, 1.0 / (1.0 - f64::from(rate)))
            },
            AlphaDropout { rate } => {
                let p = f64::from(rate);
                let a = ((1.0 - p) * (1.0 + p * LEAST_SELU * LEAST_SELU)).powf(-0.5);
                let b = -a * LEAST_SELU * p;
                Constants {
                    least: least(rate),
                    kept_more: b as f32,
                    dropped_more: (a * LEAST_SELU + b) as f32,
                    ..drawn(0, a)
                }
            }
            Gaussian { deviation } => drawn(1, f64::from(deviation)),
            GaussianDropout { rate } => {
                let p = f64::from(rate);
                drawn(2, (p / (1.0 - p)).sqrt())
            }
        }
    }

    /// What is wrong with the rate or the deviation.
    pub(crate) fn check(self) -> Result<(), (&'static str, String)> {
        match self {
            Dropout { rate } | AlphaDropout { rate } | GaussianDropout { rate } => {
                if (0.0..1.0).contains(&rate) {
                    return Ok(());
                }
                let message = format!("must be at least 0 and below 1, got {rate}");
                Err(("rate", message))
            }
            Gaussian { deviation } if deviation >= 0.0 && deviation.is_finite() => Ok(()),
            Gaussian { deviation } => {
                let message = format!("must be at least 0 and finite, got {deviation}");
                Err(("deviation", message))
            }
        }
    }
}
