//! Reductions of losses in `compile`: values and steps against numbers by hand, on the processor and the device.

use crate::common::devices;
use kiln::nn::Initializer;
use kiln::prelude::*;
use kiln::train::{Objective, Reduction};

const X: [f32; 5] = [1.0, 2.0, 3.0, -1.0, 0.5];
const Y: [f32; 5] = [0.0, 1.0, 1.0, 2.0, -1.0];
const W: [f32; 5] = [0.5, 2.0, 0.0, 1.5, 3.0];
const RATE: f64 = 0.01;

fn data(weighted: bool) -> Dataset {
    let targets = Targets::Values {
        values: Y.to_vec(),
        columns: 1,
    };
    let data = Dataset::new(X.to_vec(), 1, targets).unwrap();
    match weighted {
        true => data.with_weights(W.to_vec()).unwrap(),
        false => data,
    }
}

/// y = k·x with k = 0.5 at first.
fn model(device: &Device, loss: impl Into<Loss>) -> Model {
    let slope = Dense::new(1)
        .without_bias()
        .kernel_initializer(Initializer::Constant(0.5));
    let model = Sequential::new(1).layer(slope);
    let rate = Sgd::new(RATE as f32);
    model.compile_on(device, loss, rate, []).unwrap()
}

/// The reduced squared error of those rows for the slope k, and its derivative.
fn by_hand(rows: &[usize], k: f64, weighted: bool, reduction: Reduction) -> (f64, f64) {
    let weight = |r: usize| if weighted { f64::from(W[r]) } else { 1.0 };
    let error = |r: usize| k * f64::from(X[r]) - f64::from(Y[r]);
    let loss: f64 = rows.iter().map(|&r| weight(r) * error(r).powi(2)).sum();
    let slope = |&r: &usize| weight(r) * 2.0 * error(r) * f64::from(X[r]);
    let slope: f64 = rows.iter().map(slope).sum();
    let divisor = match reduction {
        Reduction::Sum => 1.0,
        Reduction::MeanWithSampleWeight => rows.iter().map(|&r| weight(r)).sum(),
        _ => rows.len() as f64,
    };
    (loss / divisor, slope / divisor)
}

#[track_caller]
fn near(value: f64, expected: f64, place: &str) {
    let off = (value - expected).abs();
    assert!(
        off <= 1e-5 * expected.abs().max(1.0),
        "{place}: {value}, not {expected}"
    );
}

const ALL: [Reduction; 4] = [
    Reduction::SumOverBatchSize,
    Reduction::Mean,
    Reduction::Sum,
    Reduction::MeanWithSampleWeight,
];

#[test]
fn losses_and_steps_are_those_of_the_reduction_by_hand_with_a_smaller_last_batch() {
    for device in devices() {
        for (reduction, weighted) in ALL.into_iter().flat_map(|r| [(r, false), (r, true)]) {
            let place = format!("{device} {reduction:?} weighted: {weighted}");
            let mut model = model(&device, MeanSquaredError.reduction(reduction));
            let fit = Fit::epochs(1).batch_size(3).shuffle(false).silent();
            let history = model.fit(&data(weighted), fit).unwrap();
            let (first, slope) = by_hand(&[0, 1, 2], 0.5, weighted, reduction);
            let k = 0.5 - RATE * slope;
            let (second, slope) = by_hand(&[3, 4], k, weighted, reduction);
            let k = k - RATE * slope;
            // The mean over batches by their rows, as Keras tells it.
            near(
                history.loss()[0],
                (3.0 * first + 2.0 * second) / 5.0,
                &place,
            );
            near(f64::from(model.weights().unwrap()[0].values[0]), k, &place);
            let (all, _) = by_hand(&[0, 1, 2, 3, 4], k, weighted, reduction);
            near(model.evaluate(&data(weighted)).unwrap().loss, all, &place);
        }
    }
}

#[test]
fn batches_in_parts_take_the_step_of_the_whole_and_means_of_weights_are_refused() {
    for device in devices() {
        let (whole, split) = (Fit::epochs(2).batch_size(4), Fit::epochs(2).batch_size(4));
        let data = data(true).select(&[0, 1, 3, 4]).unwrap();
        let train = |fit: Fit<'_>| {
            let mut model = model(&device, MeanSquaredError.reduction(Reduction::Sum));
            let fit = fit.shuffle(false).silent();
            let history = model.fit(&data, fit)?;
            let weight = f64::from(model.weights()?[0].values[0]);
            Ok::<_, kiln::Error>((weight, history.loss()))
        };
        let (whole, split) = (
            train(whole).unwrap(),
            train(split.micro_batches(2)).unwrap(),
        );
        near(split.0, whole.0, &format!("{device}"));
        near(split.1[1], whole.1[1], &format!("{device}"));
        let spec = MeanSquaredError.reduction(Reduction::MeanWithSampleWeight);
        let fit = Fit::epochs(1).batch_size(4).micro_batches(2).silent();
        let error = model(&device, spec)
            .fit(&data, fit)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("micro_batches") && error.contains("mean_with_sample_weight"),
            "{error}"
        );
    }
}

