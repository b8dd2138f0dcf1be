//! Layers of normalisation, dropout and noise in models: what they do in training, afterwards, and in files.

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
    let layer = BatchNormalization::new().momentum(0.5);
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
    let one = model.predict(data.row(5).unwrap()).unwrap();
    assert!((all.values()[5] - one.values()[0]).abs() < 1e-5);
}

#[test]
fn a_frozen_batch_normalisation_leaves_its_averages_alone() {
    let data = data(40);
    let mut model = compile(
        Sequential::new(3)
            .layer(BatchNormalization::new().trainable(false))
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
        .layer(PRelu::new())
        .layer(LayerNormalization::new())
        .layer(Dropout::new(0.1))
        .dense(16, Selu)
        .layer(AlphaDropout::new(0.05))
        .layer(RMSNormalization::new())
        .layer(GaussianDropout::new(0.05))
        .dense(8, Linear)
        .layer(UnitNormalization::new())
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
        refused(Dropout::new(rate).shared(), "rate");
        refused(AlphaDropout::new(rate).shared(), "rate");
        refused(GaussianDropout::new(rate).shared(), "rate");
    }
    refused(GaussianNoise::new(-1.0).shared(), "deviation");
    refused(BatchNormalization::new().momentum(1.5).shared(), "momentum");
    refused(BatchNormalization::new().epsilon(0.0).shared(), "epsilon");
    refused(
        LayerNormalization::new().epsilon(f32::NAN).shared(),
        "epsilon",
    );
    refused(RMSNormalization::new().epsilon(-1.0).shared(), "epsilon");
}
