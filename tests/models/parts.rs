//! Parts of models, weights that go from one to another, layers that are frozen and trained again.

use kiln::prelude::*;

use super::common::device;

fn data() -> Dataset {
    let x: Vec<[f32; 3]> = (0..40)
        .map(|i| [0, 1, 2].map(|j| ((i * 7 + j * 13) % 17) as f32 / 17.0))
        .collect();
    Dataset::from_rows(&x, &x).unwrap()
}

/// 3-5-2-5-3, whose narrow layer is called `code`.
fn autoencoder(seed: u64, base_trainable: bool) -> Functional {
    let input = Input::named("x", 3);
    let wide = Dense::new(5)
        .activation(Tanh)
        .named("wide")
        .trainable(base_trainable)
        .on(&input);
    let normal = BatchNormalization::default().named("normal").on(&wide);
    let code = Dense::new(2).named("code").on(&normal);
    let back = Dense::new(5).activation(Tanh).on(&code);
    let output = Dense::new(3).named("decoded").on(&back);
    Functional::new([&input], [&output]).seed(seed)
}

fn compiled(device: &Device, architecture: Functional) -> Model {
    let optimizer = Adam::new(0.01);
    let model = architecture.compile_on(
        device,
        MeanSquaredError,
        optimizer,
        [Metric::MeanAbsoluteError],
    );
    model.unwrap()
}

fn fit<'a>(epochs: u64) -> Fit<'a> {
    Fit::epochs(epochs).batch_size(8).silent()
}

#[test]
fn encoder_and_decoder_are_parts_of_an_autoencoder() {
    let Some(device) = device() else { return };
    let mut whole = compiled(device, autoencoder(3, true));
    let data = data();
    whole.fit(&data, fit(5)).unwrap();
    let mut encoder = whole.part(["x"], ["code"]).unwrap();
    let mut decoder = whole.part(["code"], ["decoded"]).unwrap();
    let codes = encoder.predict(&data).unwrap();
    assert_eq!(codes.columns, 2);
    let decoded = decoder.predict(&codes.values[..]).unwrap();
    assert_eq!(decoded.values, whole.predict(&data).unwrap().values);
    // Names are those of the whole.
    let names = |model: &mut Model| -> Vec<String> {
        model
            .weights()
            .unwrap()
            .into_iter()
            .map(|own| own.name)
            .collect()
    };
    let encoders = [
        "wide/kernel",
        "wide/bias",
        "normal/gamma",
        "normal/beta",
        "normal/moving_mean",
        "normal/moving_variance",
        "code/kernel",
        "code/bias",
    ];
    assert_eq!(names(&mut encoder), encoders);
    assert_eq!(
        names(&mut decoder),
        [
            "dense/kernel",
            "dense/bias",
            "decoded/kernel",
            "decoded/bias"
        ]
    );
    // The parts have what the whole learns on.
    whole.fit(&data, fit(1)).unwrap();
    assert_ne!(encoder.predict(&data).unwrap(), codes);
    let codes = encoder.predict(&data).unwrap();
    let decoded = decoder.predict(&codes.values[..]).unwrap();
    assert_eq!(decoded.values, whole.predict(&data).unwrap().values);
    assert_eq!(
        encoder.weights().unwrap()[..],
        whole.weights().unwrap()[..8]
    );
    // And the whole what a part learns.
    encoder.fit(&coded(&data), fit(3)).unwrap();
    assert_eq!(
        encoder.weights().unwrap()[..],
        whole.weights().unwrap()[..8]
    );
    let codes = encoder.predict(&data).unwrap();
    let decoded = decoder.predict(&codes.values[..]).unwrap();
    assert_eq!(decoded.values, whole.predict(&data).unwrap().values);
    let mut again = whole.part(["x"], ["code"]).unwrap();
    assert_eq!(again.predict(&data).unwrap(), codes);
    // Parts of a part too, and weights that are set.
    let mut first = encoder.part(["x"], ["wide"]).unwrap();
    let bias = [0.5f32; 5];
    whole.set_weights([("wide/bias", &bias[..])]).unwrap();
    assert_eq!(first.weights().unwrap()[1].values, bias);
    first
        .set_weights([("wide/bias", &[0.25f32; 5][..])])
        .unwrap();
    assert_eq!(whole.weights().unwrap()[1].values, [0.25; 5]);
    let kept = whole.snapshot().unwrap();
    first.set_weights([("wide/bias", &bias[..])]).unwrap();
    whole.restore(&kept).unwrap();
    assert_eq!(first.weights().unwrap()[1].values, [0.25; 5]);
    // A part of the whole is the whole.
    let mut all = whole.part(["x"], ["decoded"]).unwrap();
    assert_eq!(all.evaluate(&data).unwrap(), whole.evaluate(&data).unwrap());
}

