//! Facts about layers: their shapes, their names, layers of a user's own, and what is refused.

use kiln::nn::{
    ActivityRegularization, Call, Config, Constraint, LayerRef, Parameter, Regularizer, Symbol,
};
use kiln::prelude::*;
use kiln::{Initial, Plan, Shape, TensorType};

/// The error's sentence holds every one of the words.
#[track_caller]
fn says<T>(outcome: Result<T>, words: &[&str]) {
    let message = outcome.err().expect("an error").to_string();
    for word in words {
        assert!(message.contains(word), "`{message}` does not say `{word}`");
    }
}

fn compiled(model: impl Into<Functional>) -> Result<Model> {
    let model: Functional = model.into();
    model.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
}

fn rows(count: usize, columns: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
    (0..count * columns).map(number).collect()
}

fn data(count: usize, columns: usize, targets: usize) -> Dataset {
    let values = rows(count, targets);
    let targets = Targets::Values {
        values,
        columns: targets,
    };
    Dataset::new(rows(count, columns), columns, targets).unwrap()
}

/// y = factor·x, with a penalty on the factor and the step counted beside it.
#[derive(Debug)]
struct Gain {
    penalty: f32,
}

impl Layer for Gain {
    fn class(&self) -> &'static str {
        "Gain"
    }

    fn parameters(&self, inputs: &[Shape]) -> Vec<Parameter> {
        let columns = inputs[0].dims()[0];
        vec![
            Parameter::new("factor", [columns], Initializer::Constant(2.0)),
            Parameter::new("seen", [1], Initializer::Zeros).state(),
        ]
    }

    fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
        let factor = call.weight("factor");
        if self.penalty > 0.0 {
            call.add_loss(&factor.square().sum().scale(self.penalty));
        }
        if let Some(clock) = call.clock.as_ref().filter(|_| call.training) {
            // Gradient descent on −1 with the clock's rate counts rates.
            let one = call.graph.constant([1], &[-1.0]);
            let seen = call.weight("seen");
            let count = Sgd::default().updates(&[("seen", &seen, &one)], clock);
            call.updates.extend(count);
        }
        inputs[0].mul(&factor)
    }
}

#[test]
fn dense_works_on_the_last_dimension_of_any_rank() {
    let wide = Sequential::new([2, 3]).dense(4, Tanh).seed(1);
    let flat = Sequential::new(3).dense(4, Tanh).seed(1);
    let x = rows(10, 6);
    let wide = compiled(wide).unwrap().predict(&x).unwrap();
    let flat = compiled(flat).unwrap().predict(&x).unwrap();
    assert_eq!(wide.columns, 8);
    assert_eq!(wide.values, flat.values);
}

