//! Facts about initializers: ranges, fans, moments, matrices at right angles.

use super::*;

fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values
        .iter()
        .map(|&v| (f64::from(v) - mean).powi(2))
        .sum::<f64>()
        / n;
    (mean, variance.sqrt())
}

fn scaled(fan: Fan, distribution: Distribution) -> Initializer {
    Initializer::VarianceScaling {
        scale: 3.0,
        fan,
        distribution,
    }
}

#[test]
fn orthogonal_matrices_have_rows_or_columns_at_right_angles() {
    for (rows, columns) in [(5, 3), (3, 5), (4, 4), (1, 7)] {
        let w = Initializer::Orthogonal(2.0).draw(&[rows, columns], 7, 0);
        let short = rows.min(columns);
        let vector = |i: usize| -> Vec<f32> {
            let element = |j: usize| {
                if rows < columns {
                    w[i * columns + j]
                } else {
                    w[j * columns + i]
                }
            };
            (0..rows.max(columns)).map(element).collect()
        };
        for i in 0..short {
            for j in 0..short {
                let product: f32 = vector(i).iter().zip(vector(j)).map(|(a, b)| a * b).sum();
                let wanted = if i == j { 4.0 } else { 0.0 };
                assert!((product - wanted).abs() < 1e-5, "{rows}×{columns} {i} {j}");
            }
        }
    }
}

#[test]
fn an_identity_has_its_gain_on_the_diagonal() {
    let wide = Initializer::Identity(2.0).draw(&[2, 3], 0, 0);
    assert_eq!(wide, [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    let tall = Initializer::Identity(1.0).draw(&[3, 2], 0, 0);
    assert_eq!(tall, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
}

#[test]
fn fans_of_any_shape_are_keras() {
    assert_eq!(fans(&[]), (1, 1));
    assert_eq!(fans(&[64]), (64, 64));
    assert_eq!(fans(&[8, 10]), (8, 10));
    assert_eq!(fans(&[3, 3, 16, 32]), (144, 288));
}

#[test]
fn draws_have_the_moments_of_their_formulas() {
    let (fan_in, fan_out) = (300, 200);
    let cases = [
        (Initializer::GlorotUniform, 0.0, (2.0f64 / 500.0).sqrt()),
        (Initializer::GlorotNormal, 0.0, (2.0f64 / 500.0).sqrt()),
        (Initializer::HeUniform, 0.0, (2.0f64 / 300.0).sqrt()),
        (Initializer::HeNormal, 0.0, (2.0f64 / 300.0).sqrt()),
        (Initializer::Uniform(-0.05, 0.05), 0.0, 0.05 / 3.0f64.sqrt()),
        (Initializer::Normal(1.0, 0.05), 1.0, 0.05),
        (Initializer::Constant(0.25), 0.25, 0.0),
        (Initializer::LecunUniform, 0.0, (1.0f64 / 300.0).sqrt()),
        (Initializer::LecunNormal, 0.0, (1.0f64 / 300.0).sqrt()),
        (
            Initializer::TruncatedNormal(1.0, 0.05),
            1.0,
            0.05 * CUT_DEVIATION,
        ),
        (
            scaled(Fan::Out, Distribution::Uniform),
            0.0,
            (3.0f64 / 200.0).sqrt(),
        ),
        (
            scaled(Fan::Average, Distribution::UntruncatedNormal),
            0.0,
            (3.0f64 / 250.0).sqrt(),
        ),
        (
            scaled(Fan::In, Distribution::TruncatedNormal),
            0.0,
            (3.0f64 / 300.0).sqrt(),
        ),
        (Initializer::Orthogonal(2.0), 0.0, 2.0 / (300.0f64).sqrt()),
    ];
    for (initializer, mean, deviation) in cases {
        let (m, d) = moments(&initializer.draw(&[fan_in, fan_out], 1, 2));
        assert!(
            (m - mean).abs() < 0.02 * deviation.max(1e-9),
            "{initializer:?}: mean {m}"
        );
        assert!(
            (d - deviation).abs() <= 0.01 * deviation,
            "{initializer:?}: deviation {d}, not {deviation}"
        );
    }
}

#[test]
fn a_seed_gives_the_same_weights_for_ever() {
    let drawn = Initializer::GlorotUniform.draw(&[2, 2], 42, 0);
    assert_eq!(drawn, Initializer::GlorotUniform.draw(&[2, 2], 42, 0));
    assert_ne!(drawn, Initializer::GlorotUniform.draw(&[2, 2], 43, 0));
    assert_ne!(drawn, Initializer::GlorotUniform.draw(&[2, 2], 42, 1));
}
