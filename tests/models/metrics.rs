//! Metrics that `fit` and `evaluate` report, on the CPU session and on the device of the tests.

use crate::common::devices;
use kiln::prelude::*;
use kiln::train::{Averaging, Classes, Curve, Decision, FBeta, Point, R2, Streaming};

fn data(rows: usize, classes: u32) -> Dataset {
    let number = |i: usize| ((i * 7919 + i * i * 31) % 2003) as f32 / 1001.5 - 1.0;
    let features: Vec<f32> = (0..rows * 5).map(number).collect();
    let label = |row: &[f32]| {
        let score = row[0] + 0.7 * row[1] - 0.4 * row[2] * row[3] + 0.3 * row[4];
        (((score + 1.5) / 3.0 * classes as f32) as u32).min(classes - 1)
    };
    let labels = features.chunks(5).map(label).collect();
    let classes = classes as usize;
    Dataset::new(features, 5, Targets::Labels { labels, classes }).unwrap()
}

#[test]
fn precision_and_recall_of_an_epoch_are_those_of_its_predictions() {
    for device in devices() {
        let data = data(100, 2);
        let model = Sequential::new(5).dense(20, Relu).dense(1, Sigmoid).seed(3);
        let metrics = [
            Metric::Precision(0.5),
            Metric::Recall(0.5),
            Metric::Auc(Curve::Roc),
            Metric::CohenKappa(Classes::default()),
            Metric::F1Score(FBeta {
                threshold: Some(0.5),
                ..FBeta::default()
            }),
        ];
        let mut model = model
            .compile_on(&device, BinaryCrossentropy, Adam::new(0.02), metrics)
            .unwrap();
        // A ragged last batch of four rows, several epochs in a submission.
        let fit = Fit::epochs(6).batch_size(32).silent().validation(&data);
        let history = model.fit(&data, fit).unwrap();
        let evaluation = model.evaluate(&data).unwrap();
        // The last validation was over the same rows with the same weights.
        for (name, value) in &evaluation.metrics {
            let series = history.get(&format!("val_{name}")).unwrap();
            let last = series.last().copied();
            assert_eq!(last, Some(*value), "{name} on {device}");
        }
        let Targets::Labels { labels, .. } = data.targets() else {
            unreachable!()
        };
        let said = model.predict(&data).unwrap().classes();
        let count = |wanted: u32, answer: usize| {
            let pairs = labels.iter().zip(&said);
            pairs.filter(|&(&w, &s)| w == wanted && s == answer).count() as f64
        };
        let precision = count(1, 1) / (count(1, 1) + count(0, 1));
        assert_eq!(evaluation.get("precision"), Some(precision));
    }
}

/// Both sets of values, by name, are the same up to the rounding of their sums.
fn same(reported: &[(String, f64)], streamed: &[(String, f64)], device: &Device) {
    assert_eq!(reported.len(), streamed.len());
    for ((name, a), (other, b)) in reported.iter().zip(streamed) {
        assert_eq!(name, other);
        assert!(
            (a - b).abs() <= 2e-5 * b.abs().max(1e-3),
            "{name}: {a} and {b} on {device}"
        );
    }
}

#[test]
fn metrics_of_an_evaluation_are_those_streamed_over_its_predictions() {
    // 1024 rows and a ragged batch of 76.
    let data = data(1100, 4);
    let metrics = || {
        vec![
            Accuracy,
            Metric::SparseTopKCategoricalAccuracy(2),
            Metric::Auc(Curve::Roc),
            Metric::Auc(Curve::Pr).with_name("auc_pr"),
            Metric::F1Score(Averaging::Macro),
            Metric::Precision(Decision {
                class_id: Some(1),
                ..Decision::from([0.3, 0.6])
            }),
            Metric::Recall(Decision::top_k(2)),
            Metric::SensitivityAtSpecificity(0.5),
            Metric::MeanIou(Classes::default()),
            Metric::MatthewsCorrelation(Classes::default()),
            Metric::from(SparseCategoricalCrossentropy.from_probabilities()),
        ]
    };
    for device in devices() {
        let model = Sequential::new(5).dense(16, Relu).dense(4, Softmax).seed(7);
        let mut model = model
            .compile_on(
                &device,
                SparseCategoricalCrossentropy,
                Adam::new(0.01),
                metrics(),
            )
            .unwrap();
        model.fit(&data, Fit::epochs(2).silent()).unwrap();
        let evaluation = model.evaluate(&data).unwrap();
        let predictions = model.predict(&data).unwrap();
        let mut stream = Streaming::new(&device, &metrics(), 4, data.targets()).unwrap();
        stream
            .update(data.targets(), &predictions.values, None)
            .unwrap();
        same(&evaluation.metrics, &stream.result().unwrap(), &device);
        assert_eq!(evaluation.confusion, stream.confusion().unwrap());
        // A stream that forgets begins anew.
        stream.reset();
        stream
            .update(data.targets(), &predictions.values, None)
            .unwrap();
        same(&evaluation.metrics, &stream.result().unwrap(), &device);
    }
}

