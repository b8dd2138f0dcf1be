//! Layers of normalisation, dropout and noise in models: what they do in training, afterwards, and in files.

use kiln::nn::LayerRef;
use kiln::prelude::*;

/// Rows of three columns with means far from 0, and a target that depends on them.
fn data(rows: usize) -> Dataset {
    let cell = |row: usize, column: usize| ((row * 7919 + column * 104_729) % 97) as f32 / 97.0;
    let x: Vec<[f32; 3]> = (0..rows)
        .map(|row| {
            [
                10.0 + cell(row, 0),
                20.0 * cell(row, 1),
                -5.0 + cell(row, 2),
            ]
        })
        .collect();
    let y: Vec<[f32; 1]> = x.iter().map(|x| [x[0] - 10.0 + 0.05 * x[1]]).collect();
    Dataset::from_rows(&x, &y).unwrap()
}

fn compile(network: Sequential) -> Model {
    network
        .seed(4)
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])
        .unwrap()
}

fn fit() -> Fit<'static> {
    Fit::epochs(20).batch_size(16).silent()
}

fn weights(model: &mut Model, name: &str) -> Vec<f32> {
    model
        .weights()
        .unwrap()
        .into_iter()
        .find(|weights| weights.name == name)
        .unwrap()
        .values
}

#[test]
fn batch_normalisation_keeps_running_averages_and_predicts_with_them() {
    // One batch an epoch, in order: the averages follow by hand.
    let data = data(24);
    let layer = BatchNormalization {
        momentum: 0.5,
        ..Default::default()
    };
    let mut model = compile(Sequential::new(3).layer(layer).dense(1, Linear));
    model
        .fit(&data, Fit::epochs(3).batch_size(24).shuffle(false).silent())
        .unwrap();
    let mean = weights(&mut model, "batch_normalization/moving_mean");
    let variance = weights(&mut model, "batch_normalization/moving_variance");
    for column in 0..3 {
        let values: Vec<f64> = data
            .features()
            .chunks(3)
            .map(|row| f64::from(row[column]))
            .collect();
        let of_batch = values.iter().sum::<f64>() / 24.0;
        let spread = values.iter().map(|x| (x - of_batch).powi(2)).sum::<f64>() / 24.0;
        // Three times ½·average + ½·value, from 0 and from 1.
        let (wanted, spread) = (0.875 * of_batch, 0.125 + 0.875 * spread);
        assert!(
            (f64::from(mean[column]) - wanted).abs() < 1e-4 * wanted.abs(),
            "{mean:?}"
        );
        assert!(
            (f64::from(variance[column]) - spread).abs() < 1e-4 * spread,
            "{variance:?}"
        );
    }
    // A row alone is predicted as among others: by the averages, not by its batch.
    let all = model.predict(&data).unwrap();
    let one = model.predict(&data.select(&[5]).unwrap()).unwrap();
    assert!((all.values[5] - one.values[0]).abs() < 1e-5);
}

#[test]
fn a_frozen_batch_normalisation_leaves_its_averages_alone() {
    let data = data(40);
    let mut model = compile(
        Sequential::new(3)
            .layer(BatchNormalization::default().trainable(false))
            .dense(1, Linear),
    );
    model.fit(&data, fit()).unwrap();
    assert_eq!(
        weights(&mut model, "batch_normalization/moving_mean"),
        [0.0; 3]
    );
    assert_eq!(weights(&mut model, "batch_normalization/gamma"), [1.0; 3]);
}

#[test]
fn dropout_is_there_in_training_alone_and_a_seed_repeats_it() {
    let data = data(40);
    let network = || {
        Sequential::new(3)
            .dense(16, Relu)
            .layer(Dropout::new(0.5))
            .dense(1, Linear)
    };
    let mut first = compile(network());
    let losses = first.fit(&data, fit()).unwrap().step_losses;
    assert_eq!(
        compile(network()).fit(&data, fit()).unwrap().step_losses,
        losses
    );
    let plain = compile(Sequential::new(3).dense(16, Relu).dense(1, Linear))
        .fit(&data, fit())
        .unwrap();
    assert_ne!(plain.step_losses, losses);
    assert_eq!(first.predict(&data).unwrap(), first.predict(&data).unwrap());
    // Without training it is as if it were not there.
    let (mut with, mut without) = (
        compile(network()),
        compile(Sequential::new(3).dense(16, Relu).dense(1, Linear)),
    );
    assert_eq!(
        with.predict(&data).unwrap(),
        without.predict(&data).unwrap()
    );
}