#[test]
fn layers_that_move_elements_move_them_as_keras_does() {
    let x: Vec<f32> = (0..6).map(|i| i as f32).collect();
    let predict = |model: Sequential| {
        let mut model = compiled(model).unwrap();
        model.predict(&x).unwrap().values.to_vec()
    };
    let turned = Sequential::new([2, 3]).layer(Permute::new([2, 1]));
    assert_eq!(predict(turned), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let shaped = Sequential::new(6)
        .layer(Reshape::new([2, -1]))
        .layer(Permute::new([2, 1]))
        .layer(Flatten);
    assert_eq!(predict(shaped), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let repeated = Sequential::new(6)
        .layer(RepeatVector::new(2))
        .layer(Flatten);
    assert_eq!(predict(repeated), [x.clone(), x.clone()].concat());
    let scaled = Sequential::new(6).layer(Rescaling {
        scale: 0.5,
        offset: -1.0,
    });
    assert_eq!(predict(scaled), [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]);
    let lambda = Sequential::new(6).layer(Lambda::new(|x| x[0].square().slice(1, 2, 3)));
    assert_eq!(predict(lambda), [4.0, 9.0, 16.0]);
    let relu = Sequential::new(6).layer(Rescaling::new(-1.0)).layer(Relu);
    assert_eq!(predict(relu), [0.0; 6]);
}

#[test]
fn layers_that_merge_take_their_inputs_element_by_element() {
    let merged = |merge: fn([&Symbol; 3]) -> Symbol| {
        let x = Input::named("x", 3);
        let doubled = Rescaling::new(2.0).on(&x);
        let turned = Rescaling {
            scale: -1.0,
            offset: 3.0,
        }
        .on(&x);
        let mut model = compiled(Functional::new(&x, &merge([&x, &doubled, &turned]))).unwrap();
        model.predict(&[0.0, 2.0, -4.0]).unwrap().values.to_vec()
    };
    // x, 2x and 3 − x: (0, 0, 3), (2, 4, 1), (−4, −8, 7).
    assert_eq!(merged(|all| Add.on(all)), [3.0, 7.0, -5.0]);
    assert_eq!(merged(|all| Multiply.on(all)), [0.0, 8.0, 224.0]);
    let thirds = [1.0, 7.0 / 3.0, -5.0 / 3.0];
    for (value, third) in merged(|all| Average.on(all)).iter().zip(thirds) {
        assert!((value - third).abs() < 1e-6, "{value} instead of {third}");
    }
    assert_eq!(merged(|all| Maximum.on(all)), [3.0, 4.0, 7.0]);
    assert_eq!(merged(|all| Minimum.on(all)), [0.0, 1.0, -8.0]);
    assert_eq!(merged(|[x, y, _]| Subtract.on([x, y])), [0.0, -2.0, 4.0]);
}

#[test]
fn a_layer_of_ones_own_is_trained_penalised_and_keeps_its_state() {
    let data = data(20, 3, 3);
    let plain = compiled(Sequential::new(3).layer(Gain { penalty: 0.0 }));
    let penalised = compiled(Sequential::new(3).layer(Gain { penalty: 0.5 }));
    let (mut plain, mut penalised) = (plain.unwrap(), penalised.unwrap());
    let loss = |model: &mut Model| model.evaluate(&data).unwrap().loss;
    // ½·(2² + 2² + 2²).
    let difference = loss(&mut penalised) - loss(&mut plain);
    assert!((difference - 6.0).abs() < 1e-5, "{difference}");

    // The state is none that prediction reads, so it is set for the training to come.
    plain.set_weights([("gain/seen", &[1.0f32][..])]).unwrap();
    let before = plain.weights().unwrap();
    assert_eq!(before[1].values, [1.0]);
    assert_eq!(before[0].name, "gain/factor");
    let fit = || Fit::steps(5).batch_size(7).silent();
    plain.fit(&data, fit()).unwrap();
    penalised.fit(&data, fit()).unwrap();
    let (plain, penalised) = (plain.weights().unwrap(), penalised.weights().unwrap());
    for ((before, plain), penalised) in before[0]
        .values
        .iter()
        .zip(&plain[0].values)
        .zip(&penalised[0].values)
    {
        assert!(before != plain);
        // A gradient of ½·2·w at the rate 0.1 takes w to 0.9⁵·w at most.
        assert!(penalised < plain && *penalised < 2.0 * 0.6, "{penalised}");
    }
    // Five steps at the rate 0.1.
    assert_eq!(plain[1].name, "gain/seen");
    assert!((plain[1].values[0] - 1.5).abs() < 1e-6);
}

#[test]
fn a_frozen_layer_keeps_its_weights() {
    let model = Sequential::new(3)
        .layer(Dense::new(4).activation(Tanh).trainable(false))
        .dense(1, Linear);
    let summary = model.summary();
    assert!(summary.contains("Trainable parameters: 5 "), "{summary}");
    assert!(
        summary.contains("Non-trainable parameters: 16 "),
        "{summary}"
    );
    let mut model = compiled(model).unwrap();
    let before = model.weights().unwrap();
    model.fit(&data(20, 3, 1), Fit::epochs(2).silent()).unwrap();
    let after = model.weights().unwrap();
    assert_eq!(before[..2], after[..2]);
    assert!(before[2] != after[2] && before[3] != after[3]);
}

#[test]
fn names_are_automatic_or_given() {
    let model = Sequential::new(3)
        .dense(4, Relu)
        .layer(Dense::new(4).named("middle"))
        .layer(Flatten)
        .dense(1, Linear);
    let names: Vec<String> = Functional::from(&model)
        .layers()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(names, ["dense", "middle", "flatten", "dense_1"]);
}

#[test]
fn layers_of_ones_own_are_saved_by_their_settings() {
    #[derive(Debug)]
    struct Power(f32);
    impl Layer for Power {
        fn class(&self) -> &'static str {
            "Power"
        }

        fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
            inputs[0].scale(self.0)
        }

        fn config(&self) -> Option<Config> {
            Config::of(&self.0)
        }
    }
    let mut model = compiled(Sequential::new(3).layer(Power(3.0))).unwrap();
    let path = std::env::temp_dir().join(format!("kiln-power-{}", std::process::id()));
    model.save(&path).unwrap();
    says(
        Model::load_on(&Device::cpu(), &path),
        &["layers", "`power`", "Power"],
    );
    let layers = |class: &str, config: &Config| {
        (class == "Power").then(|| config.read().map(|factor| LayerRef::from(Power(factor))))
    };
    let mut loaded = Model::load_with(&Device::cpu(), &path, layers).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        loaded.predict(&[1.0, 2.0, 3.0]).unwrap().values,
        [3.0, 6.0, 9.0]
    );
}

