//! What layers do with the graph that they record in: gradients by what is no leaf.

use kiln::nn::{Call, Parameter};
use kiln::prelude::*;
use kiln::{Shape, Tensor};

use crate::common::devices;

/// u(t) = 1 + t·N(t) with a network N of its own, and u′ + u beside it: `[batch, 2]`.
#[derive(Debug)]
struct Decay(Functional);

impl Layer for Decay {
    fn class(&self) -> &'static str {
        "Decay"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        Layer::parameters(&self.0, inputs)
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let t = &inputs[0];
        let u = 1.0 + t * Layer::forward(&self.0, inputs, call);
        let slope = call.graph.gradients(&u, &[t]).remove(0);
        (slope + &u).concat(&[&u], 1)
    }
}

#[test]
fn a_layer_takes_gradients_by_its_input_in_fit_and_predict() {
    let times: Vec<f32> = (0..64).map(|i| i as f32 / 32.0).collect();
    let nothing = Targets::Values {
        values: vec![0.0; 64],
        columns: 1,
    };
    let data = Dataset::new(times.clone(), 1, nothing).unwrap();
    for device in devices() {
        let network = Sequential::new(1).dense(16, Tanh).dense(1, Linear);
        let t = Input::named("t", 1);
        let both = Decay(network.into()).on(&t);
        let part = |at: usize| Lambda::new(move |x: &[Tensor]| x[0].slice(1, at, 1));
        let (residual, u) = (part(0).on(&both), part(1).on(&both));
        let model = Functional::new([&t], [("residual", &residual), ("u", &u)]).seed(3);
        let objective = Objective::new("residual", MeanSquaredError);
        let mut model = model
            .compile_with(&device, [objective], Adam::new(0.01))
            .unwrap();
        // A last batch of fewer rows, too.
        let fit = Fit::epochs(300).batch_size(24).silent();
        let history = model.fit(&data, fit).unwrap();
        assert!(history.loss()[299] < 1e-3, "{}", history.loss()[299]);
        let predicted = model.predict(&data).unwrap().output("u").unwrap();
        for (t, u) in times.iter().zip(predicted.values) {
            assert!((u - (-t).exp()).abs() < 0.02, "{u} at {t} on {device}");
        }
        let evaluation = model.evaluate(&data).unwrap();
        assert!(evaluation.loss < 1e-3, "{}", evaluation.loss);
    }
}

#[test]
fn gradients_by_a_tensor_that_is_no_leaf_stop_there() {
    let graph = Graph::new();
    let x = graph.parameter("x", [2], &[0.5, 2.0]);
    // A comparison has no gradient, and stops none.
    let place = x.greater(&graph.constant([], &[1.0]));
    let inner = x.square();
    let y = (&inner * &inner + &place) * &x;
    let found = graph.gradients(&y.sum(), &[&inner, &x, &place, &y]);
    let device = Device::cpu();
    let fetch = |program: Program, (at, y): (usize, &Tensor)| program.fetch(format!("{at}"), y);
    let program = found.iter().enumerate().fold(Program::new("p"), fetch);
    let plan = kiln::Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    // 2·x²·x; 5·x⁴ + place; x; 1.
    assert_eq!(session.read("0").unwrap(), [0.25, 16.0]);
    assert_eq!(session.read("1").unwrap(), [0.3125, 81.0]);
    assert_eq!(session.read("2").unwrap(), [0.5, 2.0]);
    assert_eq!(session.read("3").unwrap(), [1.0, 1.0]);
}

/// x times a table of its own that is looked up by integers.
#[derive(Debug)]
struct LookedUp;

impl Layer for LookedUp {
    fn class(&self) -> &'static str {
        "LookedUp"
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let graph = &call.graph;
        let table = graph.parameter("table", [3], &[1.0, 10.0, 100.0]);
        let order = graph.constant([2], &[2, 0]);
        // As long as the batch: of another size in each of the model's programs.
        let rows = inputs[0].shape().dims()[0];
        let batch = graph.variable("batch", TensorType::f32([rows, 1]), kiln::Initial::Zeros);
        inputs[0].clone() * table.take(0, &order) + batch
    }
}

