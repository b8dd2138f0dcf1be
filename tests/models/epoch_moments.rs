//! R² and the explained variance where targets, errors or weights are of very different size: as sums in f64 have them.

use kiln::prelude::*;
use kiln::train::{Metric, R2};

use crate::common::devices;
use crate::epoch_sums::{ident, near, pairs, streamed};

/// Numbers between −1 and 1 by counter.
fn spread(i: usize) -> f32 {
    let bits = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    bits as f32 / (1 << 23) as f32 - 1.0
}

fn scores() -> [Metric; 2] {
    [
        Metric::R2Score(R2::default()),
        Metric::ExplainedVariance(R2::default()),
    ]
}

/// 1 − R² and 1 − explained variance of rows (prediction, target, weight), in two passes of f64.
fn missing(rows: &[(f32, f32, f32)]) -> [f64; 2] {
    let rows = || {
        rows.iter()
            .map(|&(y, t, w)| (f64::from(y) - f64::from(t), f64::from(t), f64::from(w)))
    };
    let all: f64 = rows().map(|(_, _, w)| w).sum();
    let mean =
        |of: fn((f64, f64, f64)) -> f64| rows().map(|row| row.2 * of(row)).sum::<f64>() / all;
    let (e_mean, t_mean) = (mean(|(e, ..)| e), mean(|(_, t, _)| t));
    let about = |of: fn((f64, f64, f64)) -> f64, mean: f64| -> f64 {
        rows()
            .map(|row| row.2 * (of(row) - mean) * (of(row) - mean))
            .sum()
    };
    let spread = about(|(_, t, _)| t, t_mean);
    [
        about(|(e, ..)| e, 0.0) / spread,
        about(|(e, ..)| e, e_mean) / spread,
    ]
}

/// Compares what a stream reports of the rows with f64.
fn compared(rows: &[(f32, f32, f32)], weighted: bool, what: &str) {
    let y: Vec<f32> = rows.iter().map(|row| row.0).collect();
    let t: Vec<f32> = rows.iter().map(|row| row.1).collect();
    let w: Vec<f32> = rows.iter().map(|row| row.2).collect();
    let right = missing(rows);
    for device in devices() {
        let weights = weighted.then_some(&w[..]);
        let values = streamed(&device, &scores(), &y, &t, weights);
        for (value, right) in values.iter().zip(right) {
            near(1.0 - value, right, 1e-6, &format!("{what} on {device}"));
        }
    }
}

#[test]
fn the_explained_variance_of_a_useless_model_is_0_however_far_the_targets_lie() {
    for offset in [1e3, 1e5, 1e6, -3e6] {
        // Untrained: 0 for every row.
        let rows: Vec<_> = (0..5000).map(|i| (0.0, offset + spread(i), 1.0)).collect();
        compared(&rows, false, &format!("targets about {offset}"));
        // Predictions far off, by a number that varies; targets near 0.
        let rows: Vec<_> = (0..5000)
            .map(|i| (offset + spread(7 * i + 3), spread(i), 1.0))
            .collect();
        compared(&rows, false, &format!("predictions about {offset}"));
        for device in devices() {
            let mut model = ident(&device, MeanSquaredError, scores());
            let row = |i: usize| (0.125 * spread(i), offset + spread(i));
            let measured = model.evaluate(&pairs(3000, row)).unwrap();
            let rows: Vec<_> = (0..3000).map(row).map(|(y, t)| (y, t, 1.0)).collect();
            for ((name, value), right) in measured.metrics.iter().zip(missing(&rows)) {
                near(1.0 - value, right, 1e-6, name);
            }
        }
    }
}

#[test]
fn a_row_that_weighs_nothing_changes_nothing_however_large_it_is() {
    let row = |i: usize| {
        let t = spread(i);
        (t + 0.3 * spread(5 * i + 1), t, 1.0)
    };
    let others: Vec<_> = (1..2561).map(row).collect();
    let right = missing(&others);
    // A masked row first, at the end of a batch, in a later batch, and a whole batch of them.
    for masked in [0..1, 255..256, 700..701, 0..256, 0..300] {
        for t in [-999.0, -1e9, 1e12, 1e20, -3e38, f32::INFINITY] {
            let mut rows = others.clone();
            let own = masked.clone().map(|_| (t + 0.1, t, 0.0));
            rows.splice(masked.start..masked.start, own);
            let y: Vec<f32> = rows.iter().map(|row| row.0).collect();
            let targets: Vec<f32> = rows.iter().map(|row| row.1).collect();
            let w: Vec<f32> = rows.iter().map(|row| row.2).collect();
            for device in devices() {
                let values = streamed(&device, &scores(), &y, &targets, Some(&w));
                for (value, right) in values.iter().zip(right) {
                    let what = format!("{t} in {masked:?} on {device}");
                    near(1.0 - value, right, 1e-6, &what);
                }
            }
        }
    }
    // A NaN is not passed over.
    for (y, t) in [(f32::NAN, 0.0), (0.0, f32::NAN)] {
        for device in devices() {
            let values = streamed(
                &device,
                &scores(),
                &[0.0, y, 2.0],
                &[0.5, t, 1.0],
                Some(&[1.0, 0.0, 1.0]),
            );
            assert!(values.iter().all(|value| value.is_nan()), "{values:?}");
        }
    }
}

#[test]
fn rows_that_weigh_next_to_nothing_are_no_origin() {
    // A row, and a whole batch, far away and light.
    for (light, weight, far) in [
        (1, 1e-30, 1e9),
        (1, 1e-20, -1e9),
        (256, 1e-30, 1e6),
        (300, 1e-25, -1e6),
    ] {
        let rows: Vec<_> = (0..3000)
            .map(|i| {
                let t = if i < light { far } else { spread(i) };
                let w = if i < light {
                    weight
                } else {
                    1.0 + spread(3 * i).abs()
                };
                (t + 0.3 * spread(5 * i + 1), t, w)
            })
            .collect();
        compared(
            &rows,
            true,
            &format!("{light} rows at {far} that weigh {weight}"),
        );
    }
}