/// Codes to learn in place of those that the autoencoder finds.
fn coded(data: &Dataset) -> Dataset {
    let values = (0..40).flat_map(|i| [i as f32 / 40.0, 0.5]).collect();
    let targets = Targets::Values { values, columns: 2 };
    Dataset::new(data.features().to_vec(), 3, targets).unwrap()
}

/// An autoencoder with a second output, `kind`, over its code.
fn with_head(device: &Device) -> Model {
    let input = Input::named("x", 3);
    let code = Dense::new(2).activation(Tanh).named("code").on(&input);
    let decoded = Dense::new(3).named("decoded").on(&code);
    let kind = Dense::new(2).activation(Softmax).named("kind").on(&code);
    let network = Functional::new([&input], [&decoded, &kind]).seed(4);
    let objectives = [
        Objective::new("decoded", MeanSquaredError),
        Objective::new("kind", SparseCategoricalCrossentropy).metric(Accuracy),
    ];
    let model = network.compile_with(device, objectives, Adam::new(0.02));
    model.unwrap()
}

#[test]
fn a_head_that_learns_over_a_frozen_encoder_is_the_wholes() {
    let Some(device) = device() else { return };
    for device in [&Device::cpu(), device] {
        let mut whole = with_head(device);
        let mut decoder = whole.part(["x"], ["decoded"]).unwrap();
        let mut head = whole.part(["x"], ["kind"]).unwrap();
        decoder.fit(&data(), fit(3)).unwrap();
        let before = whole.weights().unwrap();
        head.set_trainable("code", false).unwrap();
        let labels: Vec<u32> = (0..40).map(|i| u32::from(i % 3 == 0)).collect();
        let labelled = Dataset::new(data().features().to_vec(), 3, labels).unwrap();
        head.fit(&labelled, fit(5)).unwrap();
        let after = whole.weights().unwrap();
        // code and decoded stay, kind has learned.
        assert_eq!(after[..4], before[..4], "{device}");
        assert_ne!(after[4..], before[4..], "{device}");
        let own = whole.predict(&data()).unwrap();
        let kinds = head.predict(&data()).unwrap().values;
        assert_eq!(own.output("kind").unwrap().values, kinds, "{device}");
        assert_eq!(
            own.output("decoded").unwrap().values,
            decoder.predict(&data()).unwrap().values
        );
        // A step at a time too, in turns.
        for _ in 0..3 {
            decoder.train_on_batch(&data()).unwrap();
            head.train_on_batch(&labelled).unwrap();
        }
        let weights = whole.weights().unwrap();
        assert_eq!(weights[..4], decoder.weights().unwrap()[..4]);
        assert_eq!(weights[4..], head.weights().unwrap()[2..]);
    }
}

