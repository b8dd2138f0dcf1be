//! What must hold of losses whatever the numbers are, and losses in `fit`.

use crate::common::{self, device};
use kiln::Plan;
use kiln::prelude::*;
use kiln::train::{BinaryFocalCrossentropy, CategoricalFocalCrossentropy, Reduction, Takes};

/// What a case has for targets.
enum Given<'a> {
    Numbers(&'a [f32]),
    Labels(&'a [u32]),
}

/// Loss of each row, `reduced` of them, and its gradient by y `[rows, columns]`.
struct Outcome {
    rows: Vec<f32>,
    value: Vec<f32>,
    gradient: Vec<f32>,
}

fn outcome(
    spec: Loss,
    columns: usize,
    y: &[f32],
    target: Given<'_>,
    reduction: Reduction,
) -> Outcome {
    spec.validate().unwrap();
    let (graph, device) = (Graph::new(), Device::cpu());
    let rows = y.len() / columns;
    let predicted = graph.input("y", [rows, columns]);
    let expected = match target {
        Given::Numbers(_) => graph.input("t", [rows, columns]),
        Given::Labels(_) => graph.labels("t", [rows]),
    };
    let losses = spec.each_row(&predicted, &expected);
    let reduced = spec.reduction(reduction);
    let value = reduced.of_batch(&predicted, &expected, None);
    let gradient = graph.gradients(&value.sum(), &[&predicted]).remove(0);
    let program = Program::new("p")
        .fetch("rows", &losses)
        .fetch("value", &value)
        .fetch("gradient", &gradient);
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.write("y", y).unwrap();
    match target {
        Given::Numbers(values) => session.write("t", values).unwrap(),
        Given::Labels(labels) => session.write_labels("t", labels).unwrap(),
    }
    session.run("p", 1).unwrap();
    Outcome {
        rows: session.read("rows").unwrap(),
        value: session.read("value").unwrap(),
        gradient: session.read("gradient").unwrap(),
    }
}

/// Numbers between `from` and `to`, without a pattern that a loss would see.
fn numbers(count: usize, from: f32, to: f32) -> Vec<f32> {
    let share = |i: usize| ((i * 7919 + 31) % 997) as f32 / 997.0;
    (0..count).map(|i| from + (to - from) * share(i)).collect()
}

fn normalised(mut values: Vec<f32>, columns: usize) -> Vec<f32> {
    for row in values.chunks_exact_mut(columns) {
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|value| *value /= sum);
    }
    values
}

fn one_hot(labels: &[u32], columns: usize) -> Vec<f32> {
    let row = |&label: &u32| (0..columns).map(move |j| f32::from(u8::from(j == label as usize)));
    labels.iter().flat_map(row).collect()
}

#[track_caller]
fn near(a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let apart = (a - b).abs();
        assert!(apart <= tolerance * b.abs().max(1.0), "{i}: {a} and {b}");
    }
}

/// Predictions and targets of 12 rows of 5 that suit the loss.
fn fitting(loss: &Loss) -> (Vec<f32>, Vec<f32>, Vec<u32>) {
    let labels: Vec<u32> = (0..12).map(|i| (i * 3 + 1) % 5).collect();
    let y = match loss.takes() {
        _ if *loss == Loss::NegativeLogLikelihood => numbers(60, -4.0, -0.1),
        Takes::Numbers => numbers(60, 0.1, 4.0),
        _ => normalised(numbers(60, 0.05, 1.0), 5),
    };
    let t = match loss.takes() {
        Takes::Numbers => numbers(60, 0.2, 3.0).into_iter().rev().collect(),
        _ => one_hot(&labels, 5),
    };
    (y, t, labels)
}

fn given<'a>(loss: &Loss, t: &'a [f32], labels: &'a [u32]) -> Given<'a> {
    match loss.takes() == Takes::Labels {
        true => Given::Labels(labels),
        false => Given::Numbers(t),
    }
}

