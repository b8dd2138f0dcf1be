//! Facts about models of several inputs and outputs: losses, weights, metrics, names, gradients, files.

use crate::common;

use kiln::Plan;
use kiln::nn::Activation;
use kiln::prelude::*;
use kiln::train::{Curve, Objective};

/// The error's sentence holds every one of the words.
#[track_caller]
fn says<T>(outcome: Result<T>, words: &[&str]) {
    let message = outcome.err().expect("an error").to_string();
    for word in words {
        assert!(message.contains(word), "`{message}` does not say `{word}`");
    }
}

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let number = |i: usize| (((i + seed) * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
    (0..count).map(number).collect()
}

const ROWS: usize = 50;

/// Two inputs through one shared layer, two outputs.
fn network() -> Functional {
    let (a, b) = (Input::named("a", 3), Input::named("b", [2, 3]));
    let shared = Dense::new(4).activation(Tanh).named("shared");
    let flat = Flatten.on(&shared.on(&b));
    let joined = Concatenate::default().on([&shared.on(&a), &flat]);
    let price = Dense::new(2).named("price").on(&joined);
    let kind = Dense::new(3).activation(Softmax).named("kind").on(&joined);
    Functional::new([&a, &b], [&price, &kind]).seed(5)
}

fn price() -> Objective {
    Objective::new("price", MeanSquaredError)
}

fn kind() -> Objective {
    Objective::new("kind", SparseCategoricalCrossentropy)
}

fn compile(objectives: impl IntoIterator<Item = Objective>) -> Result<Model> {
    network().compile_with(&Device::cpu(), objectives, Sgd::new(0.1))
}

fn values() -> Targets {
    Targets::Values {
        values: numbers(ROWS * 2, 7),
        columns: 2,
    }
}

fn labels() -> Targets {
    Targets::Labels {
        labels: (0..ROWS).map(|i| (i * i % 3) as u32).collect(),
        classes: 3,
    }
}

fn inputs() -> [(&'static str, (Vec<f32>, usize)); 2] {
    [
        ("a", (numbers(ROWS * 3, 1), 3)),
        ("b", (numbers(ROWS * 6, 2), 6)),
    ]
}

fn data() -> Dataset {
    Dataset::from_inputs(inputs(), [("price", values()), ("kind", labels())]).unwrap()
}

#[test]
fn the_total_loss_is_the_weighted_sum_and_each_output_is_told_by_name() {
    let objectives = [price().weight(0.25), kind().metric(Accuracy)];
    let mut model = compile(objectives).unwrap();
    let evaluation = model.evaluate(&data()).unwrap();
    let names: Vec<&str> = evaluation
        .metrics
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["price_loss", "kind_loss", "kind_accuracy"]);
    let get = |name: &str| evaluation.get(name).unwrap();
    let sum = 0.25 * get("price_loss") + get("kind_loss");
    assert!((get("loss") - sum).abs() < 1e-6 * sum);

    // By hand, from the predictions.
    let predicted = model.predict(&data()).unwrap();
    let (Targets::Values { values, .. }, Targets::Labels { labels, .. }) = (values(), labels())
    else {
        unreachable!()
    };
    let price = predicted.output("price").unwrap();
    let squares = price.values.iter().zip(&values);
    let squares: f64 = squares.map(|(y, t)| f64::from(y - t).powi(2)).sum();
    assert!((get("price_loss") - squares / (2 * ROWS) as f64).abs() < 1e-6);
    let kind = predicted.output("kind").unwrap();
    let logs = kind.rows().zip(&labels);
    let logs: f64 = logs
        .map(|(row, &label)| -f64::from(row[label as usize]).ln())
        .sum();
    assert!((get("kind_loss") - logs / ROWS as f64).abs() < 1e-6);
    let right = kind
        .classes()
        .iter()
        .zip(&labels)
        .filter(|(a, b)| **a == **b as usize)
        .count();
    assert!((get("kind_accuracy") - right as f64 / ROWS as f64).abs() < 1e-6);
}

#[test]
fn training_lowers_every_loss_and_the_history_has_their_series() {
    let mut model = compile([price(), kind().metric(Accuracy)]).unwrap();
    let data = data();
    let fit = Fit::epochs(60).batch_size(8).validation_split(0.2).silent();
    let history = model.fit(&data, fit).unwrap();
    for name in ["loss", "price_loss", "kind_loss"] {
        let series = history.get(name).unwrap();
        assert_eq!(series.len(), 60);
        assert!(
            series[59] < series[0],
            "{name}: {} to {}",
            series[0],
            series[59]
        );
    }
    let get = |name: &str| history.get(name).unwrap();
    assert_eq!(get("val_kind_accuracy").len(), 60);
    let total = get("price_loss")[3] + get("kind_loss")[3];
    assert!((get("loss")[3] - total).abs() < 1e-6);
}

#[test]
fn an_output_without_an_objective_needs_no_targets() {
    let mut model = compile([kind()]).unwrap();
    let data = Dataset::from_inputs(inputs(), [("kind", labels())]).unwrap();
    let before = model.weights().unwrap();
    let history = model.fit(&data, Fit::epochs(2).silent()).unwrap();
    says(history.get("kind_loss"), &["kind_loss", "there is: loss"]);
    let after = model.weights().unwrap();
    for (before, after) in before.iter().zip(&after) {
        let same = before.values == after.values;
        assert_eq!(same, before.name.starts_with("price/"), "{}", before.name);
    }
    assert_eq!(model.predict(&data).unwrap().columns, 5);
}

#[test]
fn a_shared_layer_has_the_sum_of_its_calls_gradients() {
    let (a, b) = (Input::named("a", 2), Input::named("b", 2));
    let shared = Dense::new(1).without_bias().named("shared");
    let y = Add.on([&shared.on(&a), &shared.on(&b)]);
    let model = Functional::new([&a, &b], &y);
    assert_eq!(model.parameter_count(), 2);
    let mut model = model
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    let rows = [("a", &[1.0, 2.0][..]), ("b", &[10.0, 20.0][..])];
    let gradients = model.gradients(&rows, |y| y[0].clone()).unwrap();
    assert_eq!(gradients.weights[0].values, [11.0, 22.0]);
    let kernel = &model.weights().unwrap()[0].values;
    assert_eq!(gradients.inputs[0].values, *kernel);
    assert_eq!(gradients.inputs[1].values, *kernel);
}

#[test]
fn gradients_of_a_trained_model_are_those_of_differences() {
    let mut model = compile([price(), kind()]).unwrap();
    model.fit(&data(), Fit::epochs(3).silent()).unwrap();
    let (a, b) = (numbers(6, 3), numbers(12, 4));
    let of = |y: &[Tensor]| y[1].slice(1, 1, 1).add(&y[0].square().slice(1, 0, 1));
    let gradients = model.gradients(&[("a", &a[..]), ("b", &b)], of).unwrap();
    assert_eq!(gradients.value.len(), 2);
    assert_eq!(gradients.inputs[1].shape.dims(), [2, 2, 3]);
    let mut value = |a: &[f32], b: &[f32]| -> f64 {
        let predicted = model.predict(&[("a", a), ("b", b)]).unwrap();
        predicted
            .rows()
            .map(|y| f64::from(y[3]) + f64::from(y[0]).powi(2))
            .sum()
    };
    let step = 1e-2;
    for i in 0..b.len() {
        let (mut up, mut down) = (b.clone(), b.clone());
        up[i] += step;
        down[i] -= step;
        let difference = (value(&a, &up) - value(&a, &down)) / (2.0 * f64::from(step));
        let gradient = f64::from(gradients.inputs[1].values[i]);
        assert!(
            (gradient - difference).abs() < 1e-3,
            "{gradient} {difference}"
        );
    }
}

#[test]
fn weights_of_rows_multiply_their_losses_and_not_the_metrics() {
    let weights: Vec<f32> = (0..ROWS).map(|i| (i % 3) as f32).collect();
    let weighted = data().with_weights(weights.clone()).unwrap();
    let mut model = compile([price(), kind().metric(Accuracy)]).unwrap();
    let plain = model.evaluate(&data()).unwrap();
    let told = model.evaluate(&weighted).unwrap();
    assert_eq!(told.get("kind_accuracy"), plain.get("kind_accuracy"));
    let (Targets::Values { values, .. }, predicted) = (values(), model.predict(&data()).unwrap())
    else {
        unreachable!()
    };
    let price = predicted.output("price").unwrap();
    let rows = price.rows().zip(values.chunks(2)).zip(&weights);
    let loss: f64 = rows
        .map(|((y, t), w)| {
            let square = |i: usize| f64::from(y[i] - t[i]).powi(2);
            f64::from(*w) * (square(0) + square(1)) / 2.0
        })
        .sum();
    assert!((told.get("price_loss").unwrap() - loss / ROWS as f64).abs() < 1e-6);

    // Rows of no weight train nothing, wherever a shuffle puts them.
    let (train, _) = weighted.split(0.3, 1).unwrap();
    assert_eq!(train.weights().unwrap().len(), train.rows());
    let still = data().with_weights(vec![0.0; ROWS]).unwrap();
    let before = model.weights().unwrap();
    model.fit(&still, Fit::epochs(2).silent()).unwrap();
    assert_eq!(model.weights().unwrap(), before);
}

#[test]
fn weights_of_classes_are_those_of_their_rows() {
    let targets = Targets::Labels {
        labels: (0..ROWS).map(|i| u32::from(i % 3 == 0)).collect(),
        classes: 2,
    };
    let data = Dataset::new(numbers(ROWS * 3, 1), 3, targets).unwrap();
    let model = || {
        let model = Sequential::new(3).dense(4, Tanh).dense(1, Sigmoid);
        model
            .compile_on(
                &Device::cpu(),
                BinaryCrossentropy,
                Adam::new(0.01),
                [Accuracy],
            )
            .unwrap()
    };
    let fit = || Fit::epochs(3).batch_size(8).silent();
    let (mut by_class, mut by_row, mut plain) = (model(), model(), model());
    let told = by_class
        .fit(&data, fit().class_weight([(0, 0.5), (1, 3.0)]))
        .unwrap();
    let rows = (0..ROWS).map(|i| if i % 3 == 0 { 3.0 } else { 0.5 });
    let weighted = data.clone().with_weights(rows.collect()).unwrap();
    let same = by_row.fit(&weighted, fit()).unwrap();
    assert_eq!(told.loss(), same.loss());
    assert_eq!(by_class.weights().unwrap(), by_row.weights().unwrap());
    let other = plain.fit(&data, fit()).unwrap();
    assert!(other.loss() != told.loss());

    let mut model = model();
    let mut refused = |weights: &[(u32, f32)], words: &[&str]| {
        let fit = Fit::epochs(1).class_weight(weights.iter().copied());
        says(model.fit(&data, fit.silent()), words);
    };
    refused(&[(2, 1.0)], &["class_weight", "class 2", "0 to 1"]);
    refused(&[(0, f32::NAN)], &["class_weight", "finite", "NaN"]);
    refused(&[(1, -1.0)], &["class_weight", "at least 0", "-1"]);
    refused(&[(1, 1.0), (1, 2.0)], &["class_weight", "class 1 twice"]);
}

#[test]
fn losses_and_metrics_of_ones_own_are_closures_over_rows() {
    let cubes = Loss::from_fn("cubes", |y, target| {
        let distance = y.sub(target).abs();
        distance.mul(&distance.square()).sum_over(1)
    });
    let largest = Metric::from_fn("largest", |y, _| {
        y.slice(1, 0, 1).maximum(&y.slice(1, 1, 1)).sum_over(1)
    });
    let own = Objective::new("price", cubes).metric(largest);
    let mut model = compile([own, kind()]).unwrap();
    let evaluation = model.evaluate(&data()).unwrap();
    let Targets::Values { values, .. } = values() else {
        unreachable!()
    };
    let predicted = model.predict(&data()).unwrap().output("price").unwrap();
    let cubes = predicted.values.iter().zip(&values);
    let cubes: f64 = cubes.map(|(y, t)| f64::from((y - t).abs()).powi(3)).sum();
    assert!((evaluation.get("price_loss").unwrap() - cubes / ROWS as f64).abs() < 1e-6);
    let largest: f64 = predicted.rows().map(|y| f64::from(y[0].max(y[1]))).sum();
    assert!((evaluation.get("price_largest").unwrap() - largest / ROWS as f64).abs() < 1e-6);
    let history = model.fit(&data(), Fit::epochs(20).silent()).unwrap();
    let losses = history.get("price_loss").unwrap();
    assert!(losses[19] < losses[0]);
    says(
        model.save("nowhere"),
        &["objectives", "`cubes`", "save_weights"],
    );

    let wrong = Objective::new("price", Loss::from_fn("wrong", |y, _| y.clone()));
    says(
        compile([wrong]),
        &["wrong", "a number for each row", "functional.rs"],
    );
}

#[test]
fn a_saved_model_of_several_outputs_is_the_same_to_the_bit() {
    let objectives = || [price().weight(0.5), kind().metric(Accuracy)];
    let mut model = compile(objectives()).unwrap();
    model.fit(&data(), Fit::epochs(3).silent()).unwrap();
    let path = std::env::temp_dir().join(format!("kiln-functional-{}", std::process::id()));
    model.save(&path).unwrap();
    let mut loaded = Model::load_on(&Device::cpu(), &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let bits = |model: &mut Model| -> Vec<u32> {
        let predicted = model.predict(&data()).unwrap();
        predicted.values.iter().map(|y| y.to_bits()).collect()
    };
    assert_eq!(bits(&mut loaded), bits(&mut model));
    assert_eq!(loaded.summary(), model.summary());
    let evaluated = |model: &mut Model| model.evaluate(&data()).unwrap();
    assert_eq!(evaluated(&mut loaded), evaluated(&mut model));
}

#[test]
fn the_order_in_which_inputs_are_given_does_not_matter() {
    let mut model = compile([price(), kind()]).unwrap();
    let [a, b] = inputs();
    let turned = Dataset::from_inputs(
        [b.clone(), a.clone()],
        [("kind", labels()), ("price", values())],
    )
    .unwrap();
    assert_eq!(
        model.evaluate(&turned).unwrap(),
        model.evaluate(&data()).unwrap()
    );
    let predicted = model.predict(&data()).unwrap();
    assert_eq!(model.predict(&turned).unwrap(), predicted);
    assert_eq!(
        model.predict(&[("b", &b.1.0[..]), ("a", &a.1.0)]).unwrap(),
        predicted
    );
}

#[test]
fn a_summary_tells_what_is_connected_to_what() {
    let summary = network().summary();
    let line = |start: &str| {
        let found = summary.lines().find(|line| line.starts_with(start));
        found
            .unwrap_or_else(|| panic!("no {start} in\n{summary}"))
            .to_string()
    };
    assert!(line("a (InputLayer)").contains("(any, 3)"));
    assert!(line("concatenate (").ends_with("shared, flatten"));
    assert!(line("price (Dense, linear)").contains("(any, 2)"));
    assert_eq!(summary.matches("shared (Dense, tanh)").count(), 2);
    assert!(summary.contains("Total parameters: 81 "), "{summary}");
}

#[test]
fn what_does_not_fit_several_inputs_and_outputs_is_refused_in_words() {
    says(compile([]), &["objectives", "at least one"]);
    says(compile([price(), price()]), &["`price`", "twice"]);
    let other = Objective::new("other", MeanSquaredError);
    says(compile([other]), &["output", "`other`", "price, kind"]);
    says(compile([price().weight(-1.0)]), &["loss_weights", "-1"]);
    says(
        compile([kind().metric(Accuracy).metric(Accuracy)]),
        &["metrics", "accuracy", "twice"],
    );
    let single = network().compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), []);
    says(single, &["loss", "compile_with", "price, kind"]);

    let mut model = compile([price(), kind()]).unwrap();
    let [a, b] = inputs();
    let mut refused = |inputs: Vec<(&'static str, (Vec<f32>, usize))>,
                       targets: Vec<(&'static str, Targets)>,
                       words: &[&str]| {
        let data = Dataset::from_inputs(inputs, targets).unwrap();
        says(model.evaluate(&data), words);
    };
    let both = || vec![("price", values()), ("kind", labels())];
    refused(vec![a.clone()], both(), &["`b` is missing"]);
    refused(
        vec![a.clone(), ("c", b.1.clone())],
        both(),
        &["input", "`c`", "a, b"],
    );
    refused(
        vec![("a", b.1.clone()), b.clone()],
        both(),
        &["`a` has 6", "[3]"],
    );
    refused(
        vec![a.clone(), b.clone()],
        vec![("price", values())],
        &["`kind`", "from_inputs"],
    );
    let third = vec![("price", values()), ("kind", labels()), ("x", labels())];
    refused(vec![a.clone(), b.clone()], third, &["output", "`x`"]);
    let swapped = vec![("price", values()), ("kind", values())];
    refused(
        vec![a.clone(), b.clone()],
        swapped,
        &["`kind`", "integer labels"],
    );

    says(model.predict(&[("a", &a.1.0[..])]), &["`b` is missing"]);
    says(
        model.predict(&[("a", &a.1.0[..]), ("b", &b.1.0[..6])]),
        &["`b` has 1 rows"],
    );
    says(
        model.predict(&[("a", &a.1.0[..]), ("b", &b.1.0[..7])]),
        &["`b`", "whole rows of 6"],
    );
    says(
        model.predict(&data()).unwrap().output("z"),
        &["output", "`z`"],
    );
    let fit = Fit::epochs(1).class_weight([(0, 1.0)]).silent();
    says(
        model.fit(&data(), fit),
        &["class_weight", "one trained output"],
    );

    let none: [(&str, (Vec<f32>, usize)); 0] = [];
    says(Dataset::from_inputs(none, [("y", labels())]), &["no input"]);
    says(
        Dataset::from_inputs([a.clone(), a.clone()], []),
        &["two parts", "`a`"],
    );
    says(
        Dataset::from_inputs([a.clone(), ("b", (b.1.0[..6].to_vec(), 6))], []),
        &["`b` has 1 rows"],
    );
    says(data().with_weights(vec![1.0]), &["1 weights", "50 rows"]);
    says(data().with_weights(vec![f32::NAN; ROWS]), &["row 0", "NaN"]);
}

/// Two outputs of a tiny model that hand their inputs on, so that every figure is known.
fn passing() -> (Model, Functional) {
    use kiln::nn::Symbol;
    let (a, b) = (Input::named("a", 1), Input::named("b", 1));
    let one = |name: &str, x: &Symbol| {
        let dense = Dense::new(1).without_bias();
        dense
            .kernel_initializer(Initializer::Constant(1.0))
            .named(name)
            .on(x)
    };
    let network = Functional::new([&a, &b], [&one("p", &a), &one("q", &b)]);
    let objective = |name: &str| {
        Objective::new(name, MeanSquaredError)
            .metric(Metric::MeanAbsoluteError)
            .weighted_metric(Metric::MeanAbsoluteError)
            .weighted_metric(BinaryAccuracy(0.5))
            .weighted_metric(Metric::Auc(Curve::Roc))
    };
    let objectives = [objective("p"), objective("q")];
    let still = Sgd::new(0.0);
    let model = network
        .clone()
        .compile_with(&Device::cpu(), objectives, still);
    let model = model.unwrap();
    (model, network)
}

#[test]
fn each_output_has_weights_of_its_own_and_weighted_metrics_divide_by_their_sum() {
    let a = [0.9f32, 0.2, 0.6, 0.4, 0.7];
    let b = [0.1f32, 0.8, 0.3, 0.9, 0.2];
    let t = [1.0f32, 0.0, 0.0, 1.0, 1.0];
    let w = [2.0f32, 1.0, 0.0, 3.0, 0.5];
    let values = || Targets::Values {
        values: t.to_vec(),
        columns: 1,
    };
    let inputs = [("a", (a.to_vec(), 1)), ("b", (b.to_vec(), 1))];
    let plain = Dataset::from_inputs(inputs, [("p", values()), ("q", values())]).unwrap();
    let weighted = plain.clone().with_output_weights("p", w.to_vec()).unwrap();
    let (mut model, _) = passing();
    let fit = Fit::epochs(1).batch_size(2).silent();
    let history = model.fit(&weighted, fit).unwrap();
    let told = model.evaluate(&weighted).unwrap();
    let ones = [1.0f32; 5];
    let f = f64::from;
    for (name, y, w) in [("p", a, w), ("q", b, ones)] {
        let error = |i: usize| f((y[i] - t[i]).abs());
        let sum: f64 = w.iter().copied().map(f).sum();
        let loss = (0..5).map(|i| f(w[i]) * error(i).powi(2)).sum::<f64>() / 5.0;
        let mae = (0..5).map(error).sum::<f64>() / 5.0;
        let weighted_mae = (0..5).map(|i| f(w[i]) * error(i)).sum::<f64>() / sum;
        let right = |i: usize| f64::from(u8::from((y[i] > 0.5) == (t[i] > 0.5)));
        let accuracy = (0..5).map(|i| f(w[i]) * right(i)).sum::<f64>() / sum;
        for (figure, expected) in [
            ("loss", loss),
            ("mean_absolute_error", mae),
            ("weighted_mean_absolute_error", weighted_mae),
            ("binary_accuracy", accuracy),
        ] {
            let figure = format!("{name}_{figure}");
            for found in [told.get(&figure), history.epochs[0].get(&figure)] {
                let found = found.unwrap_or_else(|| panic!("no {figure} in {told}"));
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{figure}: {found} for {expected}"
                );
            }
        }
    }
    // A row of weight 0 is not there for the area either.
    let rows: Vec<usize> = (0..5).filter(|&i| w[i] > 0.0).collect();
    let mut without = plain.select(&rows).unwrap();
    let kept: Vec<f32> = rows.iter().map(|&i| w[i]).collect();
    without = without.with_output_weights("p", kept).unwrap();
    let other = model.evaluate(&without).unwrap();
    assert_eq!(told.get("p_auc"), other.get("p_auc"));
    // Weights of a row for all outputs are those of each.
    let all = plain.clone().with_weights(w.to_vec()).unwrap();
    let all = model.evaluate(&all).unwrap();
    let both = weighted.with_output_weights("q", w.to_vec()).unwrap();
    assert_eq!(model.evaluate(&both).unwrap(), all);

    let unknown = plain.clone().with_output_weights("r", w.to_vec()).unwrap();
    let refused = model.evaluate(&unknown).unwrap_err().to_string();
    assert!(refused.contains("`r`"), "{refused}");
    assert!(
        plain
            .clone()
            .with_output_weights("p", vec![1.0; 4])
            .is_err()
    );
    assert!(plain.with_output_weights("p", vec![f32::NAN; 5]).is_err());
}

/// The mean of (|∂y/∂x| − 1)² over rows, as a gradient penalty has it, and its derivatives by both matrices.
fn slope_penalty(activation: Activation, w: &[f32]) -> (f64, Vec<f32>) {
    let graph = Graph::new();
    let x = graph.parameter("x", [3, 2], &[0.3, -0.7, 1.1, 0.4, -0.5, 0.9]);
    let inner = graph.parameter("inner", [2, 4], &w[..8]);
    let outer = graph.parameter("outer", [4, 1], &w[8..]);
    let y = activation.apply(&x.matmul(&inner)).matmul(&outer);
    let slope = graph.gradients(&y.sum(), &[&x]).remove(0);
    let off = slope.square().sum_over(1).sqrt().offset(-1.0);
    let penalty = off.square().mean();
    let derivatives = graph.gradients(&penalty, &[&inner, &outer]);
    let program = Program::new("p").fetch("value", &penalty);
    let program = program.fetch("d.inner", &derivatives[0]);
    let program = program.fetch("d.outer", &derivatives[1]);
    let device = Device::reference();
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    let read = |session: &mut kiln::Session, name: &str| session.read(name).unwrap();
    let derivatives = [read(&mut session, "d.inner"), read(&mut session, "d.outer")];
    (
        f64::from(read(&mut session, "value")[0]),
        derivatives.concat(),
    )
}

#[test]
fn gradients_of_gradients_are_those_of_differences_after_every_activation() {
    let w = [
        0.31, -0.62, 0.83, 0.44, -0.75, 0.56, 0.27, -0.98, 0.71, -0.52, 0.93, 0.64,
    ];
    let mut tried = 0;
    for (_, activation) in common::known(Activation::from_name) {
        // Over rows: their derivatives are ops without a rule of their own.
        if matches!(
            activation,
            Activation::Softmax | Activation::LogSoftmax | Activation::Sparsemax | Activation::Glu
        ) {
            continue;
        }
        let (_, derivatives) = slope_penalty(activation, &w);
        for (at, derivative) in derivatives.iter().enumerate() {
            let moved = |by: f32| {
                let mut w = w;
                w[at] += by;
                slope_penalty(activation, &w).0
            };
            let h = 1.0 / 256.0;
            let difference = ((moved(h) - moved(-h)) / (2.0 * f64::from(h))) as f32;
            assert!(
                (derivative - difference).abs() < 2e-3 * difference.abs().max(0.5),
                "{activation}, weight {at}: {derivative}, {difference} by differences"
            );
        }
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
}

/// f″ of a function at some x, in f32.
fn second_derivatives(device: &Device, x: &[f32], of: impl Fn(&Tensor) -> Tensor) -> Vec<f32> {
    let graph = Graph::new();
    let at = graph.parameter("x", [x.len()], x);
    let slope = graph.gradients(&of(&at).sum(), &[&at]).remove(0);
    let bend = graph.gradients(&slope.sum(), &[&at]).remove(0);
    let program = Program::new("p").fetch("bend", &bend);
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    session.read("bend").unwrap()
}

#[test]
fn second_derivatives_far_out_and_at_zero_are_no_zero_times_infinity() {
    let far = [
        -3e38, -1e30, -2e19, -1e10, -1e8, -30.0, 30.0, 1e8, 1e10, 2e19, 1e30, 3e38,
    ];
    let _alone = common::alone();
    for device in common::devices() {
        type Of = fn(&Tensor) -> Tensor;
        let straight: [(&str, Of); 8] = [
            ("gelu", Tensor::gelu),
            ("gelu_tanh", Tensor::gelu_tanh),
            ("erf", Tensor::erf),
            ("silu", Tensor::silu),
            ("mish", Tensor::mish),
            ("softsign", Tensor::softsign),
            ("squareplus", |x| x.squareplus(4.0)),
            ("tanh_shrink", Tensor::tanh_shrink),
        ];
        for (name, of) in straight {
            for (x, bend) in far.iter().zip(second_derivatives(&device, &far, of)) {
                assert!(bend.abs() < 1e-3, "{name} at {x} on {device}: {bend}");
            }
        }
        // 2φ(0) = √(2/π).
        for of in [Tensor::gelu, Tensor::gelu_tanh] {
            let bend = second_derivatives(&device, &[0.0], of)[0];
            assert!((bend - 0.797_884_6).abs() < 1e-6, "{bend}");
        }
        let ones = second_derivatives(&device, &[0.0, 2.0], |x| x.pow(0.0));
        assert_eq!(ones, [0.0; 2]);
        let cubes = second_derivatives(&device, &[0.0, 2.0], |x| x.pow(3.0));
        assert!(
            cubes[0] == 0.0 && (cubes[1] - 12.0).abs() < 1e-4,
            "{cubes:?}"
        );
    }
}
