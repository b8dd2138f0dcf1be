//! Sums, counts and means over an epoch, on the CPU session and on the device of the tests: as exact over many rows as over few.

use crate::common::devices;
use kiln::prelude::*;
use kiln::train::{
    ClassAggregation, Classes, Curve, EarlyStopping, Every, Metric, Objective, R2, RunState,
    StopAt, Streaming,
};

/// A model that returns its input.
pub fn ident(device: &Device, loss: Loss, metrics: impl IntoIterator<Item = Metric>) -> Model {
    let network = Sequential::new(1).dense(1, Linear);
    let metrics: Vec<Metric> = metrics.into_iter().collect();
    let mut model = network
        .compile_on(device, loss, Sgd::new(0.0), metrics)
        .unwrap();
    model
        .set_weights([("dense/kernel", &[1.0f32][..]), ("dense/bias", &[0.0])])
        .unwrap();
    model
}

/// One prediction and one target a row.
pub fn pairs(rows: usize, row: impl Fn(usize) -> (f32, f32)) -> Dataset {
    let (y, t): (Vec<f32>, Vec<f32>) = (0..rows).map(row).unzip();
    let targets = Targets::Values {
        values: t,
        columns: 1,
    };
    Dataset::new(y, 1, targets).unwrap()
}

/// What a stream of one output column reports of these predictions and targets.
pub fn streamed(
    device: &Device,
    metrics: &[Metric],
    y: &[f32],
    t: &[f32],
    weights: Option<&[f32]>,
) -> Vec<f64> {
    let targets = |values: &[f32]| Targets::Values {
        values: values.to_vec(),
        columns: 1,
    };
    let mut stream = Streaming::new(device, metrics, 1, &targets(&[])).unwrap();
    stream.update(&targets(t), y, weights).unwrap();
    let result = stream.result().unwrap();
    result.into_iter().map(|(_, value)| value).collect()
}

pub fn near(value: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (value - expected).abs() / expected.abs();
    assert!(
        error <= tolerance,
        "{what}: {value}, but {expected} is right: off by {error:.1e}"
    );
}

#[test]
fn counts_stay_exact_beyond_2_to_24() {
    // Weights that stand for rows: 2^40 and then odd ones.
    let rows = 1003;
    let weights: Vec<f32> = (0..rows)
        .map(|i| match i {
            0 | 700 => (1u64 << 39) as f32,
            i => (i % 3) as f32,
        })
        .collect();
    let y = vec![0.9; rows];
    let t: Vec<f32> = (0..rows)
        .map(|i| f32::from(u8::from(i % 20 != 19)))
        .collect();
    let count = |wanted: f32| -> f64 {
        let own = t.iter().zip(&weights).filter(|(t, _)| **t == wanted);
        own.map(|(_, &w)| f64::from(w)).sum()
    };
    let metrics = [
        Metric::TruePositives([0.5]),
        Metric::FalsePositives([0.5]),
        Metric::Precision(0.5),
        Metric::CohenKappa(Classes::default()),
        Metric::BinaryAccuracy(0.5),
    ];
    for device in devices() {
        let values = streamed(&device, &metrics, &y, &t, Some(&weights));
        let all = count(1.0) + count(0.0);
        assert_eq!(all, (0..rows).map(|i| f64::from(weights[i])).sum::<f64>());
        assert_eq!(values[..2], [count(1.0), count(0.0)], "{device}");
        assert_eq!(values[2], count(1.0) / all, "{device}");
        assert!(values[3].abs() < 1e-12, "{} on {device}", values[3]);
        assert_eq!(values[4], count(1.0) / all, "{device}");
    }
}

