//! Targets that a model scales in training and brings back to their unit; models with scalers as layers of others.

use kiln::data::{Fill, Step};
use kiln::optim::OptimizerConfig;
use kiln::prelude::*;
use kiln::train::{Member, Population, R2};

use super::common::devices;

const ROWS: usize = 40;

fn inputs() -> Vec<f32> {
    (0..ROWS * 3)
        .map(|i| ((i * 7) % 17) as f32 / 17.0)
        .collect()
}

/// Prices of some 500 000 each.
fn prices() -> Dataset {
    let rows = inputs();
    let price = |x: &[f32]| 5e5 + 2e5 * (x[0] - x[1] * x[2]);
    let values = rows.chunks(3).map(price).collect();
    Dataset::new(rows, 3, Targets::Values { values, columns: 1 }).unwrap()
}

fn network() -> Sequential {
    Sequential::new(3).dense(8, Tanh).dense(1, Linear).seed(5)
}

fn compiled(
    device: &Device,
    network: impl Into<Functional>,
    metrics: impl IntoIterator<Item = Metric>,
) -> Model {
    let network: Functional = network.into();
    let model = network.compile_on(device, MeanSquaredError, Adam::new(0.02), metrics);
    model.unwrap()
}

fn fit<'a>(epochs: u64) -> Fit<'a> {
    Fit::epochs(epochs).batch_size(16).silent()
}

fn near(a: f64, b: f64, share: f64, what: &str) {
    assert!((a - b).abs() <= share * b.abs(), "{what}: {a}, not {b}");
}

#[test]
fn scaled_targets_train_as_those_scaled_by_hand_and_predictions_are_in_their_unit() {
    let data = prices();
    let scaler = Scaler::targets(&data).unwrap();
    let mut values = data.target_values().unwrap().to_vec();
    scaler.transform_rows(&mut values).unwrap();
    let by_hand = Dataset::new(inputs(), 3, Targets::Values { values, columns: 1 }).unwrap();
    for device in devices() {
        let mut model = compiled(&device, network().target_scaling(scaler.clone()), []);
        let mut plain = compiled(&device, network(), []);
        let told = model.fit(&data, fit(20).validation(&data)).unwrap();
        let same = plain.fit(&by_hand, fit(20).validation(&by_hand)).unwrap();
        assert_eq!(told.step_losses, same.step_losses, "{device}");
        let val_loss = |history: &History| history.epochs.last().unwrap().val_loss;
        assert_eq!(val_loss(&told), val_loss(&same), "{device}");
        assert_eq!(model.weights().unwrap(), plain.weights().unwrap());
        for count in [1, 3, ROWS] {
            let rows = &inputs()[..count * 3];
            let mut wanted = plain.predict(rows).unwrap().values;
            scaler.inverse_rows(&mut wanted).unwrap();
            let said = model.predict(rows).unwrap().values;
            for (said, wanted) in said.iter().zip(&wanted) {
                near((*said).into(), (*wanted).into(), 2e-7, "a prediction");
            }
            let mut into = vec![0.0; count];
            model.predict_into(rows, &mut into).unwrap();
            assert_eq!(into, said);
        }
    }
}