#[test]
fn a_part_has_the_weights_of_its_whole_within_callbacks() {
    let Some(device) = device() else { return };
    for device in [&Device::cpu(), device] {
        let mut whole = compiled(device, autoencoder(3, true));
        let mut encoder = whole.part(["x"], ["code"]).unwrap();
        let mut codes = Vec::new();
        let mut weights = Vec::new();
        let told = kiln::train::Lambda::new(|moment: &mut kiln::train::Moment<'_>| {
            codes.push(encoder.weights()?);
            weights.push(moment.model.weights()?);
            Ok(())
        });
        whole.fit(&data(), fit(3).callback(told)).unwrap();
        assert_eq!(codes.len(), 3);
        for (codes, weights) in codes.iter().zip(&weights) {
            assert_eq!(codes[..], weights[..8], "{device}");
        }
        assert_ne!(codes[0], codes[2]);
    }
}

#[test]
fn a_dropped_run_leaves_its_parts_with_one_state_or_another_and_never_a_mixture() {
    let Some(device) = device() else { return };
    for device in [&Device::cpu(), device] {
        let mut whole = compiled(device, autoencoder(3, true));
        let mut encoder = whole.part(["x"], ["code"]).unwrap();
        let data = data();
        whole.fit(&data, fit(1)).unwrap();
        let before = encoder.weights().unwrap();
        let own = whole.weights().unwrap();
        let mut polls = 0;
        {
            let slice = std::time::Duration::ZERO;
            let mut run = std::pin::pin!(whole.fit_async(&data, fit(1000).slice(slice)));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            while polls < 400 && run.as_mut().poll(&mut context).is_pending() {
                polls += 1;
                if device.adapter_summary().is_some() {
                    // What was submitted takes its time, which a poll does not wait for.
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        }
        assert_eq!(polls, 400, "the run is dropped in its midst");
        // What was handed on last; nothing can be learned beside what is not handed on yet.
        assert_eq!(encoder.weights().unwrap(), before, "{device}");
        let refusal = encoder.fit(&coded(&data), fit(1)).unwrap_err().to_string();
        assert!(refusal.contains("was dropped"), "{refusal}");
        let bias = [0.0f32; 2];
        let refusal = encoder.set_weights([("code/bias", &bias[..])]);
        assert!(refusal.unwrap_err().to_string().contains("was dropped"));
        assert_eq!(encoder.weights().unwrap(), before);
        // The model that learned is used, and hands on.
        let after = whole.weights().unwrap();
        assert_ne!(after, own, "{device}");
        assert_eq!(encoder.weights().unwrap()[..], after[..8]);
        encoder.fit(&coded(&data), fit(1)).unwrap();
        assert_eq!(
            encoder.weights().unwrap()[..],
            whole.weights().unwrap()[..8]
        );
        assert_eq!(whole.weights().unwrap()[8..], after[8..]);
        // One that is gone holds nothing back.
        let run = whole.fit_async(&data, fit(1000).slice(std::time::Duration::ZERO));
        {
            let mut run = std::pin::pin!(run);
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(run.as_mut().poll(&mut context).is_pending());
        }
        drop(whole);
        encoder.fit(&coded(&data), fit(1)).unwrap();
    }
}

#[test]
fn a_part_that_a_callback_takes_has_what_the_run_learns_on() {
    let mut whole = compiled(&Device::cpu(), autoencoder(3, true));
    let mut encoder = None;
    let taken = kiln::train::Lambda::new(|moment: &mut kiln::train::Moment<'_>| {
        if encoder.is_none() {
            encoder = Some(moment.model.part(["x"], ["code"])?);
        }
        Ok(())
    });
    whole.fit(&data(), fit(3).callback(taken)).unwrap();
    let mut encoder = encoder.unwrap();
    assert_eq!(
        encoder.weights().unwrap()[..],
        whole.weights().unwrap()[..8]
    );
    let weights = whole.weights().unwrap();
    encoder.fit(&coded(&data()), fit(1)).unwrap();
    assert_ne!(whole.weights().unwrap(), weights);
}

#[test]
fn parts_are_used_on_other_threads_and_do_not_learn_beside_their_whole() {
    let mut whole = compiled(&Device::cpu(), autoencoder(3, true));
    let mut encoder = whole.part(["x"], ["code"]).unwrap();
    let data = data();
    let mut asked = 0;
    let beside = kiln::train::Lambda::new(|moment: &mut kiln::train::Moment<'_>| {
        let weights = moment.model.weights()?;
        std::thread::scope(|scope| {
            let used = scope.spawn(|| {
                assert_eq!(encoder.weights().unwrap()[..], weights[..8]);
                let refusal = encoder.fit(&coded(&data), fit(1)).unwrap_err().to_string();
                assert!(refusal.contains("is trained now"), "{refusal}");
            });
            used.join().unwrap();
        });
        asked += 1;
        Ok(())
    });
    whole.fit(&data, fit(2).callback(beside)).unwrap();
    assert_eq!(asked, 2);
    encoder.fit(&coded(&data), fit(1)).unwrap();
    assert_eq!(
        encoder.weights().unwrap()[..],
        whole.weights().unwrap()[..8]
    );
}