#[test]
fn variables_of_layers_and_losses_have_names_of_their_own() {
    let x: Vec<f32> = (0..40).map(|i| (i as f32 * 0.7).sin()).collect();
    let targets = Targets::Values {
        values: x.chunks(2).map(|x| x[0] + x[1]).collect(),
        columns: 1,
    };
    let data = Dataset::new(x, 2, targets).unwrap();
    let half = || {
        Loss::from_fn("half", |y, target| {
            let half = y.graph().parameter("half", [1], &[0.5]);
            ((y - target).square() * half).sum_over(1)
        })
    };
    for device in devices() {
        let model = || {
            let model = Sequential::new(2).layer(LookedUp).layer(LookedUp);
            let model = model.dense(1, Linear).seed(1);
            let metric = half().into();
            model.compile_on(&device, half(), Adam::new(1e-4), [metric])
        };
        let mut first = model().unwrap();
        let predicted = first.predict(&[[1.0, 1.0]]).unwrap().values[0];
        let kernel = first.weights().unwrap()[0].values.clone();
        let expected = 1e4 * kernel[0] + kernel[1];
        assert!((predicted - expected).abs() <= 1e-4 * expected.abs());
        let fit = || Fit::epochs(3).batch_size(7).silent().validation(&data);
        first.fit(&data, fit()).unwrap();
        let evaluation = first.evaluate(&data).unwrap();
        assert!((evaluation.get("half").unwrap() - evaluation.loss).abs() < 1e-3 * evaluation.loss);
        // They are no part of what is kept, so that another session's, of another size, do not matter.
        let snapshot = first.snapshot().unwrap();
        let named = |name: &str| snapshot.variables.keys().any(|known| known.contains(name));
        assert!(named("dense/kernel") && !named("table") && !named("half"));
        let mut second = model().unwrap();
        second.restore(&snapshot).unwrap();
        assert_eq!(
            second.predict(&data).unwrap(),
            first.predict(&data).unwrap()
        );
    }
}

/// Rows of three numbers, and sums of them.
fn sums(rows: usize) -> (Vec<f32>, Vec<f32>) {
    let x: Vec<f32> = (0..3 * rows).map(|i| (i as f32 * 0.37).sin()).collect();
    let y = x.chunks(3).map(|x| x[0] - 2.0 * x[1] + x[2]).collect();
    (x, y)
}

#[test]
fn a_model_applied_in_a_graph_predicts_and_trains_as_by_fit() {
    let (x, y) = sums(24);
    let targets = Targets::Values {
        values: y.clone(),
        columns: 1,
    };
    let data = Dataset::new(x.clone(), 3, targets).unwrap();
    for device in devices() {
        let model = || {
            let model = Sequential::new(3).dense(5, Tanh).dense(1, Linear).seed(4);
            model.compile_on(&device, MeanSquaredError, Sgd::new(0.1), [])
        };
        let (mut fitted, mut own) = (model().unwrap(), model().unwrap());
        let graph = Graph::new();
        let rows = graph.input("rows", [24, 3]);
        let target = graph.input("target", [24, 1]);
        let applied = own.apply(&graph, &rows).unwrap();
        let loss = (&applied.outputs[0] - target).square().mean();
        let sgd = Sgd::new(0.1);
        let clock = graph.clock("clock", 24, sgd.rates());
        let updates = sgd.minimize(&loss, &applied.trainable(), &clock);
        let step = Program::new("step").update(&updates);
        let predict = Program::new("predict").fetch("y", &applied.outputs[0]);
        let plan = kiln::Plan::compile(&graph, device.target(), [step, predict]).unwrap();
        let mut session = device.open(&plan).unwrap();
        session.write("rows", &x).unwrap();
        session.write("target", &y).unwrap();
        session.run("predict", 1).unwrap();
        let near = |found: &[f32], expected: &[f32]| {
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
            }
        };
        near(
            &session.read("y").unwrap(),
            &own.predict(&data).unwrap().values,
        );
        session.run("step", 30).unwrap();
        own.take_weights(&applied, &mut session).unwrap();
        let fit = Fit::epochs(30).batch_size(24).shuffle(false).silent();
        fitted.fit(&data, fit).unwrap();
        for (own, fitted) in own.weights().unwrap().iter().zip(fitted.weights().unwrap()) {
            assert_eq!(own.name, fitted.name);
            near(&own.values, &fitted.values);
        }
        near(
            &own.predict(&data).unwrap().values,
            &fitted.predict(&data).unwrap().values,
        );
    }
}