#[test]
fn metrics_are_in_the_targets_own_unit_and_the_loss_is_not() {
    let data = prices();
    let truth = data.target_values().unwrap();
    let scaler = Scaler::targets(&data).unwrap();
    let spread = scaler.scale[0];
    let metrics = [
        Metric::MeanAbsoluteError,
        Metric::MeanSquaredError,
        Metric::MeanAbsolutePercentageError,
        Metric::R2Score(R2::default()),
    ];
    for device in devices() {
        let scaled = network().target_scaling(scaler.clone());
        let mut model = compiled(&device, scaled, metrics.clone());
        model.fit(&data, fit(3)).unwrap();
        let said = model.predict(&data).unwrap().values;
        let errors = || {
            let pairs = said.iter().zip(truth);
            pairs.map(|(&said, &truth)| (f64::from(said) - f64::from(truth), f64::from(truth)))
        };
        let mean = |of: &dyn Fn((f64, f64)) -> f64| errors().map(of).sum::<f64>() / ROWS as f64;
        let squares = mean(&|(error, _)| error * error);
        let measured = model.evaluate(&data).unwrap();
        let of = |name: &str| measured.get(name).unwrap();
        near(
            of("mean_absolute_error"),
            mean(&|(e, _)| e.abs()),
            1e-5,
            "mae",
        );
        near(of("mean_squared_error"), squares, 1e-5, "mse");
        let share = mean(&|(error, truth)| 100.0 * (error / truth).abs());
        near(of("mean_absolute_percentage_error"), share, 1e-4, "mape");
        near(
            of("r2_score"),
            1.0 - squares / (spread * spread),
            1e-3,
            "r2",
        );
        near(measured.loss, squares / (spread * spread), 1e-4, "the loss");
        // In training too.
        model.set_learning_rate(0.0).unwrap();
        let history = model.fit(&data, fit(1)).unwrap();
        for (name, value) in &history.epochs[0].metrics {
            near(*value, of(name), 1e-4, name);
        }
        // Weights of rows count as they do without.
        let weighted = data.clone().with_weights(vec![0.5; ROWS]).unwrap();
        let halved = model.evaluate(&weighted).unwrap();
        near(halved.loss, measured.loss / 2.0, 1e-6, "the weighted loss");
        near(halved.metrics[0].1, measured.metrics[0].1, 1e-6, "mae");
    }
}

#[test]
fn the_scaling_of_targets_is_saved_with_the_model() {
    let data = prices();
    let scaler = Scaler::targets(&data).unwrap();
    let network = network()
        .preprocessing(Scaler::standard(&data).unwrap())
        .target_scaling(scaler);
    let mut model = compiled(&Device::cpu(), network, [Metric::MeanAbsoluteError]);
    model.fit(&data, fit(30)).unwrap();
    let name = format!("kiln-targets-{}.safetensors", std::process::id());
    let path = std::env::temp_dir().join(name);
    model.save(&path).unwrap();
    let mut loaded = Model::load_on(&Device::cpu(), &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.architecture(), model.architecture());
    assert_eq!(
        loaded.predict(&data).unwrap(),
        model.predict(&data).unwrap()
    );
    assert_eq!(
        loaded.evaluate(&data).unwrap(),
        model.evaluate(&data).unwrap()
    );
    let further = loaded.fit(&data, fit(1)).unwrap();
    assert!(further.epochs[0].loss < 1.0, "{further}");
}

#[test]
fn outputs_scale_their_targets_one_by_one() {
    let input = Input::named("x", 3);
    let shared = Dense::new(8).activation(Tanh).on(&input);
    let price = Dense::new(1).named("price").on(&shared);
    let both = Dense::new(2).named("both").on(&shared);
    let data = prices();
    let scaler = Scaler::targets(&data).unwrap();
    let network = Functional::new([&input], [&price, &both]);
    let network = network.target_scaling("price", scaler.clone());
    let objectives = [
        Objective::new("price", MeanSquaredError).metric(Metric::MeanAbsoluteError),
        Objective::new("both", MeanSquaredError).metric(Metric::MeanAbsoluteError),
    ];
    let model = network.compile_with(&Device::cpu(), objectives, Adam::new(0.02));
    let mut model = model.unwrap();
    let ones = Targets::Values {
        values: vec![1.0; ROWS * 2],
        columns: 2,
    };
    let outputs = [("price", data.targets().clone()), ("both", ones)];
    let data = Dataset::from_inputs([("x", (inputs(), 3))], outputs).unwrap();
    model.fit(&data, fit(100)).unwrap();
    let said = model.predict(&data).unwrap();
    let measured = model.evaluate(&data).unwrap();
    let mean = said.output("price").unwrap().values.iter().sum::<f32>() / ROWS as f32;
    assert!((mean - 5e5).abs() < 1e5, "{mean}");
    let ones = said.output("both").unwrap().values;
    assert!(ones.iter().all(|one| (one - 1.0).abs() < 0.5));
    let error = measured.get("price_mean_absolute_error").unwrap();
    assert!((10.0..1e5).contains(&error), "{error}");
    assert!(measured.get("both_mean_absolute_error").unwrap() < 0.5);
    // Derivatives and parts are of outputs in the same unit; an output that is not scaled stays as it is.
    let rows = inputs();
    let gradients = model.gradients(&rows[..3], |y| y[0].clone()).unwrap();
    near(
        gradients.value[0].into(),
        said.output("price").unwrap().values[0].into(),
        1e-6,
        "the value",
    );
    let mut part = model.part(["x"], ["price"]).unwrap();
    let prices = part.predict(&data).unwrap();
    assert_eq!(prices.values, said.output("price").unwrap().values);
}