#[test]
fn a_right_answer_costs_nothing_and_asks_for_nothing() {
    let values = numbers(60, 0.1, 4.0);
    for loss in [
        Loss::HalfSquaredError,
        Loss::MeanSquaredError,
        Loss::MeanAbsoluteError,
        Loss::MeanAbsolutePercentageError,
        Loss::MeanSquaredLogarithmicError,
        Loss::huber(0.3),
        Loss::LogCosh,
    ] {
        let own = Given::Numbers(&values);
        let outcome = outcome(loss.clone(), 5, &values, own, Reduction::Sum);
        assert_eq!(outcome.value, [0.0], "{loss}");
        assert!(outcome.gradient.iter().all(|&slope| slope == 0.0), "{loss}");
    }
    let shares = normalised(numbers(60, 0.05, 1.0), 5);
    let kl = outcome(
        Loss::KlDivergence,
        5,
        &shares,
        Given::Numbers(&shares),
        Reduction::Sum,
    );
    assert_eq!(kl.value, [0.0]);
    let classes = one_hot(&[0, 4, 2, 2], 5);
    for (loss, least) in [
        (Loss::Dice, 0.0),
        (Loss::tversky(0.3, 0.7), 0.0),
        (Loss::CosineSimilarity, -1.0),
        (Loss::Hinge, 0.0),
        (Loss::SquaredHinge, 0.0),
        (Loss::CategoricalHinge, 0.0),
    ] {
        // A hinge wants its margin on both sides.
        let hinge = loss == Loss::Hinge || loss == Loss::SquaredHinge;
        let y: Vec<f32> = if hinge {
            classes.iter().map(|t| 2.0 * t - 1.0).collect()
        } else {
            classes.clone()
        };
        let outcome = outcome(loss, 5, &y, Given::Numbers(&classes), Reduction::None);
        near(&outcome.rows, &[least; 4], 1e-6);
    }
}

#[test]
fn a_sum_is_the_mean_times_the_rows_for_every_loss() {
    for loss in Loss::all() {
        let (y, t, labels) = fitting(&loss);
        let of = |reduction| outcome(loss.clone(), 5, &y, given(&loss, &t, &labels), reduction);
        let (sum, mean) = (of(Reduction::Sum), of(Reduction::SumOverBatchSize));
        near(&[mean.value[0] * 12.0], &sum.value, 1e-6);
        let rows = of(Reduction::None);
        near(&[rows.value.iter().sum()], &sum.value, 1e-6);
        near(&rows.gradient, &sum.gradient, 1e-6);
        let scaled: Vec<f32> = mean.gradient.iter().map(|slope| 12.0 * slope).collect();
        near(&scaled, &sum.gradient, 1e-6);
        assert!(sum.gradient.iter().any(|&slope| slope != 0.0), "{loss}");
    }
}

#[test]
fn no_smoothing_is_the_plain_loss_to_the_bit_and_labels_smooth_as_one_hot_rows_do() {
    for loss in Loss::all().filter(|loss| loss.clone().label_smoothing(0.1).validate().is_ok()) {
        let (y, t, labels) = fitting(&loss);
        let of = |spec| outcome(spec, 5, &y, given(&loss, &t, &labels), Reduction::Mean);
        let (plain, none, some) = (
            of(loss.clone()),
            of(loss.clone().label_smoothing(0.0)),
            of(loss.clone().label_smoothing(0.1)),
        );
        assert_eq!(plain.rows, none.rows, "{loss}");
        assert_eq!(plain.gradient, none.gradient, "{loss}");
        assert_ne!(plain.rows, some.rows, "{loss}");
    }
    let (y, t, labels) = fitting(&Loss::CategoricalCrossentropy);
    let of = |loss: Loss, target| {
        let spec = loss.from_logits().label_smoothing(0.2);
        outcome(spec, 5, &y, target, Reduction::Mean)
    };
    let dense = of(Loss::CategoricalCrossentropy, Given::Numbers(&t));
    let sparse = of(Loss::SparseCategoricalCrossentropy, Given::Labels(&labels));
    near(&sparse.rows, &dense.rows, 1e-6);
    near(&sparse.gradient, &dense.gradient, 1e-6);
}

#[test]
fn an_ignored_class_leaves_the_mean_to_the_other_rows() {
    let (y, labels) = (numbers(30, -2.0, 2.0), [0, 2, 1, 2, 4, 255]);
    for class in [2, 255] {
        let spec = Loss::SparseCategoricalCrossentropy
            .from_logits()
            .ignore_class(class);
        // The label 255 is none of the five classes'.
        let count = if class == 255 { 6 } else { 5 };
        let outcome = outcome(
            spec,
            5,
            &y[..5 * count],
            Given::Labels(&labels[..count]),
            Reduction::Mean,
        );
        let left_out = |row: usize| labels[row].cast_signed() == class;
        let kept = (0..count).filter(|&row| !left_out(row)).count();
        let mean = outcome.rows.iter().sum::<f32>() / kept as f32;
        near(&outcome.value, &[mean], 1e-6);
        for row in 0..count {
            let slopes = &outcome.gradient[5 * row..5 * row + 5];
            assert_eq!(outcome.rows[row] == 0.0, left_out(row));
            assert_eq!(slopes.iter().all(|&slope| slope == 0.0), left_out(row));
        }
    }
}

