//! The standard scaler against values worked out by hand.

use kiln::{Dataset, Error, Scaler, Targets};

use crate::assert_says;

fn column(features: Vec<f32>) -> Dataset {
    Dataset::new(features, 1, Targets::None).unwrap()
}

#[test]
fn each_column_gets_mean_0_and_the_population_deviation_1() {
    let data =
        Dataset::from_rows(&[[1., -10.], [2., 10.], [3., -10.], [4., 10.]], &[[0.]; 4]).unwrap();
    let scaler = Scaler::standard(&data).unwrap();
    assert_eq!(&scaler.center[..], [2.5, 0.0]);
    assert_eq!(&scaler.scale[..], [1.25f64.sqrt(), 10.0]);
    let scaled = scaler.transform(&data).unwrap();
    let z = (1.5 / 1.25f64.sqrt()) as f32;
    let y = (0.5 / 1.25f64.sqrt()) as f32;
    assert_eq!(scaled.features(), [-z, -1., -y, 1., y, -1., z, 1.]);
    assert_eq!(scaled.targets(), data.targets());
}

#[test]
fn a_constant_column_becomes_0_however_long_it_is() {
    let scaler = Scaler::standard(&column(vec![0.1; 70_000])).unwrap();
    assert_eq!(&scaler.center[..], [f64::from(0.1f32)]);
    assert_eq!(&scaler.scale[..], [1.0]);
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
    let scaler = Scaler::standard(&column(features)).unwrap();
    assert_eq!((scaler.center[0], scaler.scale[0]), (1e6 + 0.5, 0.5));
}

#[test]
fn the_largest_f32_numbers_do_not_overflow() {
    let scaler = Scaler::standard(&column(vec![f32::MAX, f32::MIN])).unwrap();
    assert_eq!(
        (scaler.center[0], scaler.scale[0]),
        (0.0, f64::from(f32::MAX))
    );
}

#[test]
fn one_row_is_constant() {
    let scaler = Scaler::standard(&column(vec![-3.0])).unwrap();
    assert_eq!(
        (&scaler.center[..], &scaler.scale[..]),
        (&[-3.0][..], &[1.0][..])
    );
}

#[test]
fn missing_cells_do_not_count_and_infinite_ones_are_refused() {
    let scaler = Scaler::standard(&column(vec![1.0, f32::NAN, 3.0])).unwrap();
    assert_eq!(
        (&scaler.center[..], &scaler.scale[..]),
        (&[2.0][..], &[1.0][..])
    );
    assert_says(
        Scaler::standard(&column(vec![f32::NAN; 2])),
        &["column 0", "no number"],
    );
    assert_says(
        Scaler::standard(&column(vec![f32::INFINITY])),
        &["row 0", "inf"],
    );
}

#[test]
fn a_missing_target_does_not_keep_the_features_from_being_fitted() {
    let data = Dataset::from_rows(&[[1.], [2.]], &[[f32::NAN], [0.]]).unwrap();
    Scaler::standard(&data).unwrap();
}

#[test]
fn data_of_other_columns_is_refused() {
    let scaler = Scaler::from_parts(vec![0.0; 3], vec![1.0; 3]).unwrap();
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
    let fitted = Scaler::standard(&column(vec![1.0, 2.0, 4.0])).unwrap();
    let loaded = Scaler::from_parts(fitted.center.clone(), fitted.scale.clone()).unwrap();
    assert_eq!(loaded, fitted);
}

#[test]
fn parts_that_cannot_scale_are_refused() {
    let refused = |mean: &[f64], scale: &[f64], parts: &[&str]| {
        let error = assert_says(Scaler::from_parts(mean.to_vec(), scale.to_vec()), parts);
        assert!(matches!(error, Error::Argument { .. }));
    };
    refused(&[], &[], &["0 scales for 0 centers"]);
    refused(&[1.0, 2.0], &[1.0], &["1 scales for 2 centers"]);
    refused(
        &[0.0, f64::NAN],
        &[1.0, 1.0],
        &["center", "column 1", "NaN"],
    );
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(
            &[0.0, 0.0, 0.0],
            &[1.0, 1.0, bad],
            &["scale", "column 2", &bad.to_string()],
        );
    }
}

#[test]
fn a_scaler_of_targets_brings_rows_back_to_their_unit() {
    let targets = |values: Vec<f32>, columns| Targets::Values { values, columns };
    let values = vec![100.0, -1.0, 200.0, -1.0, 600.0, -1.0];
    let data = Dataset::new(vec![0.0; 3], 1, targets(values.clone(), 2)).unwrap();
    let unit = Scaler::targets(&data).unwrap();
    let mut rows = values.clone();
    unit.transform_rows(&mut rows).unwrap();
    let first: Vec<f64> = rows.iter().step_by(2).map(|&x| x.into()).collect();
    let (mean, squares) = (
        first.iter().sum::<f64>() / 3.0,
        first.iter().map(|x| x * x).sum::<f64>(),
    );
    assert!(mean.abs() < 1e-7 && (squares / 3.0 - 1.0).abs() < 1e-6);
    // A constant column becomes 0.
    assert!(rows.iter().skip(1).step_by(2).all(|&x| x == 0.0));
    unit.inverse_rows(&mut rows).unwrap();
    for (back, there) in rows.iter().zip(&values) {
        assert!((back - there).abs() <= 1e-4, "{back} {there}");
    }
    assert!(unit.inverse_rows(&mut [0.0; 3]).is_err());
    let labels = Dataset::new(vec![0.0; 3], 1, vec![0, 1, 2]).unwrap();
    assert!(Scaler::targets(&labels).is_err());
}