#[test]
fn a_mean_of_numbers_that_cancel_keeps_what_is_left() {
    // One large number in the first part of a batch, its opposite in the second.
    let row = |i: usize| match i {
        5 => (1e9, 0.0),
        40 => (-1e9, 0.0),
        _ => (0.5, 0.0),
    };
    let right = 62.0 * 0.5 / 64.0;
    let bias = || {
        Metric::from_fn("bias", |y: &kiln::Tensor, t: &kiln::Tensor| {
            y.sub(t).sum_over(1)
        })
    };
    let (y, t): (Vec<f32>, Vec<f32>) = (0..64).map(row).unzip();
    for device in devices() {
        let values = streamed(&device, &[bias()], &y, &t, None);
        assert_eq!(values, [right], "{device}");
        let mut model = ident(&device, Loss::MeanAbsoluteError, [bias()]);
        let measured = model.evaluate(&pairs(64, row)).unwrap();
        assert_eq!(measured.get("bias"), Some(right), "{device}");
        let fit = Fit::epochs(1).batch_size(64).silent();
        let history = model.fit(&pairs(64, row), fit).unwrap();
        assert_eq!(history.epochs[0].metrics[0].1, right, "{device}");
    }
}

/// The loss of an epoch of a dense layer with these weights, trained at no rate.
fn loss_of(device: &Device, loss: Loss, layer: (usize, f32), data: &Dataset) -> f64 {
    let (units, bias) = layer;
    let softmax = loss.name().contains("cross");
    let network = if softmax {
        Sequential::new(1).dense(units, Softmax)
    } else {
        Sequential::new(1).dense(units, Linear)
    };
    let mut model = network
        .compile_on(device, loss, Sgd::new(0.0), [Accuracy])
        .unwrap();
    let (kernel, bias) = (vec![0.0; units], vec![bias; units]);
    model
        .set_weights([("dense/kernel", &kernel[..]), ("dense/bias", &bias)])
        .unwrap();
    let fit = Fit::epochs(1).batch_size(data.rows()).silent();
    let history = model.fit(data, fit).unwrap();
    let trained = history.epochs[0].loss;
    let evaluated = model.evaluate(data).unwrap().loss;
    near(evaluated, trained, 3e-7, "evaluate");
    trained
}

#[test]
fn equal_losses_of_many_rows_are_not_biased_by_their_sum() {
    for device in devices() {
        // An untrained classifier: ln C for every row.
        for (rows, classes) in [(16_384, 1000), (65_536, 3), (8_192, 50)] {
            let labels = (0..rows as u32).map(|i| i % classes as u32).collect();
            let targets = Targets::Labels { labels, classes };
            let data = Dataset::new(vec![0.0; rows], 1, targets).unwrap();
            let loss = loss_of(
                &device,
                SparseCategoricalCrossentropy,
                (classes, 0.0),
                &data,
            );
            let what = format!("{rows} rows of {classes} classes on {device}");
            // Half a millionth is what the logarithm of a row may be off by.
            near(loss, (classes as f64).ln(), 5e-7, &what);
        }
        // Columns whose errors are all alike.
        for (rows, columns, bias) in [
            (64, 256, 0.1),
            (4096, 200, 0.3),
            (65_536, 1, 0.7),
            (100, 256, 1.7),
        ] {
            let targets = Targets::Values {
                values: vec![0.0; rows * columns],
                columns,
            };
            let data = Dataset::new(vec![0.0; rows], 1, targets).unwrap();
            let loss = loss_of(&device, MeanSquaredError, (columns, bias), &data);
            let what = format!("{rows} rows of {columns} errors of {bias} on {device}");
            near(loss, f64::from(bias) * f64::from(bias), 1e-6, &what);
        }
    }
}

/// Prediction and target of a row, a few of which are outliers, the first among them.
fn with_outliers(i: usize) -> (f32, f32) {
    let t = ((7919 * i) % 1000) as f32 / 1000.0 * 3.46 - 1.73;
    let t = match i {
        0 | 8_999_999 => 1000.0,
        4_000_001 => -300.0,
        _ => t,
    };
    let e = (i * 104_729 % 1009) as f32 / 1009.0 - 0.47;
    (t + e, t)
}