#[test]
fn scaling_that_does_not_fit_is_refused_by_compile() {
    let data = prices();
    let scaler = Scaler::targets(&data).unwrap();
    let refused = |network: Functional, loss: Loss, words: &[&str]| {
        let outcome = network.compile_on(&Device::cpu(), loss, Adam::new(0.1), []);
        let refusal = outcome.unwrap_err().to_string();
        for word in words {
            assert!(refusal.contains(word), "{refusal}");
        }
    };
    let two = Sequential::new(3)
        .dense(2, Linear)
        .target_scaling(scaler.clone());
    refused(two.into(), MeanSquaredError, &["1 columns", "has 2"]);
    let unknown = Functional::from(network()).target_scaling("prize", scaler.clone());
    refused(unknown, MeanSquaredError, &["`prize`", "dense_1"]);
    let classes = Sequential::new(3).dense(1, Sigmoid).target_scaling(scaler);
    refused(
        classes.into(),
        BinaryCrossentropy,
        &["target_scaling", "binary_crossentropy"],
    );
}

#[test]
fn members_of_a_population_predict_in_the_unit_of_their_targets() {
    let data = prices();
    let network = network().target_scaling(Scaler::targets(&data).unwrap());
    let members = (1..=2).map(|seed| Member {
        seed,
        learning_rate: 0.02,
    });
    let optimizer = OptimizerConfig::default();
    let population = Population::new(
        network,
        members,
        &Device::cpu(),
        MeanSquaredError,
        optimizer,
        [],
    );
    let mut population = population.unwrap();
    population.fit(&data, fit(100)).unwrap();
    let said = population.member(1).unwrap().predict(&data).unwrap().values;
    let truth = data.target_values().unwrap();
    let off = said.iter().zip(truth).map(|(a, b)| (a - b).abs());
    assert!(off.sum::<f32>() / (ROWS as f32) < 1e5);
}

#[test]
fn a_model_with_scalers_is_a_layer_that_scales() {
    let data = prices();
    let (unit, target) = (
        Scaler::standard(&data).unwrap(),
        Scaler::targets(&data).unwrap(),
    );
    // A center that one f32 does not hold, far from what the rows spread over.
    let center = vec![1.6e9 + 0.3, unit.center[1], unit.center[2]];
    let scale = vec![1000.0, unit.scale[1], unit.scale[2]];
    let unit = Scaler::from_parts(center, scale).unwrap();
    let mut rows = inputs();
    for row in rows.chunks_mut(3) {
        row[0] = 1.6e9 + (row[0] * 4096.0).round() * 128.0;
    }
    for device in devices() {
        let inner = network()
            .preprocessing(unit.clone())
            .target_scaling(target.clone());
        let mut alone = compiled(&device, inner.clone(), []);
        let outer = Sequential::new(3).layer(Functional::from(inner)).seed(5);
        let mut outer = compiled(&device, outer, []);
        let weights = alone.weights().unwrap();
        let named: Vec<(String, &[f32])> = weights
            .iter()
            .map(|own| (format!("functional/{}", own.name), &own.values[..]))
            .collect();
        let named = named.iter().map(|(name, values)| (name.as_str(), *values));
        outer.set_weights(named).unwrap();
        let wanted = alone.predict(&rows).unwrap().values;
        for (said, wanted) in outer.predict(&rows).unwrap().values.iter().zip(&wanted) {
            near((*said).into(), (*wanted).into(), 1e-5, "a prediction");
        }
    }
    let steps = Preprocessing::fit(&data, [Step::Impute(Fill::Mean), Step::Standardize]);
    let inner = Functional::from(network().preprocessing(steps.unwrap()));
    let outer = Functional::from(Sequential::new(3).layer(inner));
    let refusal = outer.compile_on(&Device::cpu(), MeanSquaredError, Adam::new(0.1), []);
    let refusal = refusal.unwrap_err().to_string();
    assert!(refusal.contains("leave its preprocessing out"), "{refusal}");
}
