//! What optimizers other than plain ones need to know of a step: the number of the update, whether this batch is the one
//! that updates, and a series of their own.

use crate::contract::Launch;
use crate::number::{Real, UNIT};
use crate::schedule::decimal;

use super::{Rates, rate};

/// Counts updates beside steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct UpdateCount {
    /// Batches whose gradients make one update; at least 1.
    pub accumulate: u32,
    /// Updates after which something is due, such as putting the average in the weights' place; 0 for never.
    pub every: u32,
    /// What varies with the number of the update.
    pub series: Series,
}

impl Default for UpdateCount {
    fn default() -> Self {
        UpdateCount {
            accumulate: 1,
            every: 0,
            series: Series::None,
        }
    }
}

/// The two numbers that the clock computes from the number t of the update, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Series {
    /// Zeros.
    #[default]
    None,
    /// pₜ = baseᵗ and Π μᵢ with μᵢ = β₁·(1 − ½pᵢ) (Dozat, 2016), both advanced by products.
    Nadam {
        /// 0.96 in Keras, 0.96^momentum_decay in PyTorch; in (0, 1].
        base: f32,
    },
    /// rₜ = √((ρₜ − 4)(ρₜ − 2)ρ∞/((ρ∞ − 4)(ρ∞ − 2)ρₜ)), 0 where ρₜ ≤ 5, with ρ∞ = 2/(1 − β₂) − 1 and
    /// ρₜ = ρ∞ − 2t·β₂ᵗ/(1 − β₂ᵗ) (Liu et al., 2019).
    Radam,
    /// t^exponent.
    Power {
        /// Below 0 in what uses it.
        exponent: f32,
    },
    /// ηₜ = η/(1 + λ·η·(t − 1))^α and μₜ = 1/max(1, t − 1 − t₀) (Polyak and Juditsky, 1992, as PyTorch has it).
    Asgd {
        /// λ.
        lambda: f32,
        /// α.
        alpha: f32,
        /// t₀.
        start: f32,
    },
}

impl Series {
    /// The series' number in the shader, and the constants that the shader takes.
    fn constants(self, beta_2: f32) -> (u32, [f32; 4]) {
        match self {
            Series::None => (1, [0.0; 4]),
            Series::Nadam { base } => (2, [base, 0.0, 0.0, 0.0]),
            Series::Radam => (3, radam(beta_2).map(|value| value as f32)),
            Series::Power { exponent } => (4, [exponent, 0.0, 0.0, 0.0]),
            Series::Asgd {
                lambda,
                alpha,
                start,
            } => (5, [lambda, alpha, start, 0.0]),
        }
    }
}

/// What RAdam needs of β₂: −ln β₂, ρ∞ + 2/ln β₂, ρ∞ and ρ∞/((ρ∞ − 4)(ρ∞ − 2)).
fn radam(beta_2: f32) -> [f64; 4] {
    let complement = 1.0 - decimal(beta_2);
    let log = -(-complement).ln_1p();
    let most = 2.0 / complement - 1.0;
    [
        log,
        most - 2.0 / log,
        most,
        most / ((most - 4.0) * (most - 2.0)),
    ]
}

