//! The data set's shape, its checks, and its splits.

use kiln::{Dataset, Error, Targets};

use crate::assert_says;

/// `rows` rows of three features; feature 0 and the label are the row's number.
fn counted(rows: usize) -> Dataset {
    let features = (0..rows).flat_map(|row| [row as f32, 0.5, -1.0]).collect();
    let labels = (0..rows as u32).collect();
    let names = ["row", "half", "minus"].map(String::from).to_vec();
    Dataset::new(
        features,
        3,
        Targets::Labels {
            labels,
            classes: rows,
        },
    )
    .unwrap()
    .with_feature_names(names)
    .unwrap()
}

fn numbers(data: &Dataset) -> Vec<usize> {
    data.features()
        .chunks(3)
        .map(|row| row[0] as usize)
        .collect()
}

#[test]
fn rows_written_in_the_program_become_a_table() {
    let xor = Dataset::from_rows(
        &[[0., 0.], [0., 1.], [1., 0.]],
        &[[0., 9.], [1., 8.], [1., 7.]],
    )
    .unwrap();
    assert_eq!((xor.rows(), xor.columns()), (3, 2));
    assert_eq!(xor.features(), [0., 0., 0., 1., 1., 0.]);
    assert_eq!(
        *xor.targets(),
        Targets::Values {
            values: vec![0., 9., 1., 8., 1., 7.],
            columns: 2
        }
    );
    assert_eq!(xor.classes(), None);
}

#[test]
fn one_row_of_one_column_without_a_target_is_a_data_set() {
    let data = Dataset::new(vec![7.0], 1, Targets::None).unwrap();
    assert_eq!((data.rows(), data.columns()), (1, 1));
    assert_eq!(*data.targets(), Targets::None);
}

#[test]
fn empty_data_is_refused() {
    let none = "at least one row and one column";
    assert_says(Dataset::new(vec![], 3, Targets::None), &["features", none]);
    assert_says(
        Dataset::new(vec![1.0], 0, Targets::None),
        &["features", none],
    );
    assert_says(Dataset::new(vec![], 0, Targets::None), &[none]);
    assert_says(Dataset::from_rows::<2, 1>(&[], &[]), &[none]);
    assert_says(
        Dataset::from_rows(&[[1.0]], &[[]]),
        &["target values", none],
    );
}

#[test]
fn lengths_that_do_not_fit_are_refused_with_the_numbers() {
    let short = Dataset::new(vec![0.0; 17], 3, Targets::None);
    assert_says(short, &["17 features", "rows of 3", "row 5", "only 2"]);
    let values = Targets::Values {
        values: vec![0.0; 5],
        columns: 2,
    };
    assert_says(
        Dataset::new(vec![0.0; 6], 3, values),
        &["5 target values", "rows of 2"],
    );
    let values = Targets::Values {
        values: vec![0.0; 3],
        columns: 1,
    };
    assert_says(
        Dataset::new(vec![0.0; 6], 3, values),
        &["2 rows of features", "3 of targets"],
    );
    let labels = Targets::Labels {
        labels: vec![0],
        classes: 1,
    };
    assert_says(
        Dataset::new(vec![0.0; 6], 3, labels),
        &["2 rows of features", "1 of targets"],
    );
}

#[test]
fn a_label_beyond_the_classes_is_refused_with_its_row() {
    let labels = Targets::Labels {
        labels: vec![0, 2, 3],
        classes: 3,
    };
    let error = assert_says(
        Dataset::new(vec![0.0; 3], 1, labels),
        &["row 2", "label 3", "3 classes"],
    );
    assert!(matches!(error, Error::Data { .. }));
    let labels = Targets::Labels {
        labels: vec![0],
        classes: 0,
    };
    assert_says(Dataset::new(vec![0.0], 1, labels), &["row 0", "0 classes"]);
}