#[test]
fn a_part_has_branches_shared_layers_and_preprocessing_as_the_whole() {
    let (a, b) = (Input::named("a", 2), Input::named("b", 2));
    let tower = Dense::new(3).activation(Tanh).named("tower");
    let joined = Concatenate::default()
        .named("joined")
        .on([&tower.on(&a), &tower.on(&b)]);
    let output = Dense::new(1).named("output").on(&joined);
    let mut whole = compiled(&Device::cpu(), Functional::new([&a, &b], [&output]));
    let mut part = whole.part(["b", "a"], ["joined"]).unwrap();
    assert_eq!(part.weights().unwrap().len(), 2);
    let one = [0.25f32, -0.5];
    let two = [1.0f32, 2.0];
    let y = part
        .predict(&[("a", &one[..]), ("b", &two[..])])
        .unwrap()
        .values;
    let kernel = whole.weights().unwrap().remove(0).values;
    let of = |x: [f32; 2], unit: usize| (x[0] * kernel[unit] + x[1] * kernel[3 + unit]).tanh();
    for unit in 0..3 {
        assert!((y[unit] - of(one, unit)).abs() < 1e-6);
        assert!((y[3 + unit] - of(two, unit)).abs() < 1e-6);
    }
    let refused =
        |inputs: &[&'static str], outputs: &[&'static str], part: &str, whole: &mut Model| {
            let outcome = whole.part(inputs.iter().copied(), outputs.iter().copied());
            let refusal = outcome.unwrap_err().to_string();
            assert!(refusal.contains(part), "{refusal}");
        };
    refused(&["a"], &["joined"], "lack `b`", &mut whole);
    refused(&["a", "b"], &["tower"], "several times", &mut whole);
    refused(&["a", "b"], &["code"], "`code`", &mut whole);
    refused(&["joined", "a"], &["output"], "`a`", &mut whole);
    refused(&["joined"], &["joined"], "`joined`", &mut whole);
    refused(&["joined", "joined"], &["output"], "`joined`", &mut whole);
    refused(&["joined"], &[], "no output", &mut whole);

    let rows = Dataset::from_rows(&[[10.0], [20.0], [30.0]], &[[0.0], [0.5], [1.0]]).unwrap();
    let network = Sequential::new(1)
        .layer(Dense::new(2).named("first"))
        .dense(1, Linear);
    let network = network.preprocessing(kiln::Scaler::standard(&rows).unwrap());
    let mut whole = compiled(&Device::cpu(), network.into());
    let mut first = whole.part(["input"], ["first"]).unwrap();
    let kernel = whole.weights().unwrap().remove(0).values;
    // The middle of the three rows is scaled to 0, the last to √1.5.
    let y = first.predict(&[[20.0f32], [30.0]]).unwrap().values;
    assert_eq!(y[..2], [0.0, 0.0]);
    assert!((y[2] - kernel[0] * 1.5f32.sqrt()).abs() < 1e-6);
}

