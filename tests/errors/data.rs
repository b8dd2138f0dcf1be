//! Data sets, their parts and their preprocessing.

use kiln::data::{Fill, Step};
use kiln::prelude::*;

use super::{labelled, refuses, says};

pub fn all() {
    arrays_that_make_no_data_set_are_refused();
    parts_that_cannot_be_are_refused();
    preprocessing_that_does_not_fit_is_refused();
}

fn four() -> Dataset {
    labelled(
        vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        vec![0, 1, 0, 1],
    )
}

#[test]
pub fn arrays_that_make_no_data_set_are_refused() {
    says(Dataset::new(vec![0.0; 5], 2, Targets::None), &["5", "2"]);
    says(Dataset::new(vec![0.0; 4], 0, Targets::None), &["0"]);
    let labels = |labels: Vec<u32>, classes| Targets::Labels { labels, classes };
    says(
        Dataset::new(vec![0.0; 4], 2, labels(vec![0], 1)),
        &["1", "2"],
    );
    says(
        Dataset::new(vec![0.0; 4], 2, labels(vec![0, 5], 2)),
        &["5", "2"],
    );
    let values = |values: Vec<f32>, columns| Targets::Values { values, columns };
    says(
        Dataset::new(vec![0.0; 4], 2, values(vec![0.0; 3], 2)),
        &["3", "2"],
    );
    says(four().with_weights(vec![1.0; 3]), &["3", "4"]);
    says(four().with_weights(vec![1.0, f32::NAN, 1.0, 1.0]), &["NaN"]);
    says(four().with_feature_names(vec!["a".into()]), &["1", "2"]);
    says(four().with_class_names(vec!["a".into()]), &["1", "2"]);
    says(four().with_classes(1), &["1"]);
    says(four().scaled(f32::NAN), &["NaN"]);
}

#[test]
pub fn parts_that_cannot_be_are_refused() {
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        refuses(
            four().split(share, 1),
            "test_fraction",
            &["between 0 and 1"],
        );
        refuses(
            four().split_stratified(share, 1),
            "test_fraction",
            &["between 0 and 1"],
        );
    }
    says(four().split_at(0), &["row"]);
    says(four().split_at(5), &["row"]);
    let rows = ["no row 9", "4 rows are counted from 0"];
    refuses(four().select(&[9]), "indices", &rows);
    refuses(four().select(&[0, 4]), "indices", &["no row 4", "4 rows"]);
    let range = |got| ["at least 2", "at most the 4 rows", got];
    let folds = |folds| four().k_fold(folds, 1).map(|_| ());
    refuses(folds(0), "folds", &range("got 0"));
    refuses(folds(1), "folds", &range("got 1"));
    refuses(folds(9), "folds", &range("got 9"));
    let stratified = |folds| four().stratified_k_fold(folds, 1).map(|_| ());
    refuses(stratified(1), "folds", &range("got 1"));
    refuses(stratified(5), "folds", &range("got 5"));
    let named = four().with_categories(2, vec!["a".into()]);
    refuses(
        named,
        "column",
        &["no column 2", "2 columns are counted from 0"],
    );
    let numbers = Dataset::from_rows(&[[0.0], [1.0]], &[[0.5], [0.7]]).unwrap();
    says(numbers.split_stratified(0.5, 1), &["labels"]);
    says(numbers.class_counts(), &["labels"]);
    says(numbers.balanced_class_weights(), &["labels"]);
    says(numbers.one_hot(), &["labels"]);
}

#[test]
pub fn preprocessing_that_does_not_fit_is_refused() {
    let above = ["finite and above low"];
    refuses(
        Scaler::min_max(&four(), 1.0, 0.0),
        "high",
        &["got 0 above 1"],
    );
    refuses(Scaler::min_max(&four(), 1.0, 1.0), "high", &above);
    refuses(Scaler::min_max(&four(), 0.0, f32::INFINITY), "high", &above);
    refuses(Scaler::min_max(&four(), f32::NAN, 1.0), "high", &above);
    says(Scaler::from_parts(vec![0.0], vec![1.0, 1.0]), &["1", "2"]);
    says(Scaler::from_parts(vec![0.0], vec![0.0]), &["0"]);
    for center in [f64::NAN, f64::INFINITY] {
        let parts = Scaler::from_parts(vec![0.0, center], vec![1.0, 1.0]);
        let told = ["column 1", &center.to_string(), "not finite"];
        refuses(parts, "center", &told);
    }
    let narrow = Dataset::from_rows(&[[1.0], [2.0]], &[[0.0], [1.0]]).unwrap();
    let scaler = Scaler::standard(&four()).unwrap();
    says(scaler.transform(&narrow), &["1", "2"]);
    says(
        Preprocessing::fit(&four(), [Step::Impute(Fill::Constant(f32::NAN))]),
        &["NaN"],
    );
}
