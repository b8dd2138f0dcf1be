//! Data sets from `ndarray`'s arrays and predictions as such.

use kiln::prelude::*;
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice, array};

fn model(columns: usize) -> Model {
    let network = Sequential::new(columns).dense(4, Tanh).dense(2, Linear);
    network
        .seed(2)
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])
        .unwrap()
}

#[test]
fn arrays_of_any_layout_are_the_rows_that_they_show() {
    let all = Array2::from_shape_fn((6, 4), |(i, j)| (10 * i + j) as f32);
    let expected = [0.0, 2.0, 20.0, 22.0, 40.0, 42.0];
    let rows = all.slice_axis(Axis(0), Slice::from(..).step_by(2));
    let every_other = rows.slice_axis(Axis(1), Slice::from(..).step_by(2));
    let transposed = every_other.t().to_owned();
    for x in [every_other, transposed.t()] {
        let y = array![1.0, 2.0, 3.0];
        let data = Dataset::from_arrays(x, y.view()).unwrap();
        assert_eq!((data.rows(), data.columns()), (3, 2));
        assert_eq!(data.features(), expected);
        assert_eq!(ArrayView2::try_from(&data).unwrap(), x);
        let values = vec![1.0, 2.0, 3.0];
        assert_eq!(*data.targets(), Targets::Values { values, columns: 1 });
    }
    let wide =
        Dataset::from_arrays(all.view(), all.slice_axis(Axis(1), Slice::from(1..3))).unwrap();
    assert!(matches!(wide.targets(), Targets::Values { columns: 2, .. }));
    let labels = Array1::from_vec(vec![0u32, 1, 3, 0, 1, 2]);
    let data = Dataset::from_arrays(all.view(), labels.view()).unwrap();
    assert_eq!(data.classes(), Some(4));
    let data = Dataset::from_arrays(all.view(), Targets::None).unwrap();
    assert_eq!(*data.targets(), Targets::None);
}

#[test]
fn predictions_are_an_array_and_come_from_one() {
    let x = Array2::from_shape_fn((33, 3), |(i, j)| ((7 * i + j) % 11) as f32 / 11.0);
    let mut model = model(3);
    let predictions = model.predict(x.view()).unwrap();
    let array = Array2::from(&predictions);
    assert_eq!(array.dim(), (33, 2));
    for (row, own) in predictions.rows().zip(array.outer_iter()) {
        assert_eq!(own.to_vec(), row);
    }
    // A view that is not row-major in memory is read as it shows.
    let columns_first = x.t().to_owned();
    assert_eq!(model.predict(columns_first.t()).unwrap(), predictions);
    let data = Dataset::from_arrays(x.view(), array.view()).unwrap();
    assert!(model.evaluate(&data).unwrap().loss < 1e-12);
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = Array2::<f32>::zeros((4, 3));
    let y = array![1.0f32, 2.0];
    let told = Dataset::from_arrays(x.view(), y.view()).unwrap_err();
    assert!(told.to_string().contains('4'), "{told}");
    assert!(Dataset::from_arrays(x.slice_axis(Axis(0), Slice::from(..0)), Targets::None).is_err());
    assert!(Dataset::from_arrays(x.slice_axis(Axis(1), Slice::from(..0)), Targets::None).is_err());
    // As many numbers as rows of the model's width, but in rows of another.
    let told = model(2).predict(x.view()).unwrap_err().to_string();
    assert!(told.contains("3 columns") && told.contains('2'), "{told}");
}
