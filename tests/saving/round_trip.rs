//! A trained model of every layer predicts the same bits after it was saved and loaded.

use crate::common;

use std::collections::BTreeSet;

use kiln::data::Array;
use kiln::nn::{ActivityRegularization, Regularizer, built_in_classes};
use kiln::prelude::*;

fn numbers(count: usize) -> Vec<f32> {
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
    (0..count).map(number).collect()
}

/// Samples of four rows of six numbers, and two shares.
fn every_layer() -> Functional {
    let input = Input::named("a", [4, 6]);
    let flat = Flatten.on(&input);
    // What normalises, one after the other.
    let x = Permute::new([2, 1]).on(&Rescaling {
        scale: 3.0,
        offset: 0.1,
    }
    .on(&input));
    let dense = Dense::new(6)
        .activation(Tanh)
        .kernel_regularizer(Regularizer::L2(1e-3));
    // A model within, which draws, keeps states and is penalised.
    let inner = Sequential::new([6, 4])
        .layer(dense)
        .layer(BatchNormalization::default())
        .layer(Dropout::new(0.1));
    let x = Functional::from(inner).named("inner").on(&x);
    let x = BatchNormalization {
        momentum: 0.7,
        ..Default::default()
    }
    .on(&x);
    let x = PRelu {
        shared_axes: [1].into(),
        ..Default::default()
    }
    .on(&x);
    let x = LayerNormalization {
        dims: 2,
        ..Default::default()
    }
    .on(&x);
    let x = GroupNormalization::new(3).on(&Dense::new(6).on(&x));
    let x = RMSNormalization::default().on(&x);
    let x = UnitNormalization {
        axis: kiln::nn::Axes::One(1),
    }
    .on(&x);
    let x = kiln::nn::Softmax {
        axis: kiln::nn::Axes::One(1),
    }
    .on(&x);
    // What draws.
    let y = Dropout::new(0.2).on(&Dense::new(12).on(&flat));
    let y = AlphaDropout::new(0.1).on(&Selu.on(&y));
    let y = GaussianNoise::new(0.05).on(&GaussianDropout::new(0.1).on(&y));
    let y = RepeatVector::new(3).on(&y);
    let x = Reshape::new([3, -1]).on(&x);
    // What merges.
    let merged = [
        Add.on([&x, &y]),
        Subtract.on([&x, &y]),
        Multiply.on([&x, &y]),
        Average.on([&x, &y]),
        Maximum.on([&x, &y]),
        Minimum.on([&x, &y]),
    ];
    let joined = Concatenate { axis: 1 }.on(&merged[..]);
    let dots = Dot {
        axes: (2, 2),
        normalize: true,
    }
    .on([&joined, &x]);
    let dots = ActivityRegularization { l1: 1e-3, l2: 1e-3 }.on(&dots);
    let last = Dense::new(2).activation(Softmax);
    Functional::new(&input, &last.on(&Flatten.on(&dots))).seed(3)
}

/// A model of inputs that are no numbers: tokens, and an image of bytes.
fn typed_inputs() -> Functional {
    let tokens = Input::named("tokens", TensorType::u32([5]));
    let image = Input::named("image", TensorType::u8([3, 3, 1]));
    let words = Flatten.on(&CategoryEncoding::one_hot(7).on(&tokens));
    let pixels = Flatten.on(&Rescaling::new(1.0 / 255.0).on(&image));
    let joined = Concatenate::default().on([&words, &pixels]);
    Functional::new([&tokens, &image], &Dense::new(2).on(&joined)).seed(5)
}

#[test]
fn the_models_have_every_layer_that_a_file_can_hold() {
    let models = [every_layer(), typed_inputs()];
    let used: BTreeSet<&str> = models
        .iter()
        .flat_map(|model| model.layers().map(|(_, layer)| layer.class()))
        .collect();
    // A layer that is new among these needs a place in the models above.
    assert_eq!(used, built_in_classes().collect());
}

#[test]
fn types_of_inputs_survive_saving_and_loading() {
    let (device, sgd) = (Device::cpu(), Sgd::new(0.1));
    let mut model = typed_inputs()
        .compile_on(&device, MeanSquaredError, sgd, [])
        .unwrap();
    let path = std::env::temp_dir().join(format!("kiln-typed-{}", std::process::id()));
    model.save(&path).unwrap();
    let loaded = Model::load_on(&device, &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.architecture(), model.architecture());
    assert_eq!(loaded.summary(), model.summary());
    assert!(model.summary().contains("(any, 3, 3, 1) u8"));
    assert!(model.summary().contains("(any, 5) u32"));
}

/// The classes of the layers that the sources hold: what follows `impl Layer for`, or the names that a macro is given.
fn classes_in_the_sources() -> BTreeSet<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/nn");
    let mut classes = BTreeSet::new();
    let (mut open, mut files) = (vec![folder], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let list = if path.is_dir() { &mut open } else { &mut files };
            list.push(path);
        }
    }
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let name = |text: &str| -> String {
            let letter = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            text.chars().take_while(letter).collect()
        };
        let own = text.lines().filter_map(|line| {
            let implemented = line.strip_prefix("impl Layer for ")?;
            Some(name(implemented))
        });
        classes.extend(own);
        if text.contains("impl Layer for $name") {
            // One line or more of the macro's call for each.
            let call = text.rsplit_once("\n}\n\n").unwrap().1;
            let named = call.lines().filter_map(|line| line.strip_prefix("    "));
            let named = named.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
            classes.extend(named.map(name).filter(|name| !name.is_empty()));
        }
    }
    classes
}

