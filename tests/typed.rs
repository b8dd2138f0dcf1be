//! Data of other types than f32: tokens and images of bytes train, stream, are evaluated, predicted and kept as numbers are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod common;

use common::{alone, device, devices};
use kiln::data::Samples;
use kiln::nn::Lambda;
use kiln::prelude::*;
use kiln::train::{Every, RunState};

const CLASSES: u32 = 3;

/// Whole numbers below `below`, by a congruential generator.
fn whole(count: usize, below: u32, seed: u64) -> Vec<u32> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % below
    };
    (0..count).map(|_| next()).collect()
}

fn bytes(count: usize) -> Vec<u8> {
    let all = whole(count, 256, 3).into_iter();
    all.map(|byte| byte as u8).collect()
}

fn labels(rows: usize) -> Targets {
    Targets::Labels {
        labels: whole(rows, CLASSES, 11),
        classes: CLASSES as usize,
    }
}

/// Images of `side` × `side` bytes, and the same as numbers.
fn images(rows: usize, side: usize) -> [Dataset; 2] {
    let pixels = bytes(rows * side * side);
    let numbers: Vec<f32> = pixels.iter().map(|&pixel| f32::from(pixel)).collect();
    let numbers = Samples::new(numbers, [side, side, 1]).unwrap();
    [
        Dataset::images(pixels, [side, side, 1], labels(rows)).unwrap(),
        Dataset::from_arrays(numbers, labels(rows)).unwrap(),
    ]
}

/// A classifier of images of this type.
fn of_images(device: &Device, kind: TensorType) -> Model {
    let network = Sequential::new(kind)
        .layer(Rescaling::new(1.0 / 255.0))
        .layer(Flatten)
        .dense(7, Relu)
        .dense(CLASSES as usize, Softmax)
        .seed(5);
    let loss = SparseCategoricalCrossentropy;
    network
        .compile_on(device, loss, Adam::new(0.01), [Accuracy])
        .unwrap()
}

/// All that training leaves: figures of epochs and steps, and weights.
fn outcome(model: &mut Model, history: &History) -> (Vec<u64>, Vec<u32>) {
    let mut figures: Vec<f64> = history.step_losses.clone();
    for epoch in &history.epochs {
        figures.push(epoch.loss);
        figures.extend(epoch.metrics.iter().map(|(_, value)| *value));
        figures.extend(epoch.val_loss);
        figures.extend(epoch.val_metrics.iter().map(|(_, value)| *value));
    }
    (
        figures.into_iter().map(f64::to_bits).collect(),
        weights(model),
    )
}

fn weights(model: &mut Model) -> Vec<u32> {
    let all = model.weights().unwrap().into_iter();
    all.flat_map(|own| own.values).map(f32::to_bits).collect()
}

fn bits(predicted: &Predictions) -> Vec<u32> {
    predicted.values.iter().map(|y| y.to_bits()).collect()
}

/// The rows of a set in pieces of 17.
fn pieces(data: &Dataset) -> impl Iterator<Item = kiln::Result<Dataset>> {
    let starts = (0..data.rows()).step_by(17);
    starts.map(|start| data.select(&(start..data.rows().min(start + 17)).collect::<Vec<_>>()))
}

#[test]
fn images_of_bytes_come_to_the_bits_of_the_same_numbers_however_they_are_brought() {
    let _alone = alone();
    // Rows of 9 and 16 bytes: of words that are not full, and of full ones.
    for (side, rows) in [(3, 101), (4, 64)] {
        let [pixels, numbers] = images(rows, side);
        for device in [devices(), vec![Device::reference()]].concat() {
            let shape = [side, side, 1];
            let trained = |data: &Dataset, kind: TensorType, part: Option<usize>| {
                let mut model = of_images(&device, kind);
                let mut fit = Fit::epochs(2).batch_size(16).validation(data).silent();
                if let Some(part) = part {
                    fit = fit.chunk_rows(part);
                }
                let history = model.fit(data, fit).unwrap();
                let evaluated = model.evaluate(data).unwrap();
                let predicted = bits(&model.predict(data).unwrap());
                (
                    outcome(&mut model, &history),
                    evaluated.loss.to_bits(),
                    predicted,
                )
            };
            let expected = trained(&numbers, TensorType::f32(shape), None);
            for part in [None, Some(16), Some(50)] {
                let found = trained(&pixels, TensorType::u8(shape), part);
                assert!(found == expected, "{device}, side {side}, parts {part:?}");
            }
            // A model of numbers takes bytes as well.
            let widened = trained(&pixels, TensorType::f32(shape), None);
            assert!(widened == expected, "{device}, side {side}");
        }
    }
}