#[test]
fn what_does_not_fit_names_the_layer_the_shapes_and_the_line() {
    let line = (line!() + 1).to_string();
    let x = Dense::new(4).named("first").on(&Input::named("x", []));
    says(
        compiled(Functional::new(&x, &x)),
        &["must come from `Input`"],
    );
    let input = Input::named("x", []);
    let y = Dense::new(4).named("first").on(&input);
    says(
        compiled(Functional::new(&input, &y)),
        &["first", "dimension", "layers.rs"],
    );
    assert!(x.kind().unwrap_err().to_string().contains(&line));

    let shaped = Sequential::new(6).layer(Reshape::new([4, -1]));
    says(
        compiled(shaped),
        &["reshape", "[4, -1]", "[6]", "layers.rs"],
    );
    let turned = Sequential::new([2, 3]).layer(Permute::new([1, 3]));
    says(compiled(turned), &["permute", "[1, 3]", "[2, 3]"]);
    let repeated = Sequential::new([2, 3]).layer(RepeatVector::new(3));
    says(compiled(repeated), &["repeat_vector", "[2, 3]"]);
    let repeated = Sequential::new(2).layer(RepeatVector::new(0));
    says(compiled(repeated), &["n:", "at least 1"]);
    let scaled = Sequential::new(2).layer(Rescaling::new(f32::NAN));
    says(compiled(scaled), &["scale", "finite", "NaN"]);

    let (a, b) = (Input::named("a", [2, 3]), Input::named("b", [2, 4]));
    let two = |y: kiln::nn::Symbol| compiled(Functional::new([&a, &b], &y));
    says(
        two(Add.on([&a, &b])),
        &["add", "[2, 3]", "[2, 4]", "broadcast"],
    );
    says(
        two(Concatenate { axis: 1 }.on([&a, &b])),
        &["concatenate", "[2, 4]"],
    );
    says(two(Concatenate { axis: 0 }.on([&a, &b])), &["axis 0"]);
    says(two(Dot::new(2).on([&a, &b])), &["dot", "3 and 4"]);
    says(two(Dot::new(2).on(&a)), &["dot", "two inputs"]);
    says(two(Flatten.on([&a, &b])), &["flatten", "one input", "2"]);
    let none: [&kiln::nn::Symbol; 0] = [];
    says(two(Add.on(none)), &["add", "at least one input"]);
}

