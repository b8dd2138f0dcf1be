//! Bad input gets an error that names what, where and how to mend it; nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln::plan::{Class, Target};
use kiln::prelude::*;
use kiln::{Plan, TensorType};

/// The error's sentence holds every one of the words.
#[track_caller]
fn says<T>(outcome: Result<T>, words: &[&str]) {
    let message = outcome.err().expect("an error").to_string();
    for word in words {
        assert!(message.contains(word), "`{message}` does not say `{word}`");
    }
}

fn model() -> Model {
    let model = Sequential::new(2).dense(4, Relu).dense(3, Softmax);
    model
        .compile_on(
            &Device::cpu(),
            SparseCategoricalCrossentropy,
            Adam::default(),
            [Accuracy],
        )
        .unwrap()
}

fn labelled(features: Vec<f32>, labels: Vec<u32>) -> Dataset {
    let classes = labels.iter().max().map_or(1, |&label| label as usize + 1);
    Dataset::new(features, 2, Targets::Labels { labels, classes }).unwrap()
}

fn compile(graph: &Graph, y: &Tensor) -> Result<Plan> {
    graph.compile(&Target::cpu(), [Program::new("p").fetch("y", y)])
}

#[test]
fn shapes_that_do_not_fit_name_the_op_the_shapes_and_the_line() {
    let graph = Graph::new();
    let (x, w) = (graph.input("x", [32, 784]), graph.input("w", [128, 10]));
    let line = line!() + 1;
    let y = x.matmul(&w).relu();
    says(
        compile(&graph, &y),
        &[
            "matmul",
            "[32, 784]",
            "[128, 10]",
            "errors.rs",
            &line.to_string(),
        ],
    );

    let graph = Graph::new();
    let y = graph.input("a", [3, 4]).add(&graph.input("b", [5]));
    says(compile(&graph, &y), &["add", "[3, 4]", "[5]", "broadcast"]);

    let graph = Graph::new();
    let y = graph.input("a", [3, 4]).reshape([5, 5]);
    says(compile(&graph, &y), &["reshape", "12", "25"]);

    let graph = Graph::new();
    let y = graph.parameter("w", [2, 2], &[1.0]);
    says(compile(&graph, &y), &["`w`", "[2, 2]", "1 values"]);

    let graph = Graph::new();
    let y = graph
        .input("labels", [4])
        .cross_entropy(&graph.input("t", [5]), kiln::op::Form::Logits);
    says(compile(&graph, &y), &["cross_entropy"]);

    let graph = Graph::new();
    let y = graph.input("empty", [0, 3]).relu();
    says(compile(&graph, &y), &["`empty`", "empty"]);
}

#[test]
fn architectures_that_cannot_be_are_refused() {
    let compile =
        |model: Sequential| model.compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), []);
    says(compile(Sequential::new(0).dense(1, Relu)), &["inputs", "0"]);
    says(compile(Sequential::new(3)), &["layers", "at least one"]);
    says(compile(Sequential::new(3).dense(0, Relu)), &["units", "0"]);
    says(
        compile(Sequential::new(3).dense(1, LeakyRelu(f32::NAN))),
        &["slope", "NaN"],
    );
    let constant = Dense::new(1).kernel_initializer(Initializer::Constant(f32::INFINITY));
    says(
        compile(Sequential::new(3).layer(constant)),
        &["constant", "inf"],
    );
    let uniform = Dense::new(1).kernel_initializer(Initializer::Uniform(1.0, -1.0));
    says(
        compile(Sequential::new(3).layer(uniform)),
        &["uniform", "order"],
    );
    let normal = Dense::new(1).bias_initializer(Initializer::Normal(0.0, -1.0));
    says(compile(Sequential::new(3).layer(normal)), &["normal", "-1"]);
    let other = Dataset::from_rows(&[[1.0, 2.0], [3.0, 5.0]], &[[0.0], [1.0]]).unwrap();
    let scaled = Sequential::new(3)
        .dense(1, Relu)
        .preprocessing(Scaler::standard(&other).unwrap());
    says(compile(scaled), &["preprocessing", "2 columns", "3 inputs"]);
}

#[test]
fn optimizer_settings_out_of_range_name_the_field_and_the_range() {
    let refused = |optimizer: Adam| {
        Sequential::new(1).dense(1, Linear).compile_on(
            &Device::cpu(),
            MeanSquaredError,
            optimizer,
            [],
        )
    };
    says(refused(Adam::new(-0.1)), &["-0.1"]);
    says(refused(Adam::new(f32::NAN)), &["NaN"]);
    says(
        refused(Adam {
            beta_1: 1.0,
            ..Adam::default()
        }),
        &["beta_1", "below 1", "got 1"],
    );
    says(
        refused(Adam {
            beta_2: -0.5,
            ..Adam::default()
        }),
        &["beta_2", "-0.5"],
    );
    says(
        refused(Adam {
            epsilon: 0.0,
            ..Adam::default()
        }),
        &["epsilon", "above 0"],
    );
    let refused = |optimizer: Sgd| {
        Sequential::new(1).dense(1, Linear).compile_on(
            &Device::cpu(),
            MeanSquaredError,
            optimizer,
            [],
        )
    };
    says(refused(Sgd::new(0.1).momentum(1.5)), &["momentum", "1.5"]);
    says(refused(Sgd::new(0.1).nesterov()), &["nesterov", "momentum"]);
    says(
        refused(Sgd::new(Schedule::exponential_decay(0.1, 0, 0.9))),
        &["decay_steps"],
    );
    let metric = Sequential::new(1).dense(1, Sigmoid);
    let metric = metric.compile_on(
        &Device::cpu(),
        BinaryCrossentropy,
        Adam::default(),
        [BinaryAccuracy(2.0)],
    );
    says(metric, &["threshold", "2"]);
}