#[test]
fn pieces_of_an_iterator_may_be_bytes_or_tokens() {
    let _alone = alone();
    let [pixels, numbers] = images(50, 3);
    for device in devices() {
        let fit = || Fit::epochs(1).batch_size(8).silent();
        let mut resident = of_images(&device, TensorType::f32([3, 3, 1]));
        let history = resident.fit(&numbers, fit().shuffle(false)).unwrap();
        let expected = outcome(&mut resident, &history);
        let mut streamed = of_images(&device, TensorType::u8([3, 3, 1]));
        let history = streamed.fit_batches(pieces(&pixels), fit()).unwrap();
        assert!(outcome(&mut streamed, &history) == expected, "{device}");

        let data = tokens(50);
        let mut resident = of_tokens(&device);
        let history = resident.fit(&data, fit().shuffle(false)).unwrap();
        let expected = outcome(&mut resident, &history);
        let mut streamed = of_tokens(&device);
        let history = streamed.fit_batches(pieces(&data), fit()).unwrap();
        assert!(outcome(&mut streamed, &history) == expected, "{device}");
    }
}

const TIME: usize = 6;
const WORDS: usize = 9;

fn tokens(rows: usize) -> Dataset {
    let tokens = Samples::new(whole(rows * TIME, WORDS as u32, 5), TIME).unwrap();
    Dataset::from_arrays(tokens, labels(rows)).unwrap()
}

fn of_tokens(device: &Device) -> Model {
    let network = Sequential::new(TensorType::u32([TIME]))
        .layer(CategoryEncoding::one_hot(WORDS))
        .layer(Flatten)
        .dense(5, Tanh)
        .dense(CLASSES as usize, Softmax)
        .seed(2);
    let loss = SparseCategoricalCrossentropy;
    network
        .compile_on(device, loss, Adam::new(0.02), [Accuracy])
        .unwrap()
}

#[test]
fn tokens_train_to_the_bits_of_their_one_hot_rows() {
    let _alone = alone();
    let data = tokens(70);
    let [(_, own)] = data.inputs() else {
        panic!("one input");
    };
    let kiln::data::TypedValues::U32(all) = own.values() else {
        panic!("tokens are u32");
    };
    let one_hot = all
        .iter()
        .flat_map(|&token| (0..WORDS).map(move |word| f32::from(u8::from(word == token as usize))));
    let one_hot = Dataset::new(one_hot.collect(), TIME * WORDS, labels(70)).unwrap();
    for device in devices() {
        let fit = || Fit::epochs(3).batch_size(16).silent();
        let mut of_rows = Sequential::new(TIME * WORDS)
            .dense(5, Tanh)
            .dense(CLASSES as usize, Softmax)
            .seed(2)
            .compile_on(
                &device,
                SparseCategoricalCrossentropy,
                Adam::new(0.02),
                [Accuracy],
            )
            .unwrap();
        let history = of_rows.fit(&one_hot, fit()).unwrap();
        let mut model = of_tokens(&device);
        for part in [None, Some(32)] {
            model = of_tokens(&device);
            let fit = part.map_or_else(fit, |rows| fit().chunk_rows(rows));
            let own = model.fit(&data, fit).unwrap();
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-4;
            let losses = own.step_losses.iter().zip(&history.step_losses);
            assert_eq!(own.steps, history.steps);
            assert!(
                own.epochs.last().unwrap().loss < own.epochs[0].loss,
                "{device}"
            );
            assert!(losses.into_iter().all(close), "{device}, {part:?}");
        }
        // Tokens as they are: a data set, an array, a slice.
        let predicted = model.predict(&data).unwrap();
        assert_eq!(model.predict(own).unwrap(), predicted);
        assert_eq!(model.predict(&all[..]).unwrap(), predicted);
        let one = model.predict(&all[..TIME]).unwrap();
        let pairs = one.values.iter().zip(predicted.values);
        assert_eq!(one.values.len(), CLASSES as usize);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
        let evaluated = model.evaluate(&data).unwrap();
        assert!(evaluated.loss.is_finite());
    }
}