#[test]
fn metrics_of_numbers_are_those_streamed_over_the_predictions() {
    let rows = 1100;
    let number = |i: usize| ((i * 7919 + i * i * 31) % 2003) as f32 / 1001.5 - 1.0;
    let features: Vec<f32> = (0..rows * 5).map(number).collect();
    let value = |row: &[f32]| [100.0 + row[0] + row[1] * row[2], 0.5 * row[3] - row[4]];
    let values = features.chunks(5).flat_map(value).collect();
    let targets = Targets::Values { values, columns: 2 };
    let data = Dataset::new(features, 5, targets).unwrap();
    let metrics = || {
        vec![
            Metric::MeanAbsoluteError,
            Metric::RootMeanSquaredError,
            Metric::CosineSimilarity,
            Metric::LogCoshError,
            Metric::R2Score(R2::default()),
            Metric::ExplainedVariance(R2::default()).with_name("explained"),
            Metric::ConcordanceCorrelation,
        ]
    };
    for device in devices() {
        let model = Sequential::new(5).dense(16, Relu).dense(2, Linear).seed(7);
        let mut model = model
            .compile_on(&device, MeanSquaredError, Adam::new(0.1), metrics())
            .unwrap();
        model.fit(&data, Fit::epochs(3).silent()).unwrap();
        let evaluation = model.evaluate(&data).unwrap();
        let predictions = model.predict(&data).unwrap();
        let mut stream = Streaming::new(&device, &metrics(), 2, data.targets()).unwrap();
        stream
            .update(data.targets(), &predictions.values, None)
            .unwrap();
        same(&evaluation.metrics, &stream.result().unwrap(), &device);
    }
}

#[test]
fn settings_out_of_range_name_their_field() {
    let refused = |metric: Metric, columns: usize, targets: &Targets| {
        Streaming::new(&Device::cpu(), &[metric], columns, targets)
            .unwrap_err()
            .to_string()
    };
    let labels = Targets::Labels {
        labels: Vec::new(),
        classes: 3,
    };
    let numbers = Targets::Values {
        values: Vec::new(),
        columns: 3,
    };
    let points = Point {
        num_thresholds: 0,
        ..Point::from(0.5)
    };
    let cases = [
        (Metric::SparseTopKCategoricalAccuracy(4), &labels, "k:"),
        (Metric::TopKCategoricalAccuracy(0), &numbers, "k:"),
        (Metric::BinaryAccuracy(1.5), &numbers, "threshold:"),
        (Metric::Precision(-0.1), &labels, "thresholds:"),
        (Metric::Precision(Vec::new()), &labels, "thresholds:"),
        (Metric::Recall(Decision::top_k(4)), &labels, "top_k:"),
        (
            Metric::Recall(Decision {
                class_id: Some(3),
                ..Decision::default()
            }),
            &labels,
            "class_id:",
        ),
        (
            Metric::FBetaScore(FBeta {
                beta: 0.0,
                ..FBeta::default()
            }),
            &labels,
            "beta:",
        ),
        (Metric::PrecisionAtRecall(1.1), &labels, "at:"),
        (
            Metric::PrecisionAtRecall(points),
            &labels,
            "num_thresholds:",
        ),
        (Metric::MeanIou(5), &labels, "num_classes:"),
        (Metric::MeanSquaredError, &labels, "metrics:"),
        (Metric::SparseCategoricalAccuracy, &numbers, "metrics:"),
        (Metric::R2Score(R2::default()), &labels, "metrics:"),
    ];
    for (metric, targets, field) in cases {
        let message = refused(metric, 3, targets);
        assert!(message.starts_with(field), "{message}");
    }
    let twice = [Metric::Recall(0.5), Metric::Recall(0.5)];
    let message = Streaming::new(&Device::cpu(), &twice, 3, &labels).unwrap_err();
    assert!(message.to_string().contains("with_name"), "{message}");
}