#[test]
fn models_that_cannot_be_are_refused() {
    let twice = Sequential::new(3)
        .layer(Dense::new(1).named("same"))
        .layer(Dense::new(1).named("same"));
    says(compiled(twice), &["layers", "two are called `same`"]);
    let slash = Sequential::new(3).layer(Dense::new(1).named("a/b"));
    says(compiled(slash), &["layers", "`a/b`"]);

    let (a, b) = (Input::named("a", 3), Input::named("b", 3));
    let y = Dense::new(1).on(&Add.on([&a, &b]));
    says(compiled(Functional::new(&a, &y)), &["inputs", "`b`"]);
    let y = Dense::new(1).on(&a);
    says(
        compiled(Functional::new([&a, &b], &y)),
        &["inputs", "`b`", "no output"],
    );
    says(
        compiled(Functional::new([&a, &a], &y)),
        &["inputs", "two are called `a`"],
    );

    let shared = LayerRef::from(Dense::new(2));
    let wide = Input::named("wide", 4);
    let y = Add.on([&shared.on(&a), &shared.on(&wide)]);
    says(
        compiled(Functional::new([&a, &wide], &y)),
        &["dense", "kernel [3, 2]", "kernel [4, 2]", "layers.rs"],
    );
    let y = Add.on([&shared.on(&a), &shared.clone().named("other").on(&b)]);
    says(
        compiled(Functional::new([&a, &b], &y)),
        &["`dense`", "two names"],
    );
}

#[test]
fn a_layer_whose_passes_and_shapes_differ_is_refused() {
    #[derive(Debug)]
    struct Liar;
    impl Layer for Liar {
        fn class(&self) -> &'static str {
            "Liar"
        }

        fn output_shape(&self, _inputs: &[Shape]) -> Result<Shape, String> {
            Ok(5.into())
        }

        fn forward(&self, inputs: &[Tensor], _call: &mut Call) -> Tensor {
            inputs[0].clone()
        }
    }
    says(
        compiled(Sequential::new(3).layer(Liar)),
        &["liar", "5]", "3]"],
    );

    let sum = Sequential::new(3).layer(Lambda::new(|x| x[0].sum()));
    says(compiled(sum), &["lambda", "batch", "[]"]);
    let broken = Sequential::new(3).layer(Lambda::new(|x| x[0].reshape([5, 5])));
    says(compiled(broken), &["lambda", "reshape", "25"]);
    #[derive(Debug)]
    struct Forgetful;
    impl Layer for Forgetful {
        fn class(&self) -> &'static str {
            "Forgetful"
        }

        fn forward(&self, inputs: &[Tensor], call: &mut Call) -> Tensor {
            inputs[0].mul(&call.weight("kernel"))
        }
    }
    says(
        compiled(Sequential::new(3).layer(Forgetful)),
        &["kernel", "keeps no tensor"],
    );
    let mut lambda = compiled(Sequential::new(3).layer(Lambda::new(|x| x[0].clone()))).unwrap();
    says(
        lambda.save("nowhere"),
        &["`lambda`", "save the weights alone"],
    );
}