#[test]
fn validation_and_data_in_parts_come_to_the_same() {
    for device in devices() {
        let rows: Vec<usize> = (0..3000).map(|i| i % 5).collect();
        let (many, few) = (data(true).select(&rows).unwrap(), data(true));
        for reduction in [Reduction::Sum, Reduction::MeanWithSampleWeight] {
            let place = format!("{device} {reduction:?}");
            let train = |chunk: Option<usize>| {
                let mut model = model(&device, MeanSquaredError.reduction(reduction));
                let fit = Fit::epochs(1).batch_size(2).shuffle(false).silent();
                let fit = fit.validation(&many);
                let fit = match chunk {
                    Some(rows) => fit.chunk_rows(rows),
                    None => fit,
                };
                let history = model.fit(&few, fit).unwrap();
                let k = f64::from(model.weights().unwrap()[0].values[0]);
                let val = history.epochs[0].val_loss.unwrap();
                (k, history.loss()[0], val)
            };
            let (whole, parts) = (train(None), train(Some(2)));
            assert_eq!(whole, parts, "{place}");
            let (all, _) = by_hand(&rows, whole.0, true, reduction);
            near(whole.2, all, &place);
        }
    }
}

#[test]
fn each_output_has_its_own_reduction_and_weighted_metrics_stay_what_they_are() {
    for device in devices() {
        let x = Input::named("x", 1);
        let slope = |name: &str| {
            let layer = Dense::new(1)
                .without_bias()
                .kernel_initializer(Initializer::Constant(0.5));
            layer.named(name).on(&x)
        };
        let (a, b) = (slope("a"), slope("b"));
        let sum = MeanSquaredError.reduction(Reduction::Sum);
        let half = Objective::new("a", sum).weight(0.5);
        let objectives = [
            half.weighted_metric(Metric::MeanSquaredError),
            Objective::new("b", MeanSquaredError),
        ];
        let model = Functional::new([&x], [&a, &b]);
        let rate = Sgd::new(RATE as f32);
        let mut model = model.compile_with(&device, objectives, rate).unwrap();
        let targets = || Targets::Values {
            values: Y.to_vec(),
            columns: 1,
        };
        let data = Dataset::from_inputs(
            [("x", (X.to_vec(), 1))],
            [("a", targets()), ("b", targets())],
        );
        let data = data.unwrap().with_weights(W.to_vec()).unwrap();
        let rows = [0, 1, 2, 3, 4];
        let (sum, down) = by_hand(&rows, 0.5, true, Reduction::Sum);
        let (mean, own) = by_hand(&rows, 0.5, true, Reduction::Mean);
        let measured = model.evaluate(&data).unwrap();
        near(measured.loss, 0.5 * sum + mean, "both");
        let (weighted, _) = by_hand(&rows, 0.5, true, Reduction::MeanWithSampleWeight);
        let metric = measured
            .metrics
            .iter()
            .find(|(name, _)| name.ends_with("squared_error"));
        near(metric.unwrap().1, weighted, "weighted metric");
        let fit = Fit::steps(1).batch_size(5).silent();
        model.fit(&data, fit).unwrap();
        let weights = model.weights().unwrap();
        near(
            f64::from(weights[0].values[0]),
            0.5 - RATE * 0.5 * down,
            "a",
        );
        near(f64::from(weights[1].values[0]), 0.5 - RATE * own, "b");
    }
}

#[test]
fn rows_of_an_ignored_class_count_in_no_reduction() {
    for device in devices() {
        let labels = |of: &[u32]| Targets::Labels {
            labels: of.to_vec(),
            classes: 8,
        };
        let marked = Dataset::new(X.to_vec(), 1, labels(&[0, 7, 1, 7, 1])).unwrap();
        let marked = marked.with_weights(vec![0.5, 9.0, 1.0, 4.0, 2.0]).unwrap();
        let kept = marked.select(&[0, 2, 4]).unwrap();
        for reduction in [Reduction::Sum, Reduction::MeanWithSampleWeight] {
            let train = |data: &Dataset, ignored: Option<u32>| {
                let spec = SparseCategoricalCrossentropy.reduction(reduction);
                let spec = match ignored {
                    Some(class) => spec.ignore_class(class.cast_signed()),
                    None => spec,
                };
                let model = Sequential::new(1).dense(2, Softmax).seed(1);
                let model = model.compile_on(&device, spec, Sgd::new(0.1), []);
                let mut model = model.unwrap();
                let fit = Fit::epochs(2).batch_size(5).silent();
                let losses = model.fit(data, fit).unwrap().loss();
                [losses[0], losses[1], model.evaluate(data).unwrap().loss]
            };
            let (ignoring, without) = (train(&marked, Some(7)), train(&kept, None));
            for (a, b) in ignoring.into_iter().zip(without) {
                near(a, b, &format!("{device} {reduction:?}"));
            }
        }
    }
}