#[test]
fn nan_and_infinity_are_accepted_and_then_found_by_row_and_column() {
    let names = vec!["a".to_string(), "b".to_string()];
    let data = Dataset::from_rows(&[[1., 2.], [3., f32::NAN]], &[[0.], [1.]]).unwrap();
    let named = data.with_feature_names(names).unwrap();
    assert_says(
        named.check_finite(),
        &["row 1", "column 1", "`b`", "NaN", "impute"],
    );

    let target = Dataset::from_rows(
        &[[1.], [2.], [3.]],
        &[[0., 1.], [1., 0.], [1., f32::NEG_INFINITY]],
    )
    .unwrap();
    assert_says(target.check_finite(), &["row 2", "target column 1", "-inf"]);
    counted(33).check_finite().unwrap();
}

#[test]
fn names_must_be_as_many_as_what_they_name() {
    let one = || vec!["a".to_string()];
    assert_says(
        counted(2).with_feature_names(one()),
        &["1 feature names", "3 columns"],
    );
    assert_says(
        counted(2).with_class_names(one()),
        &["1 class names", "2 classes"],
    );
    assert_says(
        Dataset::from_rows(&[[1.]], &[[1.]])
            .unwrap()
            .with_class_names(one()),
        &["0 classes"],
    );
    assert!(
        counted(2)
            .with_feature_names(vec![])
            .unwrap()
            .feature_names()
            .is_empty()
    );
}

#[test]
fn classes_that_no_row_has_can_be_declared() {
    assert_eq!(counted(2).with_classes(10).unwrap().classes(), Some(10));
    assert_says(counted(3).with_classes(2), &["row 2", "label 2"]);
    assert_says(
        Dataset::from_rows(&[[1.]], &[[1.]])
            .unwrap()
            .with_classes(2),
        &["not labels"],
    );
}

#[test]
fn selected_rows_keep_targets_and_names_and_may_repeat() {
    let data = counted(17).select(&[16, 0, 16]).unwrap();
    assert_eq!(numbers(&data), [16, 0, 16]);
    assert_eq!(
        *data.targets(),
        Targets::Labels {
            labels: vec![16, 0, 16],
            classes: 17
        }
    );
    assert_eq!(data.feature_names(), ["row", "half", "minus"]);
    let error = assert_says(counted(17).select(&[3, 17]), &["no row 17", "17 rows"]);
    assert!(matches!(
        error,
        Error::Argument {
            name: "indices",
            ..
        }
    ));
    assert_says(counted(17).select(&[]), &["at least one row"]);
}

#[test]
fn a_split_at_a_row_leaves_no_part_empty() {
    let (head, tail) = counted(3).split_at(1).unwrap();
    assert_eq!((numbers(&head), numbers(&tail)), (vec![0], vec![1, 2]));
    for row in [0, 3, usize::MAX] {
        assert_says(
            counted(3).split_at(row),
            &[&row.to_string(), "3 rows", "empty"],
        );
    }
}

#[test]
fn a_split_has_every_row_in_exactly_one_part() {
    for (rows, fraction, tested) in [
        (2, 0.01, 1),
        (2, 0.99, 1),
        (3, 0.5, 2),
        (255, 0.2, 51),
        (1000, 0.333, 333),
    ] {
        let (train, test) = counted(rows).split(fraction, 7).unwrap();
        assert_eq!(test.rows(), tested, "{rows} rows");
        let mut all = [numbers(&train), numbers(&test)].concat();
        assert!(rows <= 3 || !all.is_sorted(), "{rows} rows stayed in order");
        all.sort_unstable();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
    }
}

#[test]
fn a_split_refuses_fractions_outside_0_to_1_and_a_single_row() {
    for fraction in [0.0, 1.0, -0.5, 2.0, f64::NAN, f64::INFINITY] {
        let error = assert_says(
            counted(9).split(fraction, 1),
            &["test_fraction", "between 0 and 1"],
        );
        assert!(matches!(
            error,
            Error::Argument {
                name: "test_fraction",
                ..
            }
        ));
    }
    assert_says(counted(1).split(0.5, 1), &["at least 2 rows"]);
}

#[test]
fn a_seed_draws_the_same_order_in_every_version() {
    assert_eq!(
        numbers(&counted(10).shuffled(0).unwrap()),
        [8, 2, 9, 4, 6, 7, 0, 5, 3, 1]
    );
    assert_eq!(
        numbers(&counted(10).shuffled(42).unwrap()),
        [7, 8, 4, 0, 1, 5, 3, 6, 9, 2]
    );
    assert_eq!(numbers(&counted(1).shuffled(42).unwrap()), [0]);
}