#[test]
fn a_part_goes_without_the_settings_of_layers_that_it_lacks() {
    let optimizer = Adam::new(0.01).learning_rate_factor("decoded", 0.1);
    let objective = Objective::new("decoded", MeanSquaredError);
    let compiled = autoencoder(3, true).compile_with(&Device::cpu(), [objective], optimizer);
    let mut whole = compiled.unwrap();
    let data = data();
    whole.fit(&data, fit(1)).unwrap();
    let mut encoder = whole.part(["x"], ["code"]).unwrap();
    assert_eq!(encoder.predict(&data).unwrap().columns, 2);
}

#[test]
fn an_output_by_the_name_of_its_layer_keeps_loss_and_metrics() {
    let input = Input::named("x", 2);
    let output = Dense::new(1).named("layer").on(&input);
    let network = Functional::new([&input], [("price", &output)]);
    let objective =
        Objective::new("price", Loss::MeanAbsoluteError).metric(Metric::MeanSquaredError);
    let compiled = network.compile_with(&Device::cpu(), [objective], Adam::new(0.01));
    let mut whole = compiled.unwrap();
    let mut part = whole.part(["x"], ["layer"]).unwrap();
    let data = Dataset::from_rows(&[[1.0, 2.0], [3.0, -1.0]], &[[1.0], [2.5]]).unwrap();
    assert_eq!(
        part.evaluate(&data).unwrap(),
        whole.evaluate(&data).unwrap()
    );
}

/// Rows of `text` under these columns, told apart by `kind`.
#[cfg(feature = "csv")]
fn kinds(text: &str) -> Dataset {
    let csv = Csv::new().target("kind").labels();
    csv.read_from(text.as_bytes(), "kinds.csv").unwrap()
}

#[cfg(feature = "csv")]
#[test]
fn parts_know_the_names_of_columns_and_classes() {
    let data = kinds("a,b,kind\n1,20,x\n2,10,y\n3,50,x\n4,20,z\n");
    let turned = kinds("b,a,kind\n20,1,x\n10,2,y\n50,3,x\n20,4,z\n");
    let network = || {
        let network = Sequential::new(2)
            .layer(Dense::new(2).named("code"))
            .layer(Dense::new(3).activation(Softmax).named("kinds"));
        let loss = SparseCategoricalCrossentropy;
        network.compile_on(&Device::cpu(), loss, Adam::new(0.01), [Accuracy])
    };
    let mut whole = network().unwrap();
    whole.fit(&data, fit(1)).unwrap();
    let mut encoder = whole.part(["input"], ["code"]).unwrap();
    assert_eq!(encoder.feature_names(), ["a", "b"]);
    assert!(encoder.class_names().is_empty());
    let codes = encoder.predict(&data).unwrap();
    assert_eq!(encoder.predict(&turned).unwrap(), codes);
    let mut head = whole.part(["code"], ["kinds"]).unwrap();
    assert!(head.feature_names().is_empty());
    assert_eq!(head.class_names(), ["x", "y", "z"]);
    let names = head.predict(&codes.values[..]).unwrap();
    let names = names.class_names().unwrap().join(",");
    let own = whole.predict(&data).unwrap();
    assert_eq!(names, own.class_names().unwrap().join(","));
    // A network that follows another one tells what that one tells.
    let mut target = network().unwrap();
    target.copy_weights(&mut whole).unwrap();
    assert_eq!(target.feature_names(), ["a", "b"]);
    assert_eq!(target.predict(&turned).unwrap(), own);
}

#[test]
fn weights_are_copied_by_name_or_not_at_all() {
    let network = |units: usize| {
        let network = Sequential::new(3)
            .layer(Dense::new(units).named("a"))
            .layer(Dense::new(2).named("b"));
        compiled(&Device::cpu(), network.seed(units as u64).into())
    };
    let (mut online, mut other) = (network(4), network(5));
    let mut target = network(4);
    target.set_weights([("a/bias", &[1.0f32; 4][..])]).unwrap();
    target.copy_weights(&mut online).unwrap();
    assert_eq!(target.weights().unwrap(), online.weights().unwrap());
    let refusal = online.copy_weights(&mut other).unwrap_err().to_string();
    assert!(
        refusal.contains("`a/kernel` is [3, 4] here, but [3, 5] there"),
        "{refusal}"
    );
    assert_eq!(target.weights().unwrap(), online.weights().unwrap());
    let mut strange = compiled(&Device::cpu(), Sequential::new(3).dense(2, Linear).into());
    let refusal = online.copy_weights(&mut strange).unwrap_err().to_string();
    assert!(refusal.contains("a/kernel"), "{refusal}");
}

