//! How far a device's losses and slopes may be from the reference's.

use crate::contract::Sample;
use crate::number::UNIT;
use crate::op::binary_cross_entropy::{HIGHEST, LOWEST, kept, minus_log};
use crate::op::softmax::{Powers, exp_error};

use super::is_sparse;

/// The rows of y with their targets as shares.
pub(super) fn targets<'a>(sample: &'a Sample<'_>) -> impl Iterator<Item = (&'a [f64], Vec<f64>)> {
    let (_, columns) = sample.signature.inputs[0].shape.rows_and_columns();
    let sparse = is_sparse(sample.signature);
    let t = &sample.inputs[1];
    let rows = sample.inputs[0].chunks_exact(columns).enumerate();
    rows.map(move |(r, y)| {
        let shares = if sparse {
            (0..columns)
                .map(|j| f64::from(u8::from(t[r] == j as f64)))
                .collect()
        } else {
            t[r * columns..(r + 1) * columns].to_vec()
        };
        (y, shares)
    })
}

/// The error of L·Σt + Σ t·|d|: L inherits the relative error of its sum and takes eight units for log1p; then γ of both sums.
pub(in crate::op) fn logits_error(y: &[f64], t: &[f64]) -> f64 {
    let powers = Powers::of(y);
    let log = powers.sum.ln();
    let weights: f64 = t.iter().map(|t| t.abs()).sum();
    let distance: f64 = y
        .iter()
        .zip(t)
        .map(|(y, t)| (t * (y - powers.largest)).abs())
        .sum();
    weights * (powers.sum_error(y) + 2.0 * UNIT + 16.0 * UNIT * log)
        + Sample::gamma(y.len() + 3) * (weights * log + distance)
}

/// The error of Σ t·ln(1 + (1 − q)/q): q inherits the error of its sum and a division; the rest as in binary_cross_entropy.
pub(super) fn probabilities_error(y: &[f64], t: &[f64]) -> f64 {
    let shares = Shares::of(y);
    let logarithm = 24.0 * UNIT + Sample::gamma(y.len() + 1);
    y.iter()
        .zip(t)
        .map(|(y, t)| t.abs() * (shares.error + logarithm * minus_log(kept(y / shares.total))))
        .sum()
}

/// Probabilities as shares of their sum.
struct Shares {
    total: f64,
    /// The relative error of a device's share.
    error: f64,
}

impl Shares {
    fn of(row: &[f64]) -> Self {
        let total: f64 = row.iter().sum();
        let magnitudes: f64 = row.iter().map(|p| p.abs()).sum();
        Shares {
            total,
            error: Sample::gamma(row.len()) * magnitudes / total.abs() + 6.0 * UNIT,
        }
    }
}

/// The errors of p·Σt − t: p inherits the errors of its power, their sum and a division; then γ of Σt and two roundings.
pub(in crate::op) fn logits_slope_errors(y: &[f64], t: &[f64]) -> Vec<f64> {
    let powers = Powers::of(y);
    let weights: f64 = t.iter().map(|t| t.abs()).sum();
    let common = powers.sum_error(y) + 8.0 * UNIT + Sample::gamma(y.len());
    y.iter()
        .zip(t)
        .map(|(y, t)| {
            let relative = exp_error(y - powers.largest) + common;
            powers.share(*y) * weights * relative + UNIT * t.abs()
        })
        .collect()
}

/// The errors of (Σ t·`[inside]` − t·`[inside]`/q)/Σp: γ of the first sum, the error of q and a division in the second term, and both
/// terms' share in the last division. Where q is within its error of an end, a device may be on the other side of it:
/// then t of that class may be in the first sum or not, together with its own second term.
pub(super) fn probabilities_slope_errors(y: &[f64], t: &[f64]) -> Vec<f64> {
    let shares = Shares::of(y);
    let q = |p: &f64| p / shares.total;
    let undecided = |q: f64| {
        let (lowest, highest) = (f64::from(LOWEST), f64::from(HIGHEST));
        (q - lowest).abs() <= lowest * shares.error || (q - highest).abs() <= shares.error
    };
    let pairs = || y.iter().zip(t);
    let weights: f64 = pairs().map(|(_, t)| t.abs()).sum();
    let open: f64 = pairs()
        .filter(|(p, _)| undecided(q(p)))
        .map(|(_, t)| t.abs())
        .sum();
    pairs()
        .map(|(p, t)| {
            let q = q(p);
            let own = if kept(q) == q { (t / q).abs() } else { 0.0 };
            let others = if undecided(q) {
                open - t.abs() + (t - t / q).abs()
            } else {
                open
            };
            let rounding = Sample::gamma(y.len()) * weights + own * (shares.error + 6.0 * UNIT);
            let last = (weights + own) * (shares.error + 2.0 * UNIT);
            (others + rounding + last) / shares.total.abs()
        })
        .collect()
}
