//! What `fit`, `evaluate` and `predict` refuse.

use kiln::prelude::*;

use super::{labelled, model, refuses, says};

pub fn all() {
    fit_settings_out_of_range_name_the_setting();
    data_that_does_not_fit_the_model_names_the_row();
    a_loss_that_is_not_finite_names_the_step();
    weights_of_classes_that_the_targets_do_not_have_are_refused();
    settings_of_streams_out_of_range_name_the_setting();
    weights_that_do_not_fit_rows_or_outputs_are_refused();
    settings_of_checkpoints_and_populations_name_the_setting();
}

#[test]
pub fn settings_of_checkpoints_and_populations_name_the_setting() {
    use kiln::optim::OptimizerConfig;
    use kiln::train::{Checkpoints, Member, Population};
    let data = || labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    let folder = std::env::temp_dir().join("kiln-errors-no-checkpoints");
    let none = Checkpoints::in_folder(&folder).keep_last(0);
    refuses(
        model().fit(&data(), Fit::epochs(1).checkpoints(none).silent()),
        "keep_last",
        &["at least 1", "got 0"],
    );
    assert!(!folder.exists(), "refused before the folder is made");
    let population = |members: Vec<Member>| {
        Population::new(
            Sequential::new(2).dense(1, Sigmoid),
            members,
            &Device::cpu(),
            BinaryCrossentropy,
            OptimizerConfig::default(),
            [],
        )
    };
    refuses(population(Vec::new()), "members", &["at least one"]);
    let learning_rate = -0.5;
    let member = Member {
        seed: 1,
        learning_rate,
    };
    refuses(population(vec![member]), "learning_rate", &["-0.5"]);
}

#[test]
pub fn settings_of_streams_out_of_range_name_the_setting() {
    let data = || labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    refuses(
        model().fit(&data(), Fit::epochs(1).chunk_rows(0)),
        "chunk_rows",
        &["at least 1", "0"],
    );
    refuses(
        model().fit(&data(), Fit::epochs(1).steps_per_epoch(2)),
        "steps_per_epoch",
        &["iterator"],
    );
    let batches = |fit: Fit<'_>| model().fit_batches([Ok(data())], fit.silent());
    refuses(batches(Fit::epochs(2)), "steps_per_epoch", &["2 epochs"]);
    refuses(
        batches(Fit::epochs(1).steps_per_epoch(0)),
        "steps_per_epoch",
        &["at least 1", "0"],
    );
    refuses(
        batches(Fit::epochs(1).steps_per_epoch(u64::MAX)),
        "steps_per_epoch",
        &["at most 134217727", "32 rows"],
    );
    refuses(
        batches(Fit::epochs(1).batch_size(65_537)),
        "batch_size",
        &["65536", "65537"],
    );
    refuses(
        batches(Fit::epochs(1).validation_split(0.5)),
        "validation_split",
        &["data set"],
    );
    says(model().fit_batches([], Fit::epochs(1)), &["no batch"]);
}

#[test]
pub fn weights_that_do_not_fit_rows_or_outputs_are_refused() {
    let data = || labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    says(data().with_weights(vec![1.0; 3]), &["3 weights", "4 rows"]);
    says(
        data().with_output_weights("dense_1", vec![1.0; 5]),
        &["`dense_1`", "5 weights", "4 rows"],
    );
    let infinite = vec![1.0, f32::INFINITY, 1.0, 1.0];
    says(
        data().with_output_weights("dense_1", infinite),
        &["`dense_1`", "row 1", "inf"],
    );
    let unknown = data().with_output_weights("price", vec![1.0; 4]).unwrap();
    says(model().evaluate(&unknown), &["`price`", "dense_1"]);
}

#[test]
pub fn fit_settings_out_of_range_name_the_setting() {
    let data = labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    let fit = |fit: Fit<'_>| model().fit(&data, fit.silent());
    says(fit(Fit::epochs(0)), &["epochs", "at least 1"]);
    says(fit(Fit::steps(0)), &["steps", "at least 1"]);
    says(fit(Fit::epochs(1).batch_size(0)), &["batch_size", "0"]);
    let many = Dataset::new(
        vec![0.0; 140_000],
        2,
        Targets::Labels {
            labels: vec![0; 70_000],
            classes: 3,
        },
    )
    .unwrap();
    let outcome = model().fit(&many, Fit::epochs(1).batch_size(70_000).silent());
    says(outcome, &["batch_size", "65536", "70000"]);
    assert!(
        fit(Fit::epochs(1).batch_size(1 << 20)).is_ok(),
        "one ragged batch"
    );
    says(
        fit(Fit::epochs(1).validation_split(1.0)),
        &["validation_split", "1"],
    );
    says(
        fit(Fit::epochs(1).validation_split(0.9)),
        &["validation_split", "4 rows"],
    );
    says(
        fit(Fit::epochs(1).validation_split(0.5).validation(&data)),
        &["validation", "not both"],
    );
    says(fit(Fit::epochs(1).until_loss(f64::NAN)), &["until_loss"]);
    says(fit(Fit::epochs(u64::MAX)), &["epochs", "steps"]);
}