#[test]
fn an_unfrozen_layer_trains_as_in_a_model_compiled_anew_with_the_same_weights() {
    let Some(device) = device() else { return };
    let data = data();
    let mut model = compiled(device, autoencoder(3, false));
    let before = model.weights().unwrap();
    model.fit(&data, fit(3)).unwrap();
    let head = model.weights().unwrap();
    assert_eq!(before[..2], head[..2], "the frozen layer stays");
    assert_ne!(before, head);
    model.set_trainable("wide", true).unwrap();
    assert_eq!(model.weights().unwrap(), head);
    assert!(!model.summary().contains("frozen"));
    let anew = |trainable: bool, weights: &[kiln::train::Weights]| {
        let mut anew = compiled(device, autoencoder(3, trainable));
        let named = weights
            .iter()
            .map(|own| (own.name.as_str(), &own.values[..]));
        anew.set_weights(named).unwrap();
        anew
    };
    let mut other = anew(true, &head);
    let losses = |model: &mut Model| model.fit(&data, fit(4)).unwrap().step_losses;
    assert_eq!(losses(&mut model), losses(&mut other));
    let tuned = model.weights().unwrap();
    assert_ne!(tuned[0], head[0], "it trains now");
    assert_eq!(tuned, other.weights().unwrap());
    // Frozen again: its weights stay, and the states that it had are gone when it is trained once more.
    model.set_trainable("wide", false).unwrap();
    model.fit(&data, fit(2)).unwrap();
    let frozen = model.weights().unwrap();
    assert_eq!(frozen[..2], tuned[..2]);
    model.set_trainable("wide", true).unwrap();
    let mut other = anew(true, &frozen);
    assert_eq!(losses(&mut model), losses(&mut other));
    assert_eq!(
        model.snapshot().unwrap().variables.len(),
        other.snapshot().unwrap().variables.len()
    );
    // To what it is already nothing changes, and the optimizer goes on.
    model.set_trainable("wide", true).unwrap();
    other.set_trainable("code", true).unwrap();
    assert_eq!(losses(&mut model), losses(&mut other));
    let refusal = model.set_trainable("wode", true).unwrap_err().to_string();
    assert!(
        refusal.contains("`wode`") && refusal.contains("wide"),
        "{refusal}"
    );
    let inside = kiln::train::Lambda::new(|moment: &mut kiln::train::Moment<'_>| {
        moment.model.set_trainable("wide", false)
    });
    let refusal = model
        .fit(&data, fit(1).callback(inside))
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("set_trainable"), "{refusal}");
}

#[test]
fn a_model_of_a_file_is_unfrozen_too() {
    let path =
        std::env::temp_dir().join(format!("kiln-unfrozen-{}.safetensors", std::process::id()));
    let mut model = compiled(&Device::cpu(), autoencoder(3, false));
    model.set_trainable("wide", true).unwrap();
    model.save(&path).unwrap();
    let mut read = Model::load_on(&Device::cpu(), &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(!read.summary().contains("frozen"));
    let before = read.weights().unwrap();
    read.set_trainable("code", false).unwrap();
    read.fit(&data(), fit(1)).unwrap();
    let after = read.weights().unwrap();
    let changed: Vec<&str> = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .map(|(before, _)| before.name.as_str())
        .collect();
    assert!(changed.contains(&"wide/kernel"), "{changed:?}");
    assert!(
        !changed.iter().any(|name| name.starts_with("code/")),
        "{changed:?}"
    );
}
