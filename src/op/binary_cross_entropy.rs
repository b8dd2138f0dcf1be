//! Binary cross-entropy of one prediction and its target, −(t·ln p + (1 − t)·ln(1 − p)), and its slope.
//!
//! From logits, with p = sigmoid z: max(z, 0) − z·t + ln(1 + e^−|z|), and the slope is sigmoid z − t. From probabilities, as in
//! Keras 3: p is kept between 1e-7 and 1 − 1e-7, and the slope is (p − t)/(p·(1 − p)), 0 outside.

use crate::contract::Form;
use crate::number::{Number, Tracked};

/// The least probability that a logarithm is taken of, as Keras's epsilon.
pub(super) const LOWEST: f32 = 1e-7;
/// 1 − 1e-7 in f32.
pub(super) const HIGHEST: f32 = 1.0 - f32::EPSILON;

/// The number kept between [`LOWEST`] and [`HIGHEST`], a NaN as it is.
pub(super) fn kept<N: Number>(p: N) -> N {
    p.larger(N::given(LOWEST)).smaller(N::given(HIGHEST))
}

/// −ln p without cancellation near p = 1.
pub(super) fn minus_log<N: Number>(p: N) -> N {
    ((N::constant(1.0) - p) / p).logarithm_of_one_plus()
}

/// The slope where p is between [`LOWEST`] and [`HIGHEST`], both among them, else 0.
#[inline(always)]
pub(super) fn inside<N: Number>(p: N, slope: N) -> N {
    let zero = N::constant(0.0);
    let low = N::choose(p.is_less(N::given(LOWEST)), zero, slope);
    N::choose(N::given(HIGHEST).is_less(p), zero, low)
}

/// The binary cross-entropy of predictions of this form.
impl Form {
    /// The loss of one element, as a sum of terms of one sign: small losses keep their digits.
    #[inline(always)]
    pub(super) fn term<N: Number>(self, y: N, t: N) -> N {
        let (zero, one) = (N::constant(0.0), N::constant(1.0));
        match self {
            Form::Logits => {
                let wrong = N::choose(zero.is_less(y), one - t, t);
                y.magnitude() * wrong + (-y.magnitude()).power_of_e().log_of_one_plus()
            }
            Form::Probabilities => {
                let p = kept(y);
                t * minus_log(p) + (one - t) * (p / (one - p)).logarithm_of_one_plus()
            }
        }
    }

    /// d term/dy; of logits sigmoid y − t over a common denominator, where nothing cancels for t = 0 or 1.
    #[inline(always)]
    pub(super) fn slope<N: Number>(self, y: N, t: N) -> N {
        let (zero, one) = (N::constant(0.0), N::constant(1.0));
        match self {
            Form::Logits => {
                let below = y.is_less(zero);
                let e = N::choose(below, y, -y).power_of_e();
                let above = N::choose(below, e * (one - t) - t, (one - t) - t * e);
                above / (one + e)
            }
            Form::Probabilities => {
                let slope = (y - t) / (y * (one - y));
                y.keep_nan(inside(y, slope))
            }
        }
    }

    /// The error of a device's [`Self::term`].
    pub(super) fn term_error(self, y: f64, t: f64) -> f64 {
        self.term(Tracked::exact(y), Tracked::exact(t)).error
    }

    /// The error of a device's [`Self::slope`].
    pub(super) fn slope_error(self, y: f64, t: f64) -> f64 {
        self.slope(Tracked::exact(y), Tracked::exact(t)).error
    }
}