/// Tokens, an image and numbers beside each other, and two outputs.
fn mixed(device: &Device) -> Model {
    let words = Input::named("words", TensorType::u32([TIME]));
    let image = Input::named("image", TensorType::u8([3, 3, 1]));
    let place = Input::named("place", 2);
    let x = Flatten.on(&CategoryEncoding::one_hot(WORDS).on(&words));
    let y = Flatten.on(&Rescaling::new(1.0 / 255.0).on(&image));
    let joined = Concatenate::default().on([&x, &y, &place]);
    let hidden = Dense::new(6).activation(Tanh).on(&joined);
    let kind = Dense::new(CLASSES as usize)
        .activation(Softmax)
        .named("kind")
        .on(&hidden);
    let price = Dense::new(1).named("price").on(&hidden);
    let objectives = [
        Objective::new("kind", SparseCategoricalCrossentropy).metric(Accuracy),
        Objective::new("price", MeanSquaredError),
    ];
    Functional::new([&words, &image, &place], [&kind, &price])
        .seed(8)
        .compile_with(device, objectives, Adam::new(0.03))
        .unwrap()
}

fn mixed_rows(rows: usize) -> Dataset {
    let numbers = |count: usize, seed: u64| -> Vec<f32> {
        let all = whole(count, 2001, seed).into_iter();
        all.map(|x| x as f32 / 1000.0 - 1.0).collect()
    };
    let words = Samples::new(whole(rows * TIME, WORDS as u32, 5), TIME).unwrap();
    let image = Samples::new(bytes(rows * 9), [3, 3, 1]).unwrap();
    let place = Samples::new(numbers(rows * 2, 21), 2).unwrap();
    let price = Targets::Values {
        values: numbers(rows, 22),
        columns: 1,
    };
    // In another order than the model's.
    Dataset::from_inputs(
        [("place", place), ("words", words), ("image", image)],
        [("price", price), ("kind", labels(rows))],
    )
    .unwrap()
}

