//! Negative labels, PyTorch's −100 and Keras' −1: rows that losses and metrics leave out by `ignore_class`.

use kiln::data::{Array, idx};
use kiln::prelude::*;
use kiln::train::{Classes, Curve, History, Objective, Streaming};
use kiln::{Csv, Targets};

use crate::assert_says;

/// Rows of two features with labels, every fourth of which is `ignored`.
fn marked(ignored: i32) -> Dataset {
    let line = |row: i32| {
        let label = if row % 4 == 3 { ignored } else { row % 3 };
        format!("{},{},{label}\n", row % 7, (row * row) % 5)
    };
    let text: String = (0..40).map(line).collect();
    let csv = Csv::new().labels();
    csv.read_from(text.as_bytes(), "marked.csv").unwrap()
}

/// The rows of it that count.
fn kept(data: &Dataset) -> Dataset {
    let rows: Vec<usize> = (0..data.rows()).filter(|row| row % 4 != 3).collect();
    data.select(&rows).unwrap()
}

fn compiled(loss: Loss, metrics: Vec<Metric>) -> Result<Model> {
    let model = Sequential::new(2).dense(4, Tanh).dense(3, Softmax).seed(5);
    model.compile_on(&Device::cpu(), loss, Sgd::new(0.1), metrics)
}

fn losses(loss: Loss, data: &Dataset) -> Vec<f64> {
    let mut model = compiled(loss, vec![]).unwrap();
    let fit = Fit::epochs(4).batch_size(64).silent();
    model.fit(data, fit).unwrap().loss().to_vec()
}

fn ignoring(class: i32) -> Classes {
    Classes {
        ignore_class: Some(class),
        ..Classes::default()
    }
}

#[test]
fn negative_labels_are_loaded_and_ignored_by_the_loss() {
    for ignored in [-1, -100, i32::MIN] {
        let data = marked(ignored);
        assert_eq!(data.classes(), Some(3));
        let Targets::Labels { labels, .. } = data.targets() else {
            panic!("labels");
        };
        assert_eq!(labels[3].cast_signed(), ignored);
        let loss = Loss::SparseCategoricalCrossentropy;
        let own = losses(loss.clone().ignore_class(ignored), &data);
        let without = losses(loss, &kept(&data));
        assert!(own[3] < own[0]);
        for (a, b) in own.iter().zip(&without) {
            assert!((a - b).abs() < 1e-5, "{ignored}: {own:?} and {without:?}");
        }
    }
}

#[test]
fn negative_labels_are_loaded_from_arrays_of_every_signed_type() {
    let labels = |descr: &str, bytes: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.bytes());
        file.extend(bytes);
        Array::from_bytes(&file, "y.npy")
            .unwrap()
            .to_labels()
            .unwrap()
    };
    let expected = [-100, 7].map(i32::cast_unsigned);
    assert_eq!(labels("|i1", &[156, 7]), expected);
    assert_eq!(
        labels(
            "<i4",
            &[(-100_i32).to_le_bytes(), 7_i32.to_le_bytes()].concat()
        ),
        expected
    );
    assert_eq!(
        labels(
            ">i8",
            &[(-100_i64).to_be_bytes(), 7_i64.to_be_bytes()].concat()
        ),
        expected
    );
    assert_eq!(
        labels(
            "<f8",
            &[(-100_f64).to_le_bytes(), 7_f64.to_le_bytes()].concat()
        ),
        expected
    );
    let file = [0, 0, 9, 1, 0, 0, 0, 2, 156, 7];
    let array = idx::read_from(&file[..], "y").unwrap();
    assert_eq!(array.to_labels().unwrap(), expected);
}

#[test]
fn metrics_leave_out_the_label_that_they_ignore() {
    let data = marked(-100);
    let loss = Loss::SparseCategoricalCrossentropy.ignore_class(-100);
    let metrics = |classes: Classes| {
        vec![
            Metric::MeanIou(classes),
            Metric::BalancedAccuracy(classes),
            Metric::CohenKappa(classes),
        ]
    };
    let mut own = compiled(loss, metrics(ignoring(-100))).unwrap();
    let mut plain = compiled(
        Loss::SparseCategoricalCrossentropy,
        metrics(Classes::default()),
    )
    .unwrap();
    let (own, plain) = (own.evaluate(&data), plain.evaluate(&kept(&data)));
    let (own, plain) = (own.unwrap().to_string(), plain.unwrap().to_string());
    assert!(own.contains("cohen_kappa") && !own.contains("NaN"), "{own}");
    assert_eq!(own, plain);
}