impl UpdateCount {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.accumulate == 0 {
            return Err("accumulate must be at least 1, got 0".into());
        }
        match self.series {
            Series::Nadam { base } if !(base > 0.0 && base <= 1.0) => {
                Err(format!("base must be above 0 and at most 1, got {base}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the step after `before` others is the first of those that make an update.
    pub(super) fn begins(&self, before: u32) -> bool {
        before.is_multiple_of(self.accumulate)
    }

    /// Sets the numbers from [`rate::UPDATE`] on for the step after `before` others; the first three are done.
    #[inline(always)]
    pub(super) fn advance<T: Real>(&self, before: u32, beta_1: f32, beta_2: f32, rates: &mut [T]) {
        if before == 0 {
            rates[rate::SKIPPED] = T::zero();
        }
        let skipped = rates[rate::SKIPPED].double() as u32;
        let update = (before / self.accumulate).saturating_sub(skipped) + 1;
        let of = |value: f32| T::constant(f64::from(value));
        let (one, half) = (T::one(), T::constant(0.5));
        let t = T::constant(f64::from(update));
        rates[rate::UPDATE] = t;
        let updates = (before + 1).is_multiple_of(self.accumulate);
        let due = self.every != 0 && update.is_multiple_of(self.every);
        rates[rate::FLAGS] = T::constant(f64::from(
            u32::from(updates) + 2 * u32::from(due) + 4 * u32::from(self.begins(before)),
        ));
        let [mut a, mut b] = [rates[rate::SERIES], rates[rate::SERIES + 1]];
        match self.series {
            Series::None => (a, b) = (T::zero(), T::zero()),
            Series::Nadam { base } => {
                if before == 0 {
                    (a, b) = (one, one);
                }
                if self.begins(before) {
                    a = a * of(base);
                    b = b * (of(beta_1) * (one - half * a));
                }
            }
            Series::Radam => {
                let [log, rest, most, factor] = radam(beta_2).map(T::constant);
                let x = t * log;
                // 2t/(e^x − 1) is ρ∞ but for a few units while x is small: its series without that part.
                let rho = if x < T::constant(0.7) {
                    let q = x * x;
                    let odd = one / T::constant(6.0)
                        - q * (one / T::constant(360.0) - q / T::constant(15_120.0));
                    rest + t * (one - x * odd)
                } else {
                    most - T::constant(2.0) * t / x.exp_m1()
                };
                let (four, two) = (T::constant(4.0), T::constant(2.0));
                a = T::zero();
                if rho > T::constant(5.0) {
                    a = ((rho - four) * (rho - two) * factor / rho).sqrt();
                }
                b = T::zero();
            }
            Series::Power { exponent } => (a, b) = (t.powf(of(exponent)), T::zero()),
            Series::Asgd {
                lambda,
                alpha,
                start,
            } => {
                let rate = rates[rate::LEARNING_RATE];
                let slowed = one + of(lambda) * rate * (t - one);
                a = rate / slowed.powf(of(alpha));
                let past = t - one - of(start);
                b = one / if past > one { past } else { one };
            }
        }
        (rates[rate::SERIES], rates[rate::SERIES + 1]) = (a, b);
    }

    /// The numbers that the shader takes.
    pub(super) fn params(rates: &Rates, launch: Launch) -> Launch {
        let count = rates.update_count.unwrap_or_default();
        let (number, constants) = match rates.update_count {
            None => (0, [0.0; 4]),
            Some(count) => count.series.constants(rates.beta_2),
        };
        let launch = launch
            .set("TALLY", number)
            .param("accumulate", count.accumulate)
            .param("every", count.every);
        ["series_a", "series_b", "series_c", "series_d"]
            .into_iter()
            .zip(constants)
            .fold(launch, |launch, (name, value)| launch.param(name, value))
    }

    /// How far the two numbers of the series may be off on a device, given those after the step and the error of η.
    pub(super) fn errors(&self, beta_2: f32, rates: &[f64], rate_error: f64) -> [f64; 2] {
        let t = rates[rate::UPDATE];
        let [a, b] = [rates[rate::SERIES], rates[rate::SERIES + 1]];
        match self.series {
            Series::None => [0.0; 2],
            // A product; and a product, a difference of which half a's error is left, two products.
            Series::Nadam { .. } => [UNIT * a, 6.0 * UNIT * b],
            Series::Radam => {
                let [log, rest, most, factor] = radam(beta_2);
                if a == 0.0 {
                    return [1e-37, 0.0];
                }
                // ρ back from r² = (ρ − 4)(ρ − 2)·factor/ρ.
                let half = 0.5 * (6.0 + a * a / factor);
                let rho = half + (half * half - 8.0).sqrt();
                let error = if t * log < 0.7 {
                    12.0 * UNIT * (t + rest.abs())
                } else {
                    // A quotient whose divisor is off by 8 units, and a difference.
                    20.0 * UNIT * most
                };
                let share = 0.5 * (1.0 / (rho - 4.0) + 1.0 / (rho - 2.0) + 1.0 / rho);
                [a * (1.1 * error * share + 20.0 * UNIT), 0.0]
            }
            Series::Power { exponent } => {
                // 2^y: y has the errors of log2 (3 ulp) and a product, exp2 3 + 2|y| ulp.
                let y = (f64::from(exponent) * t.log2()).abs();
                [a * UNIT * (8.0 + 10.0 * y), 0.0]
            }
            Series::Asgd { alpha, lambda, .. } => {
                // e^−y with y = α·ln(1 + x), x of four roundings; exp has 3 + 2|y| ulp.
                let x = f64::from(lambda) * rates[rate::LEARNING_RATE] * (t - 1.0);
                let y = f64::from(alpha) * x.ln_1p();
                let own = a.abs() * UNIT * (12.0 + 24.0 * y);
                [1.1 * (own + 2.0 * rate_error) + 1e-37, 8.0 * UNIT * b]
            }
        }
    }
}