#[test]
fn weights_are_saved_alone_and_read_by_name() {
    let model = |last: &str| {
        let squared = Lambda::new(|x| x[0].square());
        let first = Dense::new(4).named("first");
        let model = Sequential::new(3).layer(first).layer(squared);
        compiled(model.layer(Dense::new(2).named(last))).unwrap()
    };
    let (mut own, mut same, mut other) = (model("last"), model("last"), model("other"));
    own.fit(&data(20, 3, 2), Fit::epochs(1).silent()).unwrap();
    let path = std::env::temp_dir().join(format!("kiln-weights-{}", std::process::id()));
    own.save_weights(&path).unwrap();
    same.load_weights(&path).unwrap();
    assert_eq!(same.weights().unwrap(), own.weights().unwrap());

    let before = other.weights().unwrap();
    says(other.load_weights(&path), &["no tensor `last/"]);
    assert_eq!(other.weights().unwrap(), before);
    let read = other.load_weights_by_name(&path).unwrap();
    assert_eq!(read, ["first/kernel", "first/bias"]);
    assert_eq!(other.weights().unwrap()[..2], own.weights().unwrap()[..2]);
    assert_eq!(other.weights().unwrap()[2..], before[2..]);

    let mut narrow = compiled(Sequential::new(3).layer(Dense::new(5).named("first"))).unwrap();
    says(
        narrow.load_weights_by_name(&path),
        &["first/kernel", "[3, 4]", "[3, 5]"],
    );
    let mut more = compiled(
        Sequential::new(3)
            .layer(Dense::new(4).named("first"))
            .dense(1, Linear),
    )
    .unwrap();
    says(more.load_weights(&path), &["no tensor `last/"]);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_layer_can_be_tried_out_in_a_graph() {
    let device = Device::cpu();
    let graph = Graph::new();
    let kernel = TensorType::f32([2, 2]);
    let values = Initial::Floats([1.0, 2.0, 3.0, 4.0].into());
    let kernel = graph.variable("kernel", kernel, values);
    let mut call = Call::new(&graph).with_weight("kernel", &kernel);
    let x = graph.constant([1, 2], &[1.0, 10.0]);
    let y = Dense::new(2)
        .without_bias()
        .forward(std::slice::from_ref(&x), &mut call);
    let dx = &graph.gradients(&y, &[&x])[0];
    let program = Program::new("p").fetch("y", &y).fetch("dx", dx);
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(session.read("y").unwrap(), [31.0, 42.0]);
    assert_eq!(session.read("dx").unwrap(), [3.0, 7.0]);
}

#[test]
fn penalties_are_part_of_the_loss_and_constraints_hold_after_every_step() {
    let data = Dataset::from_rows(
        &[[1.0, 2.0], [-1.0, 0.5], [0.5, -2.0]],
        &[[3.0], [-1.0], [2.0]],
    )
    .unwrap();
    let model = |layer: Dense| {
        let network = Sequential::new(2).layer(layer.without_bias()).seed(2);
        network
            .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
            .unwrap()
    };
    let (mut plain, mut with) = (
        model(Dense::new(1)),
        model(Dense::new(1).kernel_regularizer(Regularizer::L2(0.5))),
    );
    let squares: f32 = plain.weights().unwrap()[0]
        .values
        .iter()
        .map(|w| w * w)
        .sum();
    let losses = [&mut plain, &mut with].map(|model| model.evaluate(&data).unwrap().loss);
    assert!(
        (losses[1] - losses[0] - 0.5 * f64::from(squares)).abs() < 1e-5,
        "{losses:?}"
    );
    // One step moves the weights by the penalty's gradient, rate·2·0.5·W, beside the loss's own.
    let first = plain.weights().unwrap()[0].values.clone();
    for model in [&mut plain, &mut with] {
        model
            .fit(&data, Fit::steps(1).batch_size(3).silent())
            .unwrap();
    }
    let (plain, with) = (plain.weights().unwrap(), with.weights().unwrap());
    for ((w, a), b) in first.iter().zip(&plain[0].values).zip(&with[0].values) {
        assert!((a - b - 0.1 * w).abs() < 1e-5, "{a} {b} {w}");
    }
    for constraint in [
        Constraint::max_norm(0.3),
        Constraint::unit_norm(),
        Constraint::NonNeg,
    ] {
        let mut model = model(Dense::new(1).kernel_constraint(constraint));
        model
            .fit(&data, Fit::epochs(5).batch_size(3).silent())
            .unwrap();
        let w = model.weights().unwrap()[0].values.clone();
        let norm = w.iter().map(|w| w * w).sum::<f32>().sqrt();
        let holds = match constraint {
            Constraint::UnitNorm { .. } => (norm - 1.0).abs() < 1e-5,
            Constraint::NonNeg => w.iter().all(|w| *w >= 0.0),
            _ => norm < 0.3001,
        };
        assert!(holds, "{constraint:?}: {w:?}");
    }
    let refused = Sequential::new(2).layer(Dense::new(1).bias_regularizer(Regularizer::L1(-1.0)));
    let error = refused
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap_err();
    assert!(error.to_string().contains("l1"), "{error}");
}

#[test]
fn norms_of_weights_whose_squares_f32_does_not_hold_are_constrained_too() {
    let limits = Constraint::MinMaxNorm {
        min_value: 0.5,
        max_value: 2.0,
        rate: 1.0,
        axis: 0,
    };
    for device in crate::common::devices() {
        // Columns of very different size, in the direction (0.6, −0.8).
        let sizes = [1e37f32, 1e30, 3e19, 1e19, 1e18, 1.0, 1e-3];
        let w: Vec<f32> = [0.6f32, -0.8]
            .iter()
            .flat_map(|share| sizes.map(|size| share * size))
            .collect();
        for constraint in [Constraint::unit_norm(), Constraint::max_norm(2.0), limits] {
            let graph = Graph::new();
            let x = graph.input("x", [2, sizes.len()]);
            let program = Program::new("p").fetch("y", &constraint.apply(&x));
            let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
            let mut session = device.open(&plan).unwrap();
            session.write("x", &w).unwrap();
            session.run("p", 1).unwrap();
            let y = session.read("y").unwrap();
            for (column, &size) in sizes.iter().enumerate() {
                let norm = match constraint {
                    Constraint::UnitNorm { .. } => 1.0,
                    Constraint::MaxNorm { .. } => size.min(2.0),
                    _ => size.clamp(0.5, 2.0),
                };
                for (row, share) in [0.6, -0.8].into_iter().enumerate() {
                    let (value, right) = (y[row * sizes.len() + column], share * norm);
                    let what =
                        format!("{constraint:?} of {size} on {device}: {value}, not {right}");
                    assert!((value - right).abs() <= 2e-4 * right.abs(), "{what}");
                }
            }
        }
    }
}

#[test]
fn a_penalty_on_outputs_is_divided_by_the_rows_of_a_ragged_batch_too() {
    // Three rows in an evaluation batch of four, and in training batches of two and one.
    let x = [[1.0f32, 2.0], [-1.0, 0.5], [0.5, -2.0]];
    let data = Dataset::from_rows(&x, &[[3.0], [-1.0], [2.0]]).unwrap();
    let dense = || Dense::new(1).without_bias();
    let model = |layers: Vec<LayerRef>| {
        let network = layers
            .into_iter()
            .fold(Sequential::new(2).seed(2), Sequential::layer);
        network
            .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
            .unwrap()
    };
    let own = |regularizer| vec![dense().activity_regularizer(regularizer).into()];
    let apart = |l1, l2| vec![dense().into(), ActivityRegularization { l1, l2 }.into()];
    for (layers, l1, l2) in [
        (own(Regularizer::L1(0.3)), 0.3, 0.0),
        (own(Regularizer::L2(0.2)), 0.0, 0.2),
        (own(Regularizer::L1L2 { l1: 0.1, l2: 0.2 }), 0.1, 0.2),
        (apart(0.1, 0.2), 0.1, 0.2),
        (apart(0.0, 0.0), 0.0, 0.0),
    ] {
        let (mut plain, mut with) = (model(vec![dense().into()]), model(layers));
        let first = plain.weights().unwrap()[0].values.clone();
        let y = x.map(|x| x[0] * first[0] + x[1] * first[1]);
        let penalty = |y: &[f32]| -> f64 {
            let terms = y.iter().map(|&y| f64::from(l1 * y.abs() + l2 * y * y));
            terms.sum::<f64>() / y.len() as f64
        };
        let losses = [&mut plain, &mut with].map(|model| model.evaluate(&data).unwrap().loss);
        let added = losses[1] - losses[0];
        assert!((added - penalty(&y)).abs() < 1e-6, "{added}");
        // A step over two rows moves W by the mean of (l1·sign y + 2·l2·y)·x; the sum of losses has it for one row too.
        for model in [&mut plain, &mut with] {
            let fit = Fit::steps(1).batch_size(2).shuffle(false).silent();
            model.fit(&data, fit).unwrap();
        }
        let (plain, with) = (plain.weights().unwrap(), with.weights().unwrap());
        let moved = plain[0].values.iter().zip(&with[0].values);
        for (j, moved) in moved.map(|(a, b)| a - b).enumerate() {
            let slope = |i: usize| (l1 * y[i].signum() + 2.0 * l2 * y[i]) * x[i][j];
            let expected = 0.1 * (slope(0) + slope(1)) / 2.0;
            assert!((moved - expected).abs() < 1e-6, "{moved} for {expected}");
        }
    }
    let pairs = Regularizer::Orthogonal {
        factor: 0.1,
        columns: false,
    };
    for layer in [
        LayerRef::from(dense().activity_regularizer(pairs)),
        dense().activity_regularizer(Regularizer::L2(-1.0)).into(),
        ActivityRegularization {
            l1: f32::NAN,
            l2: 0.0,
        }
        .into(),
    ] {
        let network = Sequential::new(2).layer(layer);
        let refused = network.compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), []);
        let message = refused.unwrap_err().to_string();
        let named = ["activity_regularizer", "l1", "l2"];
        assert!(
            named.iter().any(|name| message.starts_with(name)),
            "{message}"
        );
    }
}

