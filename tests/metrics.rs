//! Metrics that `fit` and `evaluate` report, on the CPU session and on the software GPU.

#![allow(clippy::unwrap_used)] // Helpers of the tests.

use kiln::prelude::*;
use kiln::train::{Classes, FBeta};

/// The devices to try: the CPU session, and a GPU where one is asked for or installed.
fn devices() -> Vec<Device> {
    let gpu = Device::named("software").or_else(|_none| Device::named("gpu"));
    [Ok(Device::cpu()), gpu].into_iter().flatten().collect()
}

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
            Metric::precision(),
            Metric::recall(),
            Metric::auc(),
            Metric::CohenKappa(Classes::default()),
            Metric::F1Score(FBeta::default().threshold(0.5)),
        ];
        let mut model = model
            .compile_on(&device, BinaryCrossentropy, Adam::new(0.02), metrics)
            .unwrap();
        // A ragged last batch of four rows, several epochs in a submission.
        let fit = Fit::epochs(10).batch_size(32).silent().validation(&data);
        let history = model.fit(&data, fit).unwrap();
        let evaluation = model.evaluate(&data).unwrap();
        // The last validation was over the same rows with the same weights.
        for (name, value) in &evaluation.metrics {
            let last = history.get(&format!("val_{name}")).last().copied();
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
