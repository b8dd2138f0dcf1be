//! The standard scaler against values worked out by hand.

use kiln::{Dataset, Error, StandardScaler, Targets};

use crate::assert_says;

fn column(features: Vec<f32>) -> Dataset {
    Dataset::new(features, 1, Targets::None).unwrap()
}

#[test]
fn each_column_gets_mean_0_and_the_population_deviation_1() {
    let data =
        Dataset::from_rows(&[[1., -10.], [2., 10.], [3., -10.], [4., 10.]], &[[0.]; 4]).unwrap();
    let scaler = StandardScaler::fit(&data).unwrap();
    assert_eq!(scaler.mean(), [2.5, 0.0]);
    assert_eq!(scaler.scale(), [1.25f64.sqrt(), 10.0]);
    let scaled = scaler.transform(&data).unwrap();
    let z = (1.5 / 1.25f64.sqrt()) as f32;
    let y = (0.5 / 1.25f64.sqrt()) as f32;
    assert_eq!(scaled.features(), [-z, -1., -y, 1., y, -1., z, 1.]);
    assert_eq!(scaled.targets(), data.targets());
}

#[test]
fn a_constant_column_becomes_0_however_long_it_is() {
    let scaler = StandardScaler::fit(&column(vec![0.1; 70_000])).unwrap();
    assert_eq!(scaler.mean(), [f64::from(0.1f32)]);
    assert_eq!(scaler.scale(), [1.0]);
    assert_eq!(
        scaler
            .transform(&column(vec![0.1, 1.1]))
            .unwrap()
            .features(),
        [0.0, 1.1 - 0.1]
    );
}

#[test]
fn a_small_spread_around_a_large_mean_is_not_lost() {
    let features: Vec<f32> = (0..1000).map(|row| 1e6 + (row % 2) as f32).collect();
    let scaler = StandardScaler::fit(&column(features)).unwrap();
    assert_eq!((scaler.mean()[0], scaler.scale()[0]), (1e6 + 0.5, 0.5));
}

#[test]
fn the_largest_f32_numbers_do_not_overflow() {
    let scaler = StandardScaler::fit(&column(vec![f32::MAX, f32::MIN])).unwrap();
    assert_eq!(
        (scaler.mean()[0], scaler.scale()[0]),
        (0.0, f64::from(f32::MAX))
    );
}

#[test]
fn one_row_is_constant() {
    let scaler = StandardScaler::fit(&column(vec![-3.0])).unwrap();
    assert_eq!((scaler.mean(), scaler.scale()), (&[-3.0][..], &[1.0][..]));
}

#[test]
fn fitting_refuses_features_that_are_not_finite() {
    assert_says(
        StandardScaler::fit(&column(vec![1.0, f32::NAN])),
        &["row 1", "column 0", "NaN"],
    );
    assert_says(
        StandardScaler::fit(&column(vec![f32::INFINITY])),
        &["row 0", "inf"],
    );
}

#[test]
fn a_missing_target_does_not_keep_the_features_from_being_fitted() {
    let data = Dataset::from_rows(&[[1.], [2.]], &[[f32::NAN], [0.]]).unwrap();
    StandardScaler::fit(&data).unwrap();
}

#[test]
fn data_of_other_columns_is_refused() {
    let scaler = StandardScaler::from_parts(vec![0.0; 3], vec![1.0; 3]).unwrap();
    assert_says(
        scaler.transform(&column(vec![1.0])),
        &["3 columns", "has 1"],
    );
    assert_says(
        scaler.transform_rows(&mut [0.0; 7]),
        &["7 features", "3 columns"],
    );
    scaler.transform_rows(&mut []).unwrap();
}

#[test]
fn a_scaler_from_parts_equals_the_one_they_came_from() {
    let fitted = StandardScaler::fit(&column(vec![1.0, 2.0, 4.0])).unwrap();
    let loaded =
        StandardScaler::from_parts(fitted.mean().to_vec(), fitted.scale().to_vec()).unwrap();
    assert_eq!(loaded, fitted);
}

#[test]
fn parts_that_cannot_scale_are_refused() {
    let refused = |mean: &[f64], scale: &[f64], parts: &[&str]| {
        let error = assert_says(
            StandardScaler::from_parts(mean.to_vec(), scale.to_vec()),
            parts,
        );
        assert!(matches!(error, Error::Argument { .. }));
    };
    refused(&[], &[], &["0 scales for 0 means"]);
    refused(&[1.0, 2.0], &[1.0], &["1 scales for 2 means"]);
    refused(&[0.0, f64::NAN], &[1.0, 1.0], &["mean", "column 1", "NaN"]);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(
            &[0.0, 0.0, 0.0],
            &[1.0, 1.0, bad],
            &["scale", "column 2", &bad.to_string()],
        );
    }
}