#[test]
pub fn data_that_does_not_fit_the_model_names_the_row() {
    let fit = |data: &Dataset| model().fit(data, Fit::epochs(1).silent());
    says(
        fit(&labelled(vec![0.0; 6], vec![0, 1, 3])),
        &["row 2", "label 3", "3 classes"],
    );
    says(
        fit(&labelled(vec![0.0, 1.0, f32::NAN, 0.0], vec![0, 1])),
        &["NaN"],
    );
    says(
        fit(&labelled(vec![0.0, f32::INFINITY, 0.0, 0.0], vec![0, 1])),
        &["inf"],
    );
    let no_targets = Dataset::new(vec![0.0; 4], 2, Targets::None).unwrap();
    says(fit(&no_targets), &["no targets"]);
    let numbers = Dataset::new(
        vec![0.0; 4],
        2,
        Targets::Values {
            values: vec![0.0; 2],
            columns: 1,
        },
    )
    .unwrap();
    says(fit(&numbers), &["integer labels"]);
    let narrow = Dataset::new(
        vec![0.0; 3],
        1,
        Targets::Labels {
            labels: vec![0, 1, 2],
            classes: 3,
        },
    )
    .unwrap();
    says(fit(&narrow), &["1 columns", "2 inputs"]);
    // Also where its numbers would make whole rows.
    let twice = Targets::Labels {
        labels: vec![0, 1, 2],
        classes: 3,
    };
    let twice = Dataset::new(vec![0.0; 12], 4, twice).unwrap();
    says(fit(&twice), &["4 columns", "2 inputs"]);
    says(model().evaluate(&twice), &["4 columns", "2 inputs"]);
    says(model().predict(&twice), &["4 columns", "2 inputs"]);
    let wide = Dataset::new(
        vec![0.0; 4],
        2,
        Targets::Values {
            values: vec![0.0; 4],
            columns: 2,
        },
    )
    .unwrap();
    let regression = Sequential::new(2).dense(1, Linear);
    let mut regression = regression
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), [])
        .unwrap();
    says(
        regression.fit(&wide, Fit::epochs(1).silent()),
        &["2 columns", "1 outputs"],
    );
    // Counts are numbers to a squared error, but no probabilities.
    let counts = labelled(vec![0.0; 4], vec![0, 18]);
    regression.fit(&counts, Fit::epochs(1).silent()).unwrap();
    let (values, columns) = (vec![0.0, 18.0], 1);
    let same = Dataset::new(vec![0.0; 4], 2, Targets::Values { values, columns }).unwrap();
    assert_eq!(
        regression.evaluate(&counts).unwrap(),
        regression.evaluate(&same).unwrap()
    );
    let chance = Sequential::new(2).dense(1, Sigmoid);
    let mut chance = chance
        .compile_on(&Device::cpu(), BinaryCrossentropy, Adam::default(), [])
        .unwrap();
    says(
        chance.evaluate(&counts),
        &["row 1", "label 18", "2 classes"],
    );
    says(
        model().predict(&[1.0, 2.0, 3.0]),
        &["3 numbers", "2 inputs"],
    );
    says(
        Dataset::new(vec![], 2, Targets::None).and_then(|data| fit(&data)),
        &["at least one row"],
    );
}

#[test]
pub fn a_loss_that_is_not_finite_names_the_step() {
    let data = Dataset::from_rows(&[[1e20], [2e20]], &[[0.0], [1.0]]).unwrap();
    let model = Sequential::new(1).dense(1, Linear);
    let mut model = model
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    let outcome = model.fit(&data, Fit::epochs(5).silent());
    assert!(
        matches!(
            outcome,
            Err(Error::NonFinite {
                epoch: 1,
                step: 1,
                ..
            })
        ),
        "{outcome:?}"
    );
}

#[test]
pub fn weights_of_classes_that_the_targets_do_not_have_are_refused() {
    let data = labelled(vec![0.0; 8], vec![0, 1, 2, 0]);
    let fit = |weights: &[(u32, f32)]| {
        let fit = Fit::epochs(1)
            .silent()
            .class_weight(weights.iter().copied());
        model().fit(&data, fit)
    };
    refuses(fit(&[(3, 1.0)]), "class_weight", &["class 3", "0 to 2"]);
    refuses(fit(&[(0, -1.0)]), "class_weight", &["-1", "class 0"]);
    refuses(fit(&[(1, f32::NAN)]), "class_weight", &["NaN", "class 1"]);
    refuses(
        fit(&[(1, 1.0), (1, 2.0)]),
        "class_weight",
        &["class 1 twice"],
    );
    let numbers = Dataset::from_rows(&[[0.0], [1.0]], &[[0.5], [1.0]]).unwrap();
    let model = Sequential::new(1).dense(1, Linear);
    let mut model = model
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), [])
        .unwrap();
    let outcome = model.fit(&numbers, Fit::epochs(1).silent().class_weight([(0, 2.0)]));
    refuses(outcome, "class_weight", &["0.5", "row 0"]);
}
