//! Files that Python's packages read, and files that they write: `tests/python.sh` has the other half.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;

use kiln::data::{Array, npy};
use kiln::prelude::*;
use kiln::train::TensorBoard;
use serde_json::{Value, json};

/// Where both halves look.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interchange")
}

fn data() -> Dataset {
    let x: Vec<[f32; 3]> = (0..60)
        .map(|i| [i as f32 / 60.0, (i % 7) as f32 / 7.0, (i % 5) as f32 - 2.0])
        .collect();
    let y: Vec<[f32; 1]> = x.iter().map(|x| [x[0] - x[1] * x[2]]).collect();
    Dataset::from_rows(&x, &y).unwrap()
}

fn model() -> Model {
    let network = Sequential::new(3).dense(5, Tanh).dense(1, Linear).seed(3);
    network
        .compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.01), [])
        .unwrap()
}

/// Numbers by their bits, which JSON keeps.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_run_leaves_model_files_arrays_and_event_files_for_python() {
    let folder = folder();
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    let (train, test) = data().split(0.5, 1).unwrap();
    let mut model = model();
    let board = TensorBoard::new(folder.join("board")).histograms(2);
    let fit = Fit::epochs(4)
        .batch_size(8)
        .validation(&test)
        .callback(board);
    let history = model.fit(&train, fit.silent()).unwrap();
    model.save(folder.join("model.safetensors")).unwrap();
    model
        .save_weights(folder.join("weights.safetensors"))
        .unwrap();
    let x = [0.25f32, -0.5, 1.5, 0.75, 0.125, -1.0];
    let array = Array::from_f32(&[2, 3], &x).unwrap();
    let long: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
    let long = Array::from_f32(&[10, 20, 5], &long).unwrap();
    array.save(folder.join("x.npy")).unwrap();
    npy::save_all(folder.join("arrays.npz"), [("x", &array), ("long", &long)]).unwrap();

    let weights = model.weights().unwrap();
    let of_weights = weights.iter().map(|weights| {
        let told = json!({ "shape": weights.shape.dims(), "bits": bits(&weights.values) });
        (weights.name.clone(), told)
    });
    let losses: Vec<f64> = history.epochs.iter().map(|epoch| epoch.loss).collect();
    let val_losses: Vec<Option<f64>> = history.epochs.iter().map(|epoch| epoch.val_loss).collect();
    let expected = json!({
        "weights": Value::Object(of_weights.collect()),
        "x": bits(&x),
        "long": bits(&long.to_f32().unwrap()),
        "predictions": model.predict(&x[..]).unwrap().values,
        "train": { "epoch_loss": losses },
        "validation": { "epoch_loss": val_losses },
        "histogram_steps": [1, 3],
    });
    fs::write(folder.join("expected.json"), expected.to_string()).unwrap();
}

#[test]
#[ignore = "reads what tests/python.sh has had Python write"]
fn what_python_writes_is_read_to_the_bit() {
    let folder = folder();
    let text = fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let mut model = model();
    model
        .load_weights(folder.join("from_python.safetensors"))
        .unwrap();
    for weights in model.weights().unwrap() {
        // Python has doubled them.
        let halved: Vec<f32> = weights.values.iter().map(|value| value / 2.0).collect();
        assert_eq!(
            json!(bits(&halved)),
            expected["weights"][&weights.name]["bits"]
        );
    }
    for file in ["from_python.npz", "from_python_compressed.npz"] {
        let arrays = npy::load_all(folder.join(file)).unwrap();
        assert_eq!(json!(bits(&arrays["x"].to_f32().unwrap())), expected["x"]);
        assert_eq!(arrays["labels"].to_labels().unwrap(), [0, 2, 1]);
    }
}