#[test]
fn model_files_know_every_layer_that_there_is() {
    // A closure is no data.
    let unsaved = ["Lambda"];
    let known: BTreeSet<String> = built_in_classes()
        .chain(unsaved)
        .map(str::to_ascii_lowercase)
        .collect();
    let there = classes_in_the_sources();
    assert!(there.len() >= 28, "only {there:?} were found");
    let there: BTreeSet<String> = there.iter().map(|c| c.to_ascii_lowercase()).collect();
    assert_eq!(there, known);
}

fn predictions_survive(device: &Device, file: &str) {
    println!("on {device}");
    let loss = CategoricalCrossentropy;
    let mut model = every_layer()
        .compile_on(device, loss, Adam::new(0.01), [Accuracy])
        .unwrap();
    let rows = 50;
    let shares = numbers(rows).into_iter().flat_map(|x| {
        let first = f32::from(u8::from(x > 0.0));
        [first, 1.0 - first]
    });
    let targets = Targets::Values {
        values: shares.collect(),
        columns: 2,
    };
    let data = Dataset::new(numbers(rows * 24), 24, targets).unwrap();
    let x = numbers(300 * 24);
    let bits = |model: &mut Model| -> Vec<u32> {
        let predicted = model.predict(&x).unwrap();
        predicted.values.iter().map(|y| y.to_bits()).collect()
    };
    let before = bits(&mut model);
    // The last batch is a ragged one.
    model
        .fit(&data, Fit::epochs(3).batch_size(16).silent())
        .unwrap();
    let trained = bits(&mut model);
    assert_ne!(trained, before, "training changes the predictions");
    let finite = |bits: &u32| f32::from_bits(*bits).is_finite();
    assert!(trained.iter().all(finite));
    let path = std::env::temp_dir().join(format!("kiln-{file}-{}", std::process::id()));
    model.save(&path).unwrap();
    let mut loaded = Model::load_on(device, &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(bits(&mut loaded), trained);
    assert_eq!(loaded.architecture(), model.architecture());
    assert_eq!(loaded.summary(), model.summary());
    let weights = |model: &mut Model| -> Vec<(String, Vec<u32>)> {
        let weights = model.weights().unwrap().into_iter();
        let bits = |values: Vec<f32>| values.iter().map(|w| w.to_bits()).collect();
        weights.map(|w| (w.name, bits(w.values))).collect()
    };
    assert_eq!(weights(&mut loaded), weights(&mut model));
}

#[test]
fn a_trained_model_of_every_layer_predicts_the_same_bits_after_saving_and_loading() {
    predictions_survive(&Device::cpu(), "round-trip-cpu");
}

/// A model file as version 2 of the format has it, and what that model predicted. A file of each version stays here for ever.
const VERSION_2: [&str; 2] = [
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/files/model-2.safetensors"
    ),
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/files/model-2.predictions.npy"
    ),
];

#[test]
#[ignore = "writes the files, which is done once for a version"]
fn a_model_file_of_this_version_is_written() {
    let [file, predictions] = VERSION_2;
    assert!(!std::path::Path::new(file).exists());
    let (loss, optimizer) = (CategoricalCrossentropy, Adam::new(0.01));
    let mut model = every_layer()
        .compile_on(&Device::cpu(), loss, optimizer, [Accuracy])
        .unwrap();
    model.save(file).unwrap();
    let predicted = model.predict(&numbers(10 * 24)).unwrap();
    let array = Array::from_f32(&[10, 2], &predicted.values).unwrap();
    array.save(predictions).unwrap();
}

#[test]
fn a_model_file_of_version_2_is_read() {
    let [file, predictions] = VERSION_2;
    let cpu = Device::cpu();
    let mut model = Model::load_on(&cpu, file).unwrap();
    let classes: BTreeSet<_> = model
        .architecture()
        .layers()
        .map(|(_, layer)| layer.class())
        .collect();
    assert!(classes.len() >= 28, "{classes:?}");
    let summary = model.summary();
    for words in ["categorical_crossentropy", "adam"] {
        assert!(summary.to_lowercase().contains(words), "{summary}");
    }
    let then = Array::load(predictions).unwrap().to_f32().unwrap();
    let now = model.predict(&numbers(10 * 24)).unwrap();
    for (then, now) in then.iter().zip(&now.values) {
        assert!((then - now).abs() < 1e-4, "{then} then, {now} now");
    }
    assert_eq!(then.len(), now.values.len());
    // One of a version to come is refused as such.
    let text = std::fs::read(file).unwrap();
    let (from, to) = (&b"\"version\":\"2\""[..], &b"\"version\":\"9\""[..]);
    let at = text
        .windows(from.len())
        .position(|part| part == from)
        .unwrap();
    let later = [&text[..at], to, &text[at + from.len()..]].concat();
    let message = Model::from_bytes(&cpu, &later).unwrap_err().to_string();
    assert!(
        message.contains("\"9\"") && message.contains("is not known"),
        "{message}"
    );
}

#[test]
fn and_so_it_does_on_a_gpu() {
    if let Some(device) = common::device() {
        predictions_survive(device, "round-trip-gpu");
    }
}