#[test]
fn inputs_of_three_types_train_beside_each_other_and_go_on_from_a_checkpoint() {
    let _alone = alone();
    let data = mixed_rows(61);
    for device in devices() {
        let fit = || Fit::epochs(3).batch_size(16).silent();
        let mut whole = mixed(&device);
        let history = whole.fit(&data, fit()).unwrap();
        let expected = outcome(&mut whole, &history);
        assert!(history.epochs[2].loss < history.epochs[0].loss, "{device}");
        let mut parted = mixed(&device);
        let history = parted.fit(&data, fit().chunk_rows(16)).unwrap();
        assert!(outcome(&mut parted, &history) == expected, "{device}");

        let mut kept = None;
        let keep = |state: &RunState| {
            kept.get_or_insert_with(|| state.clone());
            Ok(())
        };
        let mut first = mixed(&device);
        first
            .fit(&data, fit().states(Every::Steps(3), keep))
            .unwrap();
        let state = kept.unwrap();
        assert_eq!(state.steps, 3);
        let mut resumed = mixed(&device);
        resumed.fit(&data, fit().resume(state)).unwrap();
        assert!(weights(&mut resumed) == expected.1, "{device}");

        let path = std::env::temp_dir().join(format!("kiln-mixed-{}", std::process::id()));
        whole.save(&path).unwrap();
        let mut loaded = Model::load_on(&device, &path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let predicted = whole.predict(&data).unwrap();
        assert_eq!(loaded.predict(&data).unwrap(), predicted);
        assert_eq!(predicted.rows().len(), 61);
        // By name, in any order, as arrays of their types.
        let named: Vec<(&str, Samples<'static>)> = data
            .inputs()
            .iter()
            .map(|(name, own)| (name.as_str(), own.clone()))
            .collect();
        assert_eq!(loaded.predict(&named[..]).unwrap(), predicted);
        let evaluated = loaded.evaluate(&data).unwrap();
        assert_eq!(evaluated.loss, whole.evaluate(&data).unwrap().loss);
    }
}

#[test]
fn sixty_thousand_images_of_784_bytes_take_less_than_50_megabytes_on_the_device() {
    let _alone = alone();
    let Some(device) = device() else {
        return;
    };
    let rows = 60_000;
    let data = Dataset::images(bytes(rows * 784), [28, 28, 1], labels(rows)).unwrap();
    let before = device.counters();
    let mut model = of_images(device, TensorType::u8([28, 28, 1]));
    let fit = Fit::epochs(1).batch_size(128).silent();
    let history = model.fit(&data, fit).unwrap();
    assert_eq!(history.steps, 469);
    let held = device.counters().bytes - before.bytes;
    println!("{held} bytes");
    assert!((47_040_000..=50_000_000).contains(&held), "{held} bytes");
    assert!(device.counters().peak_bytes - before.bytes <= 50_000_000);
}

#[test]
fn derivatives_by_bytes_are_those_by_the_numbers_and_integers_have_none() {
    let mut model = of_images(&Device::cpu(), TensorType::u8([3, 3, 1]));
    let [pixels, numbers] = images(4, 3);
    let found = model.gradients(&pixels, |y| y[0].slice(1, 0, 1)).unwrap();
    let mut other = of_images(&Device::cpu(), TensorType::f32([3, 3, 1]));
    let expected = other.gradients(&numbers, |y| y[0].slice(1, 0, 1)).unwrap();
    assert_eq!(found, expected);
    let mut model = of_tokens(&Device::cpu());
    let found = model
        .gradients(&tokens(3), |y| y[0].slice(1, 0, 1))
        .unwrap();
    assert!(found.inputs.is_empty());
    assert!(
        found
            .weights
            .iter()
            .any(|own| own.values.iter().any(|&x| x != 0.0))
    );
}

fn says<T: std::fmt::Debug>(result: kiln::Result<T>, parts: &[&str]) {
    let message = result.expect_err("it is refused").to_string();
    for part in parts {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn types_that_do_not_fit_are_refused_by_name() {
    let device = Device::cpu();
    let compiled =
        |network: Sequential| network.compile_on(&device, MeanSquaredError, Sgd::new(0.1), []);
    // A layer of numbers says so with its name.
    let words = || TensorType::u32([TIME]);
    let direct = Sequential::new(words()).layer(Dense::new(2).named("first"));
    says(
        compiled(direct),
        &["first", "f32", "[6] u32", "CategoryEncoding"],
    );
    let encoded = Sequential::new(TIME).layer(CategoryEncoding::one_hot(4));
    says(compiled(encoded), &["category_encoding", "u32"]);
    let none = Sequential::new(words()).layer(CategoryEncoding::one_hot(0));
    says(compiled(none), &["category_encoding", "got 0"]);
    let moved = Sequential::new(words()).layer(Flatten);
    says(compiled(moved), &["outputs", "f32", "u32"]);
    let half = Sequential::new(TensorType::f16([2])).dense(1, Linear);
    says(compiled(half), &["f16"]);
    // A closure may take what it likes.
    let closure = Sequential::new(words())
        .layer(Lambda::new(|x| x[0].one_hot(WORDS)))
        .layer(Flatten)
        .dense(1, Linear);
    compiled(closure).unwrap();

    let fit = || Fit::epochs(1).silent();
    let numbers = Dataset::new(vec![0.5; 4 * TIME], TIME, labels(4)).unwrap();
    let of_numbers = of_tokens(&device).fit(&numbers, fit());
    says(of_numbers, &["takes u32", "values are f32"]);
    let mut of_rows = compiled(Sequential::new(TIME).dense(1, Linear)).unwrap();
    says(
        of_rows.fit(&tokens(4), fit()),
        &["takes f32", "values are u32"],
    );
    says(
        of_rows.predict(&[1u32, 2, 3, 4, 5, 6]),
        &["takes f32", "u32"],
    );
    says(tokens(3).scaled(2.0), &["f32", "u32"]);
    says(
        Dataset::images(vec![0; 17], [2, 2, 1], labels(4)),
        &["17 pixels", "rows of 4"],
    );
    // A token that there is no word for is found as other numbers that are not finite.
    let beyond = Samples::new(vec![WORDS as u32; TIME * 2], TIME).unwrap();
    let beyond = Dataset::from_arrays(beyond, labels(2)).unwrap();
    let found = of_tokens(&device).find_nan(&beyond, 2).unwrap();
    assert!(found.is_some());
}
