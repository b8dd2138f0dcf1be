//! Folds and stratified parts: every row once, every class in its share.

use std::collections::BTreeSet;

use kiln::{Dataset, Targets};

use crate::assert_says;

/// Rows numbered in their feature, with these labels.
fn labelled(labels: Vec<u32>, classes: usize) -> Dataset {
    let features = (0..labels.len()).map(|row| row as f32).collect();
    Dataset::new(features, 1, Targets::Labels { labels, classes }).unwrap()
}

fn numbers(data: &Dataset) -> BTreeSet<usize> {
    data.features().iter().map(|x| *x as usize).collect()
}

#[test]
fn each_row_is_tested_on_in_one_fold_and_trained_on_in_all_others() {
    for (rows, folds) in [(2, 2), (10, 5), (10, 3), (17, 4), (33, 33)] {
        let data = labelled(vec![0; rows], 1);
        let mut tested = BTreeSet::new();
        let mut count = 0;
        for fold in data.k_fold(folds, 7).unwrap() {
            let (train, test) = fold.unwrap();
            assert!(test.rows() == rows / folds || test.rows() == rows / folds + 1);
            assert!(numbers(&train).is_disjoint(&numbers(&test)));
            assert_eq!(train.rows() + test.rows(), rows);
            tested.extend(numbers(&test));
            count += 1;
        }
        assert_eq!((tested.len(), count), (rows, folds));
    }
    let data = labelled(vec![0; 4], 1);
    for folds in [0, 1, 5] {
        assert_says(data.k_fold(folds, 0).map(|_| ()), &["folds", "4 rows"]);
    }
}

#[test]
fn stratified_folds_differ_by_one_row_of_a_class_at_most() {
    let labels = (0..50)
        .map(|row| u32::from(row % 5 == 0) + u32::from(row % 7 == 0))
        .collect();
    let data = labelled(labels, 3);
    let all = data.class_counts().unwrap();
    let mut tested = BTreeSet::new();
    for fold in data.stratified_k_fold(4, 3).unwrap() {
        let (_, test) = fold.unwrap();
        for (class, count) in test.class_counts().unwrap().into_iter().enumerate() {
            assert!(
                count == all[class] / 4 || count == all[class] / 4 + 1,
                "{class}: {count}"
            );
        }
        tested.extend(numbers(&test));
    }
    assert_eq!(tested.len(), 50);
}

#[test]
fn a_stratified_split_keeps_the_shares_of_classes_and_the_seed_decides() {
    let labels = (0..100).map(|row| u32::from(row % 10 == 0)).collect();
    let data = labelled(labels, 3);
    let (train, test) = data.split_stratified(0.2, 5).unwrap();
    assert_eq!(train.class_counts().unwrap(), [72, 8, 0]);
    assert_eq!(test.class_counts().unwrap(), [18, 2, 0]);
    assert!(numbers(&train).is_disjoint(&numbers(&test)));
    assert_eq!(data.split_stratified(0.2, 5).unwrap().0, train);
    assert_ne!(data.split_stratified(0.2, 6).unwrap().0, train);
    // Classes are mixed, not one after the other.
    let Targets::Labels { labels, .. } = train.targets() else {
        panic!()
    };
    assert!(labels[..72].contains(&1));
    let single = labelled(vec![0, 0, 1], 2);
    assert_says(single.split_stratified(0.5, 0), &["class 1", "one row"]);
    assert_says(data.split_stratified(1.0, 0), &["test_fraction"]);
}

#[test]
fn balanced_weights_are_those_of_scikit_learn() {
    // compute_class_weight("balanced", classes=[0, 1], y=[0, 0, 0, 1]).
    let weights = labelled(vec![0, 0, 0, 1], 2)
        .balanced_class_weights()
        .unwrap();
    assert_eq!(weights, [2.0 / 3.0, 2.0]);
    assert_says(
        labelled(vec![0, 0], 2).balanced_class_weights(),
        &["class 1", "no row"],
    );
    let values = Dataset::from_rows(&[[1.0], [2.0]], &[[1.0], [2.0]]).unwrap();
    assert_says(values.class_counts(), &["labels"]);
    assert_says(values.stratified_k_fold(2, 0).map(|_| ()), &["labels"]);
}