#[test]
fn a_model_within_another_shares_its_weights_trains_and_is_saved_like_layers() {
    let (a, b) = (Input::named("a", 4), Input::named("b", 4));
    let ends = |encoder: &dyn Fn(&kiln::nn::Symbol) -> kiln::nn::Symbol| {
        let both = Concatenate::default().on([&encoder(&a), &encoder(&b)]);
        let last = Dense::new(2).named("last").on(&both);
        Functional::new([&a, &b], &last).seed(3)
    };
    let inner = Sequential::new(4)
        .layer(
            Dense::new(5)
                .activation(Tanh)
                .activity_regularizer(Regularizer::L2(0.1)),
        )
        .layer(BatchNormalization::default())
        .dense(3, Tanh);
    let encoder = Functional::from(inner).named("encoder");
    let nested = ends(&|x| encoder.on(x));
    // The same layers without a model around them.
    let first = Dense::new(5)
        .activation(Tanh)
        .activity_regularizer(Regularizer::L2(0.1));
    let first = LayerRef::from(first);
    let (middle, third) = (
        LayerRef::from(BatchNormalization::default()),
        LayerRef::from(Dense::new(3).activation(Tanh)),
    );
    let flat = ends(&|x| third.on(&middle.on(&first.on(x))));

    let x = rows(40, 4);
    let y = Targets::Values {
        values: rows(40, 2),
        columns: 2,
    };
    let data = Dataset::from_inputs(
        [("a", (x.clone(), 4)), ("b", (rows(40, 4), 4))],
        [("last", y)],
    );
    let data = data.unwrap();
    let mut models = [compiled(nested).unwrap(), compiled(flat).unwrap()];
    let names: Vec<String> = models[0]
        .weights()
        .unwrap()
        .into_iter()
        .map(|w| w.name)
        .collect();
    assert_eq!(names[0], "encoder/dense/kernel");
    assert_eq!(names.len(), 2 + 4 + 2 + 2);
    let given: Vec<Vec<f32>> = models[0]
        .weights()
        .unwrap()
        .into_iter()
        .map(|w| w.values)
        .collect();
    for model in &mut models {
        let own = model.weights().unwrap();
        let named = own
            .iter()
            .zip(&given)
            .map(|(w, values)| (w.name.as_str(), &values[..]));
        model.set_weights(named).unwrap();
        model
            .fit(&data, Fit::epochs(2).batch_size(8).silent())
            .unwrap();
    }
    let numbers = |model: &mut Model| -> Vec<u32> {
        let weights = model.weights().unwrap();
        let predicted = model.predict(&data).unwrap();
        let all = weights
            .iter()
            .flat_map(|w| &w.values)
            .chain(&predicted.values);
        all.map(|x| x.to_bits()).collect()
    };
    let [nested, flat] = &mut models;
    assert_eq!(numbers(nested), numbers(flat));
    let losses = [&mut *nested, flat].map(|model| model.evaluate(&data).unwrap().loss);
    assert_eq!(losses[0], losses[1]);

    let path = std::env::temp_dir().join(format!("kiln-nested-{}", std::process::id()));
    nested.save(&path).unwrap();
    let mut loaded = Model::load_on(&Device::cpu(), &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(numbers(&mut loaded), numbers(nested));
    assert_eq!(loaded.architecture(), nested.architecture());
}

#[test]
fn a_frozen_model_within_another_stays_as_it_is() {
    let inner = Sequential::new(4)
        .dense(3, Tanh)
        .layer(BatchNormalization::default());
    let inner = Functional::from(inner).trainable(false);
    let mut model = compiled(Sequential::new(4).layer(inner).dense(1, Linear)).unwrap();
    let before = model.weights().unwrap();
    model.fit(&data(20, 4, 1), Fit::epochs(2).silent()).unwrap();
    let after = model.weights().unwrap();
    let changed: Vec<&str> = before
        .iter()
        .zip(&after)
        .filter(|(a, b)| a.values != b.values)
        .map(|(a, _)| a.name.as_str())
        .collect();
    assert_eq!(changed, ["dense/kernel", "dense/bias"]);
}

#[test]
fn a_model_that_cannot_be_a_layer_says_why() {
    let two = {
        let a = Input::named("a", 4);
        Functional::new(
            &a,
            [("p", &Dense::new(1).on(&a)), ("q", &Dense::new(1).on(&a))],
        )
    };
    let network = |inner: Functional| Sequential::new(4).layer(inner).dense(1, Linear);
    says(compiled(network(two)), &["one output", "2"]);
    let other = Functional::from(Sequential::new(5).dense(1, Linear));
    says(compiled(network(other)), &["takes [5]", "got [4]"]);
    let broken = Functional::from(Sequential::new(4).dense(0, Linear));
    says(compiled(network(broken)), &["units"]);
}

#[test]
fn functions_of_ones_own_initialise_penalise_and_constrain_a_layer() {
    let layer = Dense::new(2)
        .kernel_initializer(Initializer::Own(|shape, seed, _| {
            let len = shape.iter().product::<usize>();
            (0..len).map(|i| i as f32 + seed as f32).collect()
        }))
        .kernel_regularizer(Regularizer::Own(|w| w.square().sum().scale(0.5)))
        .kernel_constraint(Constraint::Own(|w| {
            w.minimum(&w.graph().constant([1], &[4.0]))
        }));
    let mut model = Sequential::new(3)
        .layer(layer)
        .seed(2)
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.1), [])
        .unwrap();
    let kernel = |model: &mut Model| model.weights().unwrap()[0].values.clone();
    assert_eq!(kernel(&mut model), [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    // Inputs of 0 leave the penalty's gradient alone, which is the weights: W ← min(0.9·W, 4).
    let data = kiln::Dataset::from_rows(&[[0.0f32; 3]], &[[0.0f32; 2]]).unwrap();
    model.fit(&data, Fit::steps(1).silent()).unwrap();
    for (w, expected) in kernel(&mut model)
        .into_iter()
        .zip([1.8, 2.7, 3.6, 4.0, 4.0, 4.0])
    {
        assert!((w - expected).abs() < 1e-6, "{w}, not {expected}");
    }
    let path = std::env::temp_dir().join("kiln_own_initializer.safetensors");
    assert!(model.save(&path).is_err());
}