#[test]
fn a_model_of_every_such_layer_learns_and_comes_back_from_its_file_to_the_bit() {
    let data = data(50);
    let network = Sequential::new(3)
        .layer(BatchNormalization::pytorch())
        .layer(GaussianNoise::new(0.01))
        .dense(16, Linear)
        .layer(PRelu::default())
        .layer(LayerNormalization::default())
        .layer(Dropout::new(0.1))
        .dense(16, Selu)
        .layer(AlphaDropout::new(0.05))
        .layer(RMSNormalization::default())
        .layer(GaussianDropout::new(0.05))
        .dense(8, Linear)
        .layer(UnitNormalization::default())
        .dense(1, Linear);
    let mut model = compile(network);
    let history = model
        .fit(&data, Fit::epochs(60).batch_size(16).silent())
        .unwrap();
    let loss = history.loss();
    assert!(loss[59] < 0.5 * loss[0], "{loss:?}");
    let file = std::env::temp_dir().join(format!("kiln-norm-{}.safetensors", std::process::id()));
    model.save(&file).unwrap();
    let loaded = Model::load_on(&Device::cpu(), &file)
        .unwrap()
        .predict(&data);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(loaded.unwrap(), model.predict(&data).unwrap());
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let refused = |layer: kiln::nn::LayerRef, field: &str| {
        let network = Sequential::new(3).layer(layer).dense(1, Linear);
        let outcome = network.compile_on(&Device::cpu(), MeanSquaredError, Adam::default(), []);
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(field), "`{message}` does not name {field}");
    };
    for rate in [-0.1, 1.0, f32::NAN] {
        refused(LayerRef::from(Dropout::new(rate)), "rate");
        refused(LayerRef::from(AlphaDropout::new(rate)), "rate");
        refused(LayerRef::from(GaussianDropout::new(rate)), "rate");
    }
    refused(LayerRef::from(GaussianNoise::new(-1.0)), "deviation");
    refused(
        LayerRef::from(BatchNormalization {
            momentum: 1.5,
            ..Default::default()
        }),
        "momentum",
    );
    refused(
        LayerRef::from(BatchNormalization {
            epsilon: 0.0,
            ..Default::default()
        }),
        "epsilon",
    );
    refused(
        LayerRef::from(LayerNormalization {
            epsilon: f32::NAN,
            ..Default::default()
        }),
        "epsilon",
    );
    refused(
        LayerRef::from(RMSNormalization {
            epsilon: -1.0,
            ..Default::default()
        }),
        "epsilon",
    );
}

/// What a layer makes of x `[batch, steps, columns]` in training, in f64, with gradients of Σ y³ where they exist.
fn of_batch(
    layer: &dyn Layer,
    shape: [usize; 3],
    x: &[f32],
    mask: Option<&[f32]>,
) -> Vec<Vec<f64>> {
    let graph = Graph::new();
    let mut inputs = vec![graph.input("x", shape)];
    inputs.extend(mask.map(|_| graph.input("mask", &shape[..2])));
    let mut call = kiln::nn::Call::new(&graph);
    call.training = true;
    for (name, value) in [
        ("gamma", 2.0),
        ("beta", 0.5),
        ("moving_mean", 0.0),
        ("moving_variance", 1.0),
    ] {
        let values = vec![value; shape[2]];
        call = call.with_weight(name, &graph.parameter(name, [shape[2]], &values));
    }
    let y = layer.forward(&inputs, &mut call);
    let dx = graph.gradients(&y.mul(&y).mul(&y), &[&inputs[0]]);
    let program = Program::new("call").fetch("y", &y).fetch("dx", &dx[0]);
    let device = Device::reference();
    let program = program.update(&call.updates);
    let plan = kiln::Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.write("x", x).unwrap();
    if let Some(mask) = mask {
        session.write("mask", mask).unwrap();
    }
    session.run("call", 1).unwrap();
    let mut read = |name: &str| match session.read_values(name).unwrap() {
        kiln::Values::F64(values) => values,
        other => panic!("{other:?}"),
    };
    let mut values = vec![read("y"), read("dx")];
    if !call.updates.is_empty() {
        values.extend([read("moving_mean"), read("moving_variance")]);
    }
    values
}

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    let off = |(a, b): (&f64, &f64)| (a - b).abs() > 1e-6 * b.abs().max(1.0);
    assert!(!a.iter().zip(b).any(off), "{a:?}\n{b:?}");
}