#[test]
fn fit_settings_out_of_range_name_the_setting() {
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
fn data_that_does_not_fit_the_model_names_the_row() {
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
    says(fit(&narrow), &["3 numbers", "2 inputs"]);
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
fn a_loss_that_is_not_finite_names_the_step() {
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
fn files_that_are_missing_or_damaged_are_named() {
    let folder = std::env::temp_dir().join(format!("kiln-errors-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let missing = folder.join("missing");
    says(Csv::new().read(&missing), &["missing"]);
    says(kiln::data::mnist(&missing), &["missing"]);
    says(Model::load_on(&Device::cpu(), &missing), &["missing"]);
    let garbage = folder.join("garbage.safetensors");
    std::fs::write(&garbage, b"not a safetensors file at all").unwrap();
    says(
        Model::load_on(&Device::cpu(), &garbage),
        &["garbage.safetensors", "no safetensors file"],
    );
    let good = folder.join("model.safetensors");
    model().save(&good).unwrap();
    let bytes = std::fs::read(&good).unwrap();
    let cut = folder.join("cut.safetensors");
    std::fs::write(&cut, &bytes[..bytes.len() - 8]).unwrap();
    says(Model::load_on(&Device::cpu(), &cut), &["cut.safetensors"]);
    says(
        model().save(folder.join("no/such/folder/model.safetensors")),
        &["no/such/folder"],
    );
    assert!(
        std::fs::read_dir(&folder).unwrap().all(|file| !file
            .unwrap()
            .path()
            .to_string_lossy()
            .contains(".part"))
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_device_that_is_not_there_is_answered_with_those_that_are() {
    says(
        Device::named("no such adapter"),
        &["device", "no such adapter", "cpu"],
    );
}

#[test]
fn limits_exceeded_name_the_limit_and_the_tensor() {
    let graph = Graph::new();
    let big = graph.input("big", [1 << 20, 64]);
    let program = Program::new("p").fetch("y", &big.relu());
    let outcome = graph.compile(&Target::new(Class::Gpu, None), [program]);
    says(outcome, &["max", "268435456"]);

    // A set that four bindings of the adapter cannot hold.
    let small = Target {
        max_binding_bytes: 1024,
        ..Target::new(Class::Gpu, None)
    };
    let device = Device::cpu().with_target(|_| small);
    let model = Sequential::new(8).dense(3, Softmax);
    let model = model
        .compile_on(&device, SparseCategoricalCrossentropy, Adam::default(), [])
        .unwrap();
    says(
        model.inspect(1000, 8),
        &["maxStorageBufferBindingSize", "train.x", "1000 rows"],
    );

    // Sizes whose product does not fit 64 bits are refused, not wrapped around.
    let graph = Graph::new();
    let huge = graph.variable(
        "huge",
        TensorType::f32([usize::MAX, usize::MAX]),
        kiln::Initial::Zeros,
    );
    assert!(compile(&graph, &huge.relu()).is_err());
}

#[test]
fn a_session_refuses_wrong_names_and_lengths() {
    let graph = Graph::new();
    let x = graph.input("x", [3]);
    let plan = compile(&graph, &x.relu()).unwrap();
    let mut session = Device::cpu().open(&plan).unwrap();
    says(session.write("x", &[1.0]), &["`x`", "[3]", "1 values"]);
    says(session.write("z", &[1.0]), &["`z`", "x"]);
    says(session.write_labels("x", &[1, 2, 3]), &["`x`", "f32"]);
    says(session.run("q", 1), &["`q`", "p"]);
    says(session.read("q"), &["`q`", "x, y"]);
    let mut model = model();
    says(
        model.set_weights([("dense/kernel", &[1.0][..])]),
        &["dense/kernel", "[2, 4]"],
    );
    says(
        model.set_weights([("predict.x", &[1.0][..])]),
        &["predict.x", "dense/kernel"],
    );
}

#[test]
fn gradients_and_sums_that_cannot_be_are_refused() {
    let (graph, other) = (Graph::new(), Graph::new());
    let loss = other.input("x", [2]).sum();
    let w = graph.input("w", [2]);
    let gradients = graph.gradients(&loss, &[&w]);
    says(
        compile(&graph, &gradients[0]),
        &["gradients", "another graph"],
    );

    let graph = Graph::new();
    let y = graph.input("x", [3]).sum_to([2, 3, 3]);
    assert!(compile(&graph, &y).is_err());

    let graph = Graph::new();
    let y = graph.input("x", [3]).sum_over(usize::MAX);
    assert!(compile(&graph, &y).is_err());
}

#[test]
fn a_snapshot_whose_elements_do_not_fit_changes_nothing() {
    let graph = Graph::new();
    let (a, b) = (
        graph.parameter("a", [2], &[1.0, 2.0]),
        graph.parameter("b", [2], &[3.0, 4.0]),
    );
    let plan = compile(&graph, &a.add(&b)).unwrap();
    let mut session = Device::cpu().open(&plan).unwrap();
    let mut snapshot = session.snapshot().unwrap();
    for (name, (_, values)) in &mut snapshot.variables {
        let len = if name == "a" { 2 } else { 5 };
        *values = kiln::Values::F32(vec![9.0; len]);
    }
    says(session.restore(&snapshot), &["`b`"]);
    assert_eq!(session.read("a").unwrap(), [1.0, 2.0], "restored by half");
    assert_eq!(session.read("b").unwrap(), [3.0, 4.0]);
}