/// The metrics that are compared over them, and their values in f64.
fn over_outliers(rows: usize) -> ([Metric; 6], [f64; 6]) {
    let (mut d, mut dd, mut e, mut ee, mut ae, mut tp, mut fp) =
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (y, t) in (0..rows).map(with_outliers) {
        let (y, t) = (f64::from(y), f64::from(t));
        (d, dd) = (d + t, dd + t * t);
        (e, ee, ae) = (e + y - t, ee + (y - t) * (y - t), ae + (y - t).abs());
        if y > 0.5 {
            (tp, fp) = (tp + t, fp + 1.0 - t);
        }
    }
    let n = rows as f64;
    let spread = dd - d * d / n;
    let metrics = [
        Metric::R2Score(R2::default()),
        Metric::ExplainedVariance(R2::default()),
        Metric::MeanSquaredError,
        Metric::MeanAbsoluteError,
        Metric::TruePositives([0.5]),
        Metric::FalsePositives([0.5]),
    ];
    let explained = 1.0 - (ee - e * e / n) / spread;
    let values = [1.0 - ee / spread, explained, ee / n, ae / n, tp, fp];
    (metrics, values)
}

/// Sums of metrics over the rows, compared with those of f64.
fn compared(reported: &[(String, f64)], expected: &[f64]) {
    for ((name, value), expected) in reported.iter().zip(expected) {
        println!("{name}: {value}, off by {:.1e}", value / expected - 1.0);
        near(*value, *expected, 2e-7, name);
    }
}

#[test]
fn sums_over_10_000_000_rows_with_outliers_are_those_of_f64() {
    const ROWS: usize = 10_000_000;
    let data = pairs(ROWS, with_outliers);
    let (metrics, expected) = over_outliers(ROWS);
    for device in devices() {
        let mut model = ident(&device, MeanSquaredError, metrics.clone());
        let measured = model.evaluate(&data).unwrap();
        near(measured.loss, expected[2], 2e-7, "loss");
        compared(&measured.metrics, &expected);
    }
}

#[test]
#[ignore = "takes minutes"]
fn sums_over_100_000_000_rows_with_outliers_are_those_of_f64() {
    const ROWS: usize = 100_000_000;
    const PART: usize = 1 << 16;
    let (metrics, expected) = over_outliers(ROWS);
    let targets = |values: Vec<f32>| Targets::Values { values, columns: 1 };
    for device in devices() {
        let mut stream = Streaming::new(&device, &metrics, 1, &targets(Vec::new())).unwrap();
        for first in (0..ROWS).step_by(PART) {
            let rows = first..ROWS.min(first + PART);
            let (y, t): (Vec<f32>, Vec<f32>) = rows.map(with_outliers).unzip();
            stream.update(&targets(t), &y, None).unwrap();
        }
        compared(&stream.result().unwrap(), &expected);
    }
}

#[test]
fn an_outlier_that_comes_first_does_not_spoil_r2() {
    let row = |i: usize| {
        let t = ((7919 * i) % 1000) as f32 / 1000.0 * 3.46 - 1.73;
        let t = if i == 0 { 1000.0 } else { t };
        (
            if i.is_multiple_of(2) {
                t + 0.5
            } else {
                t - 0.5
            },
            t,
        )
    };
    for device in devices() {
        let metrics = [
            Metric::R2Score(R2::default()),
            Metric::ExplainedVariance(R2::default()),
        ];
        let mut model = ident(&device, MeanSquaredError, metrics);
        let measured = model.evaluate(&pairs(100_000, row)).unwrap();
        for (name, value) in &measured.metrics {
            near(*value, 0.977_267_6, 1e-7, name);
        }
    }
}