#[test]
fn positions_that_a_mask_leaves_out_have_no_part_in_the_statistics_of_a_batch() {
    let x: Vec<f32> = (0..24)
        .map(|i| ((i * 37) % 23) as f32 * 0.3 - 2.0)
        .collect();
    let layer = BatchNormalization {
        momentum: 0.5,
        ..Default::default()
    };
    let unmasked = of_batch(&layer, [2, 4, 3], &x, None);
    let all = of_batch(&layer, [2, 4, 3], &x, Some(&[1.0; 8]));
    for (all, unmasked) in all.iter().zip(&unmasked) {
        close(all, unmasked);
    }
    // The last step of each sample is left out, and may be anything.
    let mask = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0];
    let mut wild = x.clone();
    for i in [9, 10, 11, 21, 22, 23] {
        wild[i] = 1e4;
    }
    let without: Vec<f32> = [&x[..9], &x[12..21]].concat();
    let short = of_batch(&layer, [2, 3, 3], &without, None);
    let long = of_batch(&layer, [2, 4, 3], &wild, Some(&mask));
    close(&[&long[0][..9], &long[0][12..21]].concat(), &short[0]);
    close(&long[2], &short[2]);
    close(&long[3], &short[3]);
    // Normalised too, by the statistics of the others: γ and β of every column.
    assert!(long[0][9..12].iter().all(|y| *y > 100.0), "{:?}", long[0]);
}

#[test]
fn a_mask_of_another_shape_is_refused() {
    let refused = |layer: BatchNormalization, mask: &[usize]| {
        let shapes = [kiln::Shape::from([4, 3]), kiln::Shape::from(mask)];
        layer.output_shape(&shapes).unwrap_err()
    };
    let layer = BatchNormalization::default();
    assert!(refused(layer, &[3]).contains("the mask of [4, 3] is [4], got [3]"));
    assert!(refused(layer, &[4, 3]).contains("[4]"));
    assert!(refused(BatchNormalization::pytorch(), &[4]).contains("unbiased"));
}

#[test]
fn rows_after_a_ragged_batch_have_no_part_in_its_masked_statistics() {
    // Eleven rows in batches of four: the last one has three, and the fourth row of its buffers is left from before.
    let (rows, steps) = (11, 4);
    let x: Vec<f32> = (0..rows * steps).map(|i| ((i * 31) % 17) as f32).collect();
    let mask: Vec<f32> = (0..rows * steps)
        .map(|i| f32::from(u8::from(i % 3 != 0)))
        .collect();
    let (input, shown) = (Input::named("x", [steps, 1]), Input::named("mask", [steps]));
    let layer = BatchNormalization {
        momentum: 0.0,
        ..Default::default()
    };
    let normalised = LayerRef::from(layer).named("norm").on([&input, &shown]);
    let y = Dense::new(1).named("y").on(&Flatten.on(&normalised));
    let network = Functional::new([&input, &shown], &y).seed(3);
    let mut model = network
        .compile_on(&Device::cpu(), MeanSquaredError, Sgd::new(0.0), [])
        .unwrap();
    let targets = Targets::Values {
        values: vec![0.0; rows],
        columns: 1,
    };
    let inputs = [("x", (x.clone(), steps)), ("mask", (mask.clone(), steps))];
    let data = Dataset::from_inputs(inputs, [("y", targets)]).unwrap();
    model
        .fit(&data, Fit::epochs(1).batch_size(4).shuffle(false).silent())
        .unwrap();
    let own = 8 * steps..rows * steps;
    let kept: Vec<f64> = own
        .filter(|&i| mask[i] != 0.0)
        .map(|i| f64::from(x[i]))
        .collect();
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    let kept_mean = f64::from(weights(&mut model, "norm/moving_mean")[0]);
    assert!((kept_mean - mean).abs() < 1e-5 * mean, "{kept_mean} {mean}");
}