#[test]
fn every_metric_leaves_out_the_rows_that_the_loss_leaves_out() {
    let loss = Loss::SparseCategoricalCrossentropy;
    let right = Metric::from_fn("right", |y, labels| {
        y.argmax(-1).one_hot(3).mul(&labels.one_hot(3)).sum_over(-1)
    });
    let metrics = || {
        vec![
            Metric::Accuracy,
            Metric::SparseTopKCategoricalAccuracy(2),
            Metric::from(loss.clone()),
            Metric::Precision(0.3),
            Metric::Recall(0.3),
            Metric::TruePositives([0.2]),
            Metric::FalsePositives([0.2]),
            Metric::Auc(Curve::Roc),
            Metric::CohenKappa(Classes::default()),
            Metric::MeanIou(Classes::default()),
            right.clone(),
        ]
    };
    let weighted = |loss: Loss| {
        let objective = Objective::new("dense_1", loss);
        [
            Metric::Accuracy,
            Metric::Recall(0.3),
            Metric::CohenKappa(Classes::default()),
        ]
        .into_iter()
        .fold(objective, Objective::weighted_metric)
    };
    // Labels that name no class, one that names one.
    for ignored in [-100, -1, 3, 255, 1] {
        let data = marked(ignored);
        let rows: Vec<usize> = match data.targets() {
            Targets::Labels { labels, .. } => (0..data.rows())
                .filter(|&row| labels[row] != ignored.cast_unsigned())
                .collect(),
            _ => panic!("labels"),
        };
        let weights = |data: Dataset| {
            let weights = (0..data.rows()).map(|row| 0.5 + (row % 5) as f32).collect();
            data.with_weights(weights).unwrap()
        };
        let kept = |data: &Dataset| data.select(&rows).unwrap();
        let mut own = compiled(loss.clone().ignore_class(ignored), metrics()).unwrap();
        let mut plain = compiled(loss.clone(), metrics()).unwrap();
        let (value, expected) = (own.evaluate(&data), plain.evaluate(&kept(&data)));
        let (value, expected) = (value.unwrap(), expected.unwrap());
        assert_eq!(value.metrics.len(), 11);
        for ((name, value), (_, expected)) in value.metrics.iter().zip(&expected.metrics) {
            assert!(
                (value - expected).abs() < 1e-6,
                "{name} without {ignored}: {value}, not {expected}"
            );
        }
        // In training, in ragged batches, and by weights.
        let fit = || Fit::epochs(1).batch_size(7).silent().shuffle(false);
        let network =
            || Functional::from(Sequential::new(2).dense(4, Tanh).dense(3, Softmax).seed(5));
        let fitted = |loss: Loss, data: &Dataset| {
            let mut model = network()
                .compile_with(&Device::cpu(), [weighted(loss)], Sgd::new(0.0))
                .unwrap();
            model.fit(data, fit()).unwrap()
        };
        let data = weights(data);
        let own = fitted(loss.clone().ignore_class(ignored), &data);
        let plain = fitted(loss.clone(), &kept(&data));
        let metrics = |history: &History| history.epochs[0].metrics.clone();
        for ((name, value), (_, expected)) in metrics(&own).iter().zip(&metrics(&plain)) {
            assert!(
                (value - expected).abs() < 1e-6,
                "{name} without {ignored}: {value}, not {expected}"
            );
        }
    }
}

#[test]
fn negative_labels_that_nothing_ignores_are_refused() {
    let data = marked(-100);
    let fit = |loss: Loss, metrics: Vec<Metric>| {
        let mut model = compiled(loss, metrics).unwrap();
        model.fit(&data, Fit::epochs(1).silent()).map(|_| ())
    };
    let sparse = Loss::SparseCategoricalCrossentropy;
    let told = ["row 3", "label -100", "0 to 2", "ignore_class"];
    assert_says(fit(sparse.clone(), vec![]), &told);
    assert_says(fit(sparse.clone().ignore_class(-1), vec![]), &told);
    assert_says(fit(Loss::CategoricalCrossentropy, vec![]), &told);
    let ignoring_loss = sparse.ignore_class(-100);
    let told = [
        "metrics",
        "counts rows of every label",
        "-100",
        "ignore_class",
    ];
    fit(ignoring_loss.clone(), vec![Metric::Accuracy]).unwrap();
    let iou = Metric::MeanIou(ignoring(-1));
    assert_says(fit(ignoring_loss.clone(), vec![iou]), &told);
    let one_hot = data.clone().one_hot().map(|data| data.rows());
    assert_says(one_hot, &["row 3", "label -100", "none of 3 classes"]);

    let targets = data.targets();
    let outputs = vec![0.25; 3 * data.rows()];
    let stream = |metric: Metric| {
        let mut stream = Streaming::new(&Device::cpu(), &[metric], 3, targets)?;
        stream.update(targets, &outputs, None)
    };
    assert_says(
        stream(Metric::Accuracy),
        &["counts rows of every label", "-100"],
    );
    stream(Metric::MeanIou(ignoring(-100))).unwrap();
}

#[test]
fn rows_with_negative_labels_are_of_no_class_and_shared_out_as_others() {
    let data = marked(-100);
    assert_eq!(data.class_counts().unwrap().iter().sum::<usize>(), 30);
    assert_eq!(
        data.class_counts().unwrap(),
        kept(&data).class_counts().unwrap()
    );
    assert_eq!(
        data.balanced_class_weights().unwrap(),
        kept(&data).balanced_class_weights().unwrap()
    );
    let (train, test) = data.split_stratified(0.5, 1).unwrap();
    assert_eq!(train.class_counts().unwrap().iter().sum::<usize>(), 15);
    assert_eq!(test.rows(), 20);
}

#[test]
fn labels_of_minus_one_and_one_are_numbers_to_a_loss_of_numbers() {
    let text = "1,-1\n2,1\n3,-1\n";
    let data = Csv::new()
        .labels()
        .read_from(text.as_bytes(), "signs.csv")
        .unwrap();
    let values = Csv::new().read_from(text.as_bytes(), "signs.csv").unwrap();
    let evaluate = |data: &Dataset| {
        let model = Sequential::new(1).dense(1, Linear).seed(1);
        let mut model = model
            .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
            .unwrap();
        model.evaluate(data).unwrap().loss
    };
    assert_eq!(evaluate(&data), evaluate(&values));
}