#[test]
fn targets_that_drift_far_from_the_first_keep_their_variance() {
    // One row at 0, then all of them around 50 000: a shift by the first target would cancel.
    let row = |i: usize| {
        let t = if i < 256 {
            0.0
        } else {
            50_000.0 + (i % 7) as f32
        };
        (t + (i % 5) as f32 * 0.25, t)
    };
    let rows = 200_000;
    let (mut sum, mut residual) = (0.0, 0.0);
    for i in 0..rows {
        let (y, t) = row(i);
        sum += f64::from(t);
        residual += f64::from(y - t) * f64::from(y - t);
    }
    let mean = sum / rows as f64;
    let spread = |i: usize| (f64::from(row(i).1) - mean) * (f64::from(row(i).1) - mean);
    let missing = residual / (0..rows).map(spread).sum::<f64>();
    for device in devices() {
        let mut model = ident(&device, MeanSquaredError, [Metric::R2Score(R2::default())]);
        let measured = model.evaluate(&pairs(rows, row)).unwrap();
        let value = 1.0 - measured.get("r2_score").unwrap();
        near(value, missing, 1e-7, "1 − R²");
    }
}

#[test]
fn curves_clip_predictions_as_keras_does() {
    for device in devices() {
        let metrics = [
            Metric::Auc(Curve::Roc),
            Metric::Auc(Curve::Pr).with_name("pr"),
            Metric::SpecificityAtSensitivity(1.0),
        ];
        let t = [1.0, 0.0, 1.0, 0.0];
        let values = streamed(&device, &metrics, &[0.3, -0.3, 0.4, -2.0], &t, None);
        assert_eq!(values, [1.0, 1.0, 1.0], "{device}");
        // Beyond 1 all are alike.
        let values = streamed(&device, &metrics[..1], &[2.0, 1.5, 3.0, 1.0], &t, None);
        assert_eq!(values, [0.5], "{device}");
    }
}