#[test]
fn models_in_one_graph_share_weights_or_have_their_own_and_frozen_layers_stay() {
    let network = Sequential::new(3)
        .layer(Dense::new(4).named("frozen").trainable(false))
        .dense(1, Linear)
        .seed(2);
    let network = Functional::from(network);
    let graph = Graph::new();
    let (x, two) = (graph.input("x", [5, 3]), graph.input("two", [2, 3]));
    let online = network.apply(&graph, &x).unwrap();
    let again = online.on(&two).unwrap();
    let target = network.apply(&graph, [x.clone()]).unwrap();
    assert_eq!(again.outputs[0].shape().dims(), [2, 1]);
    let names = |named: Vec<(&str, &Tensor)>| -> Vec<String> {
        named
            .into_iter()
            .map(|(name, _)| name.to_string())
            .collect()
    };
    assert_eq!(names(online.weights()), names(again.weights()));
    assert_eq!(names(online.trainable()), ["dense/kernel", "dense/bias"]);
    assert_eq!(
        names(target.weights()),
        [
            "frozen/kernel.1",
            "frozen/bias.1",
            "dense/kernel.1",
            "dense/bias.1"
        ]
    );
    let difference = &online.outputs[0] - &target.outputs[0];
    let loss = (again.outputs[0].sum() + difference.sum()).square();
    let sgd = Sgd::new(0.01);
    let clock = graph.clock("clock", 5, sgd.rates());
    let updates = sgd.minimize(&loss, &online.trainable(), &clock);
    let programs = [
        Program::new("step").update(&updates),
        Program::new("p").fetch("difference", &difference),
    ];
    let device = Device::cpu();
    let plan = kiln::Plan::compile(&graph, device.target(), programs).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.write("x", &sums(5).0).unwrap();
    session.write("two", &sums(2).0).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(session.read("difference").unwrap(), [0.0; 5]);
    let frozen = session.read("frozen/kernel").unwrap();
    let kept = session.read("dense/kernel.1").unwrap();
    session.run("step", 3).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(session.read("frozen/kernel").unwrap(), frozen);
    assert_eq!(session.read("dense/kernel.1").unwrap(), kept);
    assert_ne!(session.read("dense/kernel").unwrap(), kept);
    assert_ne!(session.read("difference").unwrap(), [0.0; 5]);
}

#[test]
fn a_model_in_training_in_a_graph_drops_and_keeps_its_running_means() {
    let network = Sequential::new(3)
        .layer(BatchNormalization {
            momentum: 0.5,
            ..Default::default()
        })
        .layer(Dropout::new(0.5));
    let network = Functional::from(network);
    let graph = Graph::new();
    let x = graph.input("x", [64, 3]);
    let applied = network.apply(&graph, &x).unwrap();
    let clock = graph.clock("clock", 64, Sgd::new(0.1).rates());
    let training = applied.in_training(&x, &clock).unwrap();
    assert!(applied.updates.is_empty() && !training.updates.is_empty());
    let updates = [&[clock.indices.clone()][..], &training.updates].concat();
    let programs = [
        Program::new("step")
            .update(&updates)
            .fetch("dropped", &training.outputs[0]),
        Program::new("p").fetch("y", &applied.outputs[0]),
    ];
    let device = Device::cpu();
    let plan = kiln::Plan::compile(&graph, device.target(), programs).unwrap();
    let mut session = device.open(&plan).unwrap();
    let x: Vec<f32> = sums(64).0.iter().map(|x| x + 3.0).collect();
    session.write("x", &x).unwrap();
    session.run("p", 1).unwrap();
    let before = session.read("y").unwrap();
    session.run("step", 20).unwrap();
    let dropped = session.read("dropped").unwrap();
    let zeros = dropped.iter().filter(|y| **y == 0.0).count();
    assert!((60..132).contains(&zeros), "{zeros} of 192");
    session.run("p", 1).unwrap();
    let after = session.read("y").unwrap();
    let mean = |y: &[f32]| y.iter().sum::<f32>() / y.len() as f32;
    assert!(mean(&before) > 2.5 && mean(&after).abs() < 0.1);
}
