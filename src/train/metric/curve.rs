//! Areas under curves and points on them, from counts at ascending thresholds. Formulas as Keras 3 has them.

use super::settings::{Auc, Curve, Summation};
use super::tally::{Counts, ThresholdTally, ratio};

/// The thresholds of an area: evenly spread, the ends outside of [0, 1].
pub(super) fn thresholds(count: usize) -> Vec<f32> {
    let mut thresholds = evenly(count);
    if let Some(last) = thresholds.last_mut() {
        *last = 1.0 + 1e-7;
    }
    thresholds
}

/// The thresholds of a point: evenly spread from below 0 to 1; one alone is one half. Keras counts a prediction of exactly 0
/// as above its lowest threshold, which is 0.
pub(super) fn evenly(count: usize) -> Vec<f32> {
    if count == 1 {
        return vec![0.5];
    }
    let at = |i: usize| match i {
        0 => -1e-7,
        i => (i as f64 / (count - 1) as f64) as f32,
    };
    (0..count).map(at).collect()
}

pub(super) fn area(auc: &Auc, tally: &ThresholdTally) -> f64 {
    if !auc.multi_label {
        return area_of(auc, &tally.all());
    }
    let areas = (0..tally.columns()).map(|column| area_of(auc, &tally.column(column)));
    match &auc.label_weights {
        None => areas.sum::<f64>() / tally.columns() as f64,
        Some(weights) => {
            let weights = weights.iter().map(|&weight| f64::from(weight));
            let sum: f64 = areas.zip(weights.clone()).map(|(area, w)| area * w).sum();
            ratio(sum, weights.sum())
        }
    }
}

fn area_of(auc: &Auc, counts: &[Counts]) -> f64 {
    let steps = counts.windows(2).map(|pair| (pair[0], pair[1]));
    if auc.curve == Curve::Pr && auc.summation == Summation::Interpolation {
        return steps.map(|(low, high)| interpolated(low, high)).sum();
    }
    let point = |counts: Counts| match auc.curve {
        Curve::Roc => (ratio(counts.fp, counts.fp + counts.tn), counts.recall()),
        Curve::Pr => (counts.recall(), counts.precision()),
    };
    let step = |(low, high)| {
        let ((x_low, y_low), (x_high, y_high)) = (point(low), point(high));
        let height = match auc.summation {
            Summation::Interpolation => (y_low + y_high) / 2.0,
            Summation::Minoring => y_low.min(y_high),
            Summation::Majoring => y_low.max(y_high),
        };
        (x_low - x_high) * height
    };
    steps.map(step).sum()
}

/// The area under precision over recall between two thresholds, where true and false positives grow in proportion.
fn interpolated(low: Counts, high: Counts) -> f64 {
    let (p_low, p_high) = (low.tp + low.fp, high.tp + high.fp);
    let dtp = low.tp - high.tp;
    let slope = ratio(dtp, (p_low - p_high).max(0.0));
    let intercept = high.tp - slope * p_high;
    let growth = if p_low > 0.0 && p_high > 0.0 {
        p_low / p_high
    } else {
        1.0
    };
    ratio(
        slope * (dtp + intercept * growth.ln()),
        (high.tp + high.fn_).max(0.0),
    )
}

/// The greatest `wanted` where `given` is at least `at`; 0 where it never is.
pub(super) fn best(
    counts: &[Counts],
    at: f32,
    given: fn(Counts) -> f64,
    wanted: fn(Counts) -> f64,
) -> f64 {
    counts
        .iter()
        .filter(|&&counts| given(counts) >= f64::from(at))
        .map(|&counts| wanted(counts))
        .fold(0.0, f64::max)
}