#[test]
fn a_point_that_is_reached_exactly_counts() {
    let t = [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let y = [0.95, 0.9, 0.85, 0.8, 0.1, 0.15, 0.12, 0.11, 0.13, 0.05];
    // The same with what is right and wrong exchanged.
    let others = y.map(|y| 1.0 - y);
    let opposite = t.map(|t| 1.0 - t);
    for device in devices() {
        let metrics = [
            Metric::PrecisionAtRecall(0.8),
            Metric::SpecificityAtSensitivity(0.8),
        ];
        assert_eq!(streamed(&device, &metrics, &y, &t, None), [1.0, 1.0]);
        let metrics = [Metric::SensitivityAtSpecificity(0.8)];
        let values = streamed(&device, &metrics, &others, &opposite, None);
        assert_eq!(values, [1.0]);
    }
}

#[test]
fn a_figure_that_comes_to_the_target_of_a_stop_rule_ends_the_run() {
    // Every row's loss is 0.1 in f32, which is above 0.1.
    let data = pairs(10, |_| (0.1, 0.0));
    let device = Device::cpu();
    let fit = || Fit::epochs(3).batch_size(10).silent();
    let mut model = ident(&device, Loss::MeanAbsoluteError, []);
    let history = model.fit(&data, fit().until_loss(0.1)).unwrap();
    assert_eq!(history.epochs.len(), 1);
    let history = model
        .fit(&data, fit().callback(StopAt::new("loss", 0.1)))
        .unwrap();
    assert_eq!(history.epochs.len(), 1);
    // A baseline is to be beaten, which 0.1 does not do with 0.1.
    let stopping = EarlyStopping::new("loss", 2).baseline(0.1);
    let history = model.fit(&data, fit().callback(stopping)).unwrap();
    assert_eq!(history.epochs.len(), 2);
}

#[test]
fn a_share_of_rows_is_the_quotient_of_their_counts() {
    // k of n for many: none may be off by a last place, or a target of k/n would not be reached.
    let device = Device::cpu();
    for n in [3, 10, 49, 93, 100] {
        for k in [1, n / 3, n / 2, n - 1] {
            let y: Vec<f32> = (0..n).map(|i| f32::from(u8::from(i < k))).collect();
            let values = streamed(
                &device,
                &[Metric::BinaryAccuracy(0.5)],
                &y,
                &vec![1.0; n],
                None,
            );
            assert_eq!(values, [k as f64 / n as f64], "{k} of {n}");
        }
    }
}

#[test]
fn constant_targets_have_the_scores_of_scikit_learn() {
    let scores = |y: [f32; 4], metric: Metric, device: &Device| {
        streamed(device, &[metric], &y, &[2.0; 4], None)[0]
    };
    let r2 = Metric::R2Score(R2::default());
    let explained = Metric::ExplainedVariance(R2::default());
    for device in devices() {
        assert_eq!(scores([2.0; 4], r2.clone(), &device), 1.0);
        assert_eq!(scores([2.0; 4], explained.clone(), &device), 1.0);
        // Off by one number: the errors do not vary.
        assert_eq!(scores([2.3; 4], r2.clone(), &device), 0.0);
        assert_eq!(scores([2.3; 4], explained.clone(), &device), 1.0);
        assert_eq!(scores([2.0, 2.0, 2.0, 3.0], r2.clone(), &device), 0.0);
        assert_eq!(
            scores([2.0, 2.0, 2.0, 3.0], explained.clone(), &device),
            0.0
        );
    }
}

#[test]
fn a_constant_column_does_not_poison_the_average_over_columns() {
    let of = |class_aggregation| {
        let r2 = R2 {
            class_aggregation,
            num_regressors: 0,
        };
        [Metric::R2Score(r2), Metric::ExplainedVariance(r2)]
    };
    // The first column is constant and met, the second has R² 0.9.
    let targets = |values: &[f32]| Targets::Values {
        values: values.to_vec(),
        columns: 2,
    };
    let t = targets(&[5.0, 1.0, 5.0, 2.0, 5.0, 3.0, 5.0, 4.0]);
    let y = [5.0, 1.5, 5.0, 2.0, 5.0, 3.0, 5.0, 3.5];
    let constant = targets(&[5.0; 8]);
    for device in devices() {
        let values = |aggregation, t: &Targets, y: &[f32]| -> Vec<f64> {
            let metrics = of(aggregation);
            let mut stream = Streaming::new(&device, &metrics, 2, &targets(&[])).unwrap();
            stream.update(t, y, None).unwrap();
            let result = stream.result().unwrap();
            result.into_iter().map(|(_, value)| value).collect()
        };
        use ClassAggregation::{UniformAverage, VarianceWeightedAverage};
        assert_eq!(values(ClassAggregation::None, &t, &y), [1.0, 0.9, 1.0, 0.9]);
        assert_eq!(values(UniformAverage, &t, &y), [0.95, 0.95]);
        assert_eq!(values(VarianceWeightedAverage, &t, &y), [0.9, 0.9]);
        let met = values(VarianceWeightedAverage, &constant, &[5.0; 8]);
        assert_eq!(met, [1.0, 1.0]);
    }
}

#[test]
fn rows_that_all_weigh_nothing_give_0_and_r2_nothing() {
    let mut checked = 0;
    for device in devices() {
        let (y, t) = ([0.9, 0.2, 0.7], [1.0, 0.0, 0.0]);
        for metric in Metric::all() {
            let labels = metric.name().starts_with("sparse");
            let none = metric.name() == "r2_score" || metric.name() == "explained_variance";
            // Of labels, or of several classes.
            if labels || metric.name().ends_with("categorical_accuracy") {
                continue;
            }
            let values = streamed(
                &device,
                std::slice::from_ref(&metric),
                &y,
                &t,
                Some(&[0.0; 3]),
            );
            for value in values {
                let right = if none { value.is_nan() } else { value == 0.0 };
                assert!(right, "{metric}: {value} on {device}");
                checked += 1;
            }
        }
        let objective = Objective::new("dense", MeanSquaredError)
            .metric(Metric::MeanAbsoluteError)
            .weighted_metric(Metric::MeanAbsoluteError);
        let network = Functional::from(Sequential::new(1).dense(1, Linear));
        let mut model = network
            .compile_with(&device, [objective], Sgd::new(0.1))
            .unwrap();
        let data = pairs(5, |i| (i as f32, 1.0)).with_weights(vec![0.0; 5]);
        let measured = model.evaluate(&data.unwrap()).unwrap();
        assert_eq!(measured.get("weighted_mean_absolute_error"), Some(0.0));
    }
    assert!(checked >= 30, "{checked}");
}

#[test]
fn counts_too_large_for_a_device_are_refused_by_their_metric() {
    let model = Sequential::new(1).dense(1, Linear);
    let metric = Metric::CohenKappa(Classes {
        num_classes: Some(100_000),
        ignore_class: None,
    });
    let refused = model
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), [metric])
        .unwrap_err()
        .to_string();
    let known = [
        "metrics",
        "cohen_kappa",
        "100000 by 100000 classes",
        "10000000000 cells",
    ];
    for part in known {
        assert!(refused.contains(part), "{refused}");
    }
    for device in devices() {
        let labels = Targets::Labels {
            labels: Vec::new(),
            classes: 70_000,
        };
        let metric = Metric::BalancedAccuracy(Classes::default());
        let refused = Streaming::new(&device, &[metric], 70_000, &labels).unwrap_err();
        assert!(
            refused.to_string().contains("balanced_accuracy"),
            "{refused}"
        );
    }
}