#[test]
fn several_axes_count_as_one() {
    let x: Vec<f32> = (0..24)
        .map(|i| ((i * 37) % 23) as f32 * 0.3 - 2.0)
        .collect();
    let unit = UnitNormalization::default();
    let (softmax, softmaxes) = (
        kiln::nn::Softmax::default(),
        kiln::nn::Softmax {
            axis: [1, 2].into(),
        },
    );
    for (flat, several) in [
        (
            &unit as &dyn Layer,
            &UnitNormalization {
                axis: [2, -2].into(),
            } as &dyn Layer,
        ),
        (&softmax, &softmaxes),
    ] {
        let wanted = of_batch(flat, [2, 1, 12], &x, None);
        let both = of_batch(several, [2, 4, 3], &x, None);
        close(&both[0], &wanted[0]);
        close(&both[1], &wanted[1]);
    }
    let shape = [kiln::Shape::from([4, 3])];
    for axes in [vec![], vec![1, 1], vec![1, -2], vec![0, 1], vec![3]] {
        let axis = axes.clone().into();
        let unit = UnitNormalization { axis };
        assert!(unit.output_shape(&shape).is_err(), "{axes:?}");
    }
    // One axis is a number in a file, as it was before there were lists.
    let config = |layer: &dyn Layer| serde_json::to_string(&layer.config()).unwrap();
    assert_eq!(config(&unit), r#"{"axis":-1}"#);
    assert_eq!(config(&softmaxes), r#"{"axis":[1,2]}"#);
}

#[test]
fn directions_of_vectors_whose_squares_are_beyond_f32_are_kept() {
    let graph = Graph::new();
    let (x, w) = (graph.input("x", [3, 2]), graph.input("w", [2, 2]));
    let mut call = kiln::nn::Call::new(&graph);
    let unit = UnitNormalization::default();
    let y = unit.forward(std::slice::from_ref(&x), &mut call);
    let dx = graph.gradients(&y.square().mul(&y), &[&x]).remove(0);
    let dot = Dot {
        axes: (1, 1),
        normalize: true,
    };
    let cosine = dot.forward(&[x.clone(), x.clone()], &mut call);
    let orthogonal = Regularizer::Orthogonal {
        factor: 1.0,
        columns: false,
    };
    let penalty = orthogonal.penalty(&w);
    let dw = graph.gradients(&penalty, &[&w]).remove(0);
    let program = Program::new("p")
        .fetch("y", &y)
        .fetch("dx", &dx)
        .fetch("cosine", &cosine)
        .fetch("penalty", &penalty)
        .fetch("dw", &dw);
    for device in crate::common::devices() {
        let plan = kiln::Plan::compile(&graph, device.target(), [program.clone()]).unwrap();
        let mut session = device.open(&plan).unwrap();
        let rows = [3e20, 4e20, -0.6, 0.8, 0.0, 1e38];
        session.write("x", &rows).unwrap();
        session.write("w", &[3e20, 4e20, 1.0, 0.0]).unwrap();
        session.run("p", 1).unwrap();
        let mut near = |name: &str, wanted: &[f32]| {
            let own = session.read(name).unwrap();
            let mut off = own.iter().zip(wanted).map(|(a, b)| (a - b).abs());
            let near = off.all(|off| off < 1e-5) && own.len() == wanted.len();
            assert!(near, "{name} on {device}: {own:?}, not {wanted:?}");
        };
        near("y", &[0.6, 0.8, -0.6, 0.8, 0.0, 1.0]);
        near("cosine", &[1.0, 1.0, 1.0]);
        near("penalty", &[0.6]);
        // 3·(y² − y·Σ y³)/|x| of the row that is short enough to have slopes.
        let slope = |y: f32| 3.0 * (y * y - y * (0.512 - 0.216));
        near("dx", &[0.0, 0.0, slope(-0.6), slope(0.8), 0.0, 0.0]);
        near("dw", &[0.0, 0.0, 0.0, 0.8]);
    }
}