#[test]
fn a_shuffle_favours_no_place() {
    // Row 0 lands in each of 5 places about 400 times in 2000: five standard deviations are 90.
    let mut places = [0; 5];
    for seed in 0..2000 {
        let order = numbers(&counted(5).shuffled(seed).unwrap());
        places[order.iter().position(|row| *row == 0).unwrap()] += 1;
    }
    assert!(
        places.iter().all(|count| (310..=490).contains(count)),
        "{places:?}"
    );
}

#[test]
fn scaling_by_a_factor_changes_features_only() {
    let data = Dataset::from_rows(&[[0., 255.]], &[[255.]])
        .unwrap()
        .scaled(1.0 / 255.0)
        .unwrap();
    assert_eq!(data.features(), [0., 1.]);
    assert_eq!(
        *data.targets(),
        Targets::Values {
            values: vec![255.],
            columns: 1
        }
    );
    assert_says(counted(2).scaled(f32::NAN), &["factor", "NaN"]);
}

#[test]
fn one_hot_values_have_a_one_in_the_column_of_the_label() {
    let labels = Targets::Labels {
        labels: vec![2, 0],
        classes: 3,
    };
    let names = ["x", "y", "z"].map(String::from).to_vec();
    let data = Dataset::new(vec![0.0; 2], 1, labels)
        .unwrap()
        .with_class_names(names)
        .unwrap();
    let data = data.one_hot().unwrap();
    assert_eq!(
        *data.targets(),
        Targets::Values {
            values: vec![0., 0., 1., 1., 0., 0.],
            columns: 3
        }
    );
    assert_eq!(data.class_names(), ["x", "y", "z"]);
    assert_says(data.one_hot(), &["not labels"]);
}

#[test]
fn one_hot_values_beyond_memory_are_an_error() {
    let data = counted(2).with_classes(usize::MAX).unwrap();
    assert_says(data.one_hot(), &["one-hot", "too many"]);
    let data = counted(2).with_classes(usize::MAX / 8).unwrap();
    assert_says(data.one_hot(), &["one-hot", "memory"]);
}

#[test]
fn labels_and_target_values_are_read_without_a_match() {
    let x = vec![0.0; 6];
    let labelled = Dataset::new(x.clone(), 2, vec![2, 0, 1]).unwrap();
    assert_eq!(labelled.labels().unwrap(), [2, 0, 1]);
    let refusal = labelled.target_values().unwrap_err().to_string();
    assert!(refusal.contains("labels of 3 classes"), "{refusal}");
    let table = Targets::LabelTable {
        labels: vec![0, 1, 1, 0, 1, 1],
        columns: 2,
        classes: 2,
    };
    let table = Dataset::new(x.clone(), 2, table).unwrap();
    assert_eq!(table.labels().unwrap(), [0, 1, 1, 0, 1, 1]);
    let values = Targets::Values {
        values: vec![0.5, 1.5, 2.5],
        columns: 1,
    };
    let numbers = Dataset::new(x.clone(), 2, values.clone()).unwrap();
    assert_eq!(numbers.target_values().unwrap(), [0.5, 1.5, 2.5]);
    let refusal = numbers.labels().unwrap_err().to_string();
    assert!(refusal.contains("numbers, 1 a row"), "{refusal}");
    let without = Dataset::new(x.clone(), 2, Targets::None).unwrap();
    for refusal in [
        without.labels().unwrap_err(),
        without.target_values().unwrap_err(),
    ] {
        assert!(refusal.to_string().contains("none"), "{refusal}");
    }
    // A name makes no difference; several outputs do.
    let input = || [("x", (vec![0.0f32; 6], 2))];
    let named = Dataset::from_inputs(input(), [("y", values.clone())]).unwrap();
    assert_eq!(named.target_values().unwrap(), [0.5, 1.5, 2.5]);
    let several = Dataset::from_inputs(input(), [("y", values.clone()), ("z", values)]).unwrap();
    let refusal = several.target_values().unwrap_err().to_string();
    assert!(refusal.contains("y, z"), "{refusal}");
}