/// A run that was stopped in the middle of an epoch, and one that goes on from there.
#[test]
fn tallies_of_a_file_from_before_cells_were_pairs_are_gone_on_from() {
    let device = Device::cpu();
    let data = pairs(50, |i| ((i % 10) as f32 / 10.0, (i % 3 / 2) as f32));
    let metrics = || {
        [
            Metric::Auc(Curve::Roc),
            Metric::R2Score(R2::default()),
            Metric::CohenKappa(Classes::default()),
        ]
    };
    let fit = || Fit::epochs(2).batch_size(10).shuffle(false).silent();
    let whole = ident(&device, MeanSquaredError, metrics())
        .fit(&data, fit())
        .unwrap();
    let mut states: Vec<RunState> = Vec::new();
    ident(&device, MeanSquaredError, metrics())
        .fit(
            &data,
            fit().states(Every::Steps(7), |state: &RunState| {
                states.push(state.clone());
                Ok(())
            }),
        )
        .unwrap();
    let mut state = states.swap_remove(0);
    let (mut halved, mut moments) = (0, 0);
    for (name, (kind, values)) in &mut state.snapshot.variables {
        if let (true, kiln::Values::F32(values)) = (name.contains(".tally."), values) {
            let &[rows, cells] = kind.shape.dims() else {
                panic!("{name} is {kind}")
            };
            // The second numbers of the cells come last.
            values.truncate(rows / 2 * cells);
            if cells == 8 {
                // Errors were counted from 0, and Σ w·d·e had the place of the number that they are counted from now.
                for cells in values.chunks_exact_mut(8) {
                    let (w, l) = (cells[0], cells[6]);
                    cells[5] += l * (2.0 * cells[4] + l * w);
                    cells[4] += l * w;
                    cells[6] = 0.75 * w;
                    moments += 1;
                }
            }
            *kind = kiln::TensorType::f32([rows / 2, cells]);
            halved += 1;
        }
    }
    assert_eq!((halved, moments > 0), (3, true));
    let resumed = ident(&device, MeanSquaredError, metrics())
        .fit(&data, fit().resume(state))
        .unwrap();
    for (name, value) in &whole.epochs[1].metrics {
        let other = resumed.epochs[1].metrics.iter().find(|own| own.0 == *name);
        near(other.unwrap().1, *value, 1e-6, name);
    }
}