#[test]
fn a_focal_loss_without_focus_is_the_cross_entropy() {
    let gamma = 0.0;
    let (y, t, _) = fitting(&Loss::CategoricalCrossentropy);
    let of = |loss: Loss| outcome(loss, 5, &y, Given::Numbers(&t), Reduction::Sum);
    let plain = of(Loss::BinaryCrossentropy);
    let focal = of(BinaryFocalCrossentropy { alpha: None, gamma }.into());
    near(&focal.rows, &plain.rows, 1e-6);
    near(&focal.gradient, &plain.gradient, 1e-6);
    let alpha = 1.0;
    let plain = of(Loss::CategoricalCrossentropy);
    let focal = of(CategoricalFocalCrossentropy { alpha, gamma }.into());
    near(&focal.rows, &plain.rows, 1e-5);
}

#[test]
fn losses_stay_finite_far_out() {
    let y = [1e4, -1e4, 200.0, -200.0, 0.0, 1e30, -1e30, 88.0, -88.0, 1.0];
    let t = [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    for spec in [
        Loss::BinaryCrossentropy.from_logits(),
        Loss::from(BinaryFocalCrossentropy::default()).from_logits(),
        Loss::CategoricalCrossentropy.from_logits(),
        Loss::from(CategoricalFocalCrossentropy::default()).from_logits(),
        Loss::MeanAbsoluteError,
        Loss::MeanSquaredLogarithmicError,
        Loss::huber(1.0),
        Loss::LogCosh,
        Loss::Hinge,
        Loss::KlDivergence,
        Loss::CategoricalHinge,
    ] {
        let outcome = outcome(spec.clone(), 5, &y, Given::Numbers(&t), Reduction::None);
        let all = outcome.rows.iter().chain(&outcome.gradient);
        assert!(
            all.copied().all(f32::is_finite),
            "{spec}: {:?}",
            outcome.rows
        );
    }
}

#[test]
fn probabilities_that_are_all_zero_are_nan_on_every_device() {
    let labels = Targets::Labels {
        labels: vec![1],
        classes: 3,
    };
    let shares = Targets::Values {
        values: vec![0.0, 1.0, 0.0],
        columns: 3,
    };
    for (loss, targets) in [
        (Loss::SparseCategoricalCrossentropy, labels),
        (Loss::CategoricalCrossentropy, shares),
    ] {
        let data = Dataset::new(vec![1.0, 2.0], 2, targets).unwrap();
        for device in common::devices() {
            let model = Sequential::new(2).dense(3, Relu);
            let mut model = model
                .compile_on(&device, loss.clone(), Sgd::default(), [])
                .unwrap();
            model
                .set_weights([("dense/kernel", &[-1.0f32; 6][..])])
                .unwrap();
            let measured = model.evaluate(&data).unwrap();
            assert!(
                measured.loss.is_nan(),
                "{loss} on {device}: {}",
                measured.loss
            );
        }
    }
}

/// A data set of 50 rows whose targets suit the loss, the last batch a ragged one.
fn data(loss: &Loss) -> Dataset {
    let features = numbers(150, -1.0, 1.0);
    let sums: Vec<f32> = features
        .chunks_exact(3)
        .map(|x| x[0] - 2.0 * x[1])
        .collect();
    let labels: Vec<u32> = sums.iter().map(|sum| u32::from(*sum > 0.0)).collect();
    let targets = match loss.takes() {
        Takes::Labels => Targets::Labels { labels, classes: 2 },
        Takes::Shares => Targets::Values {
            values: one_hot(&labels, 2),
            columns: 2,
        },
        _ => Targets::Values {
            values: sums
                .iter()
                .flat_map(|s| [1.5 + s / 2.0, 1.5 - s / 2.0])
                .collect(),
            columns: 2,
        },
    };
    Dataset::new(features, 3, targets).unwrap()
}

#[test]
fn every_loss_trains() {
    let Some(device) = device() else { return };
    for loss in Loss::all() {
        let last = match loss.takes() {
            // It takes a logarithm of the output.
            _ if loss == Loss::Poisson => Sigmoid,
            Takes::Shares => Softmax,
            _ => Linear,
        };
        let model = Sequential::new(3).dense(6, Tanh).dense(2, last).seed(3);
        // Log-likelihood alone has no least value; logits are what a sparse cross-entropy gets.
        let spec = if loss == Loss::SparseCategoricalCrossentropy {
            loss.clone().from_logits()
        } else {
            loss.clone()
        };
        let mut model = model.compile_on(device, spec, Adam::new(0.02), []).unwrap();
        let history = model
            .fit(&data(&loss), Fit::epochs(30).batch_size(16).silent())
            .unwrap();
        let losses = history.loss();
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(
            last < first && last.is_finite(),
            "{loss}: {first} to {last}"
        );
    }
}

#[test]
fn rows_of_an_ignored_class_train_nothing_and_do_not_dilute_the_loss() {
    let Some(device) = device() else { return };
    let whole = data(&Loss::SparseCategoricalCrossentropy);
    let Targets::Labels { labels, .. } = whole.targets() else {
        panic!("labels");
    };
    let mut labels = labels.clone();
    for label in labels.iter_mut().step_by(4) {
        *label = 255;
    }
    let kept: Vec<usize> = (0..50).filter(|row| labels[*row] != 255).collect();
    let targets = Targets::Labels {
        labels,
        classes: 256,
    };
    let marked = Dataset::new(whole.features().to_vec(), 3, targets).unwrap();
    let train = |spec: Loss, data: &Dataset| {
        let model = Sequential::new(3).dense(6, Tanh).dense(2, Softmax).seed(3);
        let mut model = model.compile_on(device, spec, Sgd::new(0.1), []).unwrap();
        // One batch of all rows, so that both see the same ones.
        let fit = Fit::epochs(5).batch_size(50).silent();
        let history = model.fit(data, fit).unwrap();
        history.loss()
    };
    let loss = Loss::SparseCategoricalCrossentropy;
    let ignoring = train(loss.clone().ignore_class(255), &marked);
    let without = train(loss, &whole.select(&kept).unwrap());
    for (a, b) in ignoring.iter().zip(&without) {
        assert!((a - b).abs() < 1e-4, "{ignoring:?} and {without:?}");
    }
}

#[test]
fn an_overlap_in_fit_is_that_of_the_whole_batch() {
    let Some(device) = device() else { return };
    let data = data(&Loss::Dice);
    let model = Sequential::new(3).dense(2, Sigmoid).seed(3);
    let mut model = model
        .compile_on(device, Loss::Dice, Sgd::new(0.0), [])
        .unwrap();
    let y = model.predict(data.features()).unwrap().values.to_vec();
    let Targets::Values { values, .. } = data.targets() else {
        panic!("values");
    };
    let whole = outcome(Loss::Dice, 100, &y, Given::Numbers(values), Reduction::None);
    let fit = Fit::epochs(1).batch_size(50).silent();
    let loss = model.fit(&data, fit).unwrap().loss()[0];
    assert!((loss as f32 - whole.rows[0]).abs() < 1e-5);
}

#[test]
fn settings_out_of_range_are_refused_by_name_before_a_device_is_asked() {
    let (alpha, gamma) = (Some(0.25), 2.0);
    let ce = Loss::CategoricalCrossentropy;
    for (spec, field) in [
        (Loss::huber(0.0), "delta"),
        (Loss::huber(f32::NAN), "delta"),
        (Loss::huber(f32::INFINITY), "delta"),
        (
            BinaryFocalCrossentropy {
                alpha: Some(1.5),
                gamma,
            }
            .into(),
            "alpha",
        ),
        (
            BinaryFocalCrossentropy { alpha, gamma: -1.0 }.into(),
            "gamma",
        ),
        (
            CategoricalFocalCrossentropy {
                alpha: 0.25,
                gamma: f32::NAN,
            }
            .into(),
            "gamma",
        ),
        (Loss::tversky(-0.1, 0.5), "alpha"),
        (Loss::tversky(0.5, f32::INFINITY), "beta"),
        (ce.clone().label_smoothing(1.1), "label_smoothing"),
        (ce.clone().label_smoothing(-0.1), "label_smoothing"),
        (
            Loss::MeanSquaredError.label_smoothing(0.1),
            "label_smoothing",
        ),
        (ce.ignore_class(1), "ignore_class"),
        (Loss::Hinge.from_logits(), "reads"),
        (Loss::Hinge.reduction(Reduction::None), "reduction"),
        (Loss::Dice.reduction(Reduction::Sum), "reduction"),
    ] {
        let spec: Loss = spec;
        let model = Sequential::new(2).dense(3, Softmax);
        let refused = model.compile_on(&Device::cpu(), spec.clone(), Adam::default(), []);
        let message = refused.err().map(|error| error.to_string());
        let message = message.unwrap_or_else(|| panic!("{spec:?} was taken"));
        assert!(message.contains(field), "{spec:?}: {message}");
    }
}