#[test]
fn losses_of_whole_batches_see_the_part_where_batches_come_in_parts() {
    let rows = [0, 1, 2, 3, 4, 0, 1, 2];
    let shares: Vec<f32> = (0..8).map(|i| f32::from(u8::from(i % 3 == 0))).collect();
    let labels = [0, 2, 1, 2, 1, 0, 0, 1];
    let features = || rows.iter().map(|&row| X[row]).collect::<Vec<f32>>();
    let shares = Targets::Values {
        values: shares,
        columns: 1,
    };
    let labels = Targets::Labels {
        labels: labels.to_vec(),
        classes: 3,
    };
    let ignoring = SparseCategoricalCrossentropy.ignore_class(2);
    // Losses with targets and outputs, and whether they add up.
    let cases: [(Loss, Targets, usize, bool); 4] = [
        (Loss::Dice, shares.clone(), 1, false),
        (Loss::tversky(0.3, 0.7), shares, 1, false),
        (ignoring.clone(), labels.clone(), 2, false),
        (ignoring.reduction(Reduction::Sum), labels, 2, true),
    ];
    for device in devices() {
        for (spec, targets, units, adds_up) in &cases {
            let place = format!("{device} {spec}");
            let data = Dataset::new(features(), 1, targets.clone()).unwrap();
            let train = |batch: usize, parts: u32, collected: u32| {
                let rate = Sgd::new(0.5).gradient_accumulation_steps(collected);
                let last = if *units == 1 { Sigmoid } else { Softmax };
                let model = Sequential::new(1).dense(*units, last).seed(3);
                let mut model = model.compile_on(&device, spec.clone(), rate, []).unwrap();
                let fit = Fit::epochs(2).batch_size(batch).shuffle(false).silent();
                let history = model.fit(&data, fit.micro_batches(parts)).unwrap();
                let weights = model.weights().unwrap();
                let weights = weights.iter().flat_map(|w| w.values.clone());
                (weights.collect::<Vec<f32>>(), history.loss())
            };
            let (whole, parts) = (train(8, 1, 1), train(8, 2, 1));
            let apart = whole.0.iter().zip(&parts.0);
            let apart = apart.fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            if *adds_up {
                // What adds up comes to the same.
                assert!(apart < 1e-5, "{place}: {apart}");
                continue;
            }
            assert!(apart > 1e-4, "{place}: {apart}");
            assert_eq!(parts, train(4, 1, 2), "{place}");
        }
    }
}

#[test]
fn an_overlap_of_few_rows_is_the_same_in_a_session_with_room_for_many() {
    for device in devices() {
        let targets = |rows: usize| Targets::Values {
            values: (0..rows).map(|i| f32::from(u8::from(i % 3 == 0))).collect(),
            columns: 1,
        };
        let data = |rows: usize| {
            let features = (0..rows).map(|row| X[row % 5]).collect();
            Dataset::new(features, 1, targets(rows)).unwrap()
        };
        let model = Sequential::new(1).dense(1, Sigmoid).seed(3);
        let mut model = model
            .compile_on(&device, Loss::Dice, Sgd::new(0.1), [])
            .unwrap();
        let alone = model.evaluate(&data(20)).unwrap().loss;
        // 1024 rows, and 476: the mean of both fractions by their rows.
        let many = model.evaluate(&data(1500)).unwrap().loss;
        let parts = [0..1024, 1024..1500].map(|part| {
            let rows: Vec<usize> = part.collect();
            let part = data(1500).select(&rows).unwrap();
            model.evaluate(&part).unwrap().loss * rows.len() as f64
        });
        near(
            many,
            parts.iter().sum::<f64>() / 1500.0,
            &format!("{device}"),
        );
        near(model.evaluate(&data(20)).unwrap().loss, alone, "again");
    }
}

#[test]
fn a_batch_whose_rows_weigh_nothing_changes_nothing() {
    let mut model = model(
        &Device::cpu(),
        MeanSquaredError.reduction(Reduction::MeanWithSampleWeight),
    );
    let nothing = data(false).with_weights(vec![0.0; 5]).unwrap();
    let history = model.fit(&nothing, Fit::steps(1).silent()).unwrap();
    assert_eq!(history.loss(), [0.0]);
    assert_eq!(model.evaluate(&nothing).unwrap().loss, 0.0);
    assert_eq!(model.weights().unwrap()[0].values, [0.5]);
}

#[test]
fn a_reduction_is_kept_with_the_model_and_shown() {
    let spec = MeanSquaredError.reduction(Reduction::Sum);
    assert_eq!(spec.to_string(), "mean_squared_error(reduction=sum)");
    let folder = std::env::temp_dir().join(format!("kiln-reductions-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.kiln");
    let mut model = model(&Device::cpu(), spec);
    model.save(&path).unwrap();
    let mut loaded = Model::load_on(&Device::cpu(), &path).unwrap();
    let (a, b) = (model.evaluate(&data(true)), loaded.evaluate(&data(true)));
    assert_eq!(a.unwrap(), b.unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
}
