//! Numbers that are not finite: where they come from is told, steps with them are skipped or the run ends.

use crate::common::device;
use kiln::nn::Lambda;
use kiln::plan::{Class, Products, Target};
use kiln::prelude::*;
use kiln::train::{Classes, Curve, NonFinite, R2, TerminateOnNaN};
use kiln::{DType, Values};

/// Rows of a batch, and the batch whose numbers are too large.
const BATCH: usize = 8;
const BAD: usize = 2;
const BATCHES: usize = 5;

/// The CPU sessions, the device of the tests, and that as a GPU, for its fused plans.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::cpu(), Device::reference()];
    if let Some(device) = device() {
        devices.push(device.clone());
        if device.adapter_summary().is_some() {
            devices.push(device.clone().with_target(|target| Target {
                class: Class::Gpu,
                products: Products::Shared,
                ..target
            }));
        }
    }
    devices
}

/// Columns of features, each row's all alike; those of the bad batch are so large that their sum is infinite.
fn data(columns: usize, bad: Option<usize>) -> Dataset {
    let number = |r: usize| match bad {
        Some(batch) if r / BATCH == batch => 3e38,
        _ => ((r * 7919) % 101) as f32 / 101.0 - 0.5,
    };
    let rows = BATCH * BATCHES;
    let features = (0..rows * columns).map(|i| number(i / columns)).collect();
    let targets = Targets::Values {
        values: (0..rows).map(|r| (r % 2) as f32).collect(),
        columns: 1,
    };
    Dataset::new(features, columns, targets).unwrap()
}

/// A small network, which trains in one call, or one that is too large for that.
fn model(device: &Device, large: bool) -> Model {
    let (inputs, units) = if large { (96, 64) } else { (4, 5) };
    let model = Sequential::new(inputs).dense(units, Relu).dense(1, Linear);
    let loss = HalfSquaredError;
    let mut model = model
        .compile_on(device, loss, Adam::new(0.01), [Metric::MeanAbsoluteError])
        .unwrap();
    let ones: Vec<(String, Vec<f32>)> = model
        .weights()
        .unwrap()
        .into_iter()
        .map(|w| (w.name.clone(), vec![1.0; w.values.len()]))
        .collect();
    let ones = ones
        .iter()
        .map(|(name, values)| (name.as_str(), &values[..]));
    model.set_weights(ones).unwrap();
    model
}

fn fit(policy: NonFinite) -> Fit<'static> {
    Fit::epochs(1)
        .batch_size(BATCH)
        .shuffle(false)
        .silent()
        .on_non_finite(policy)
}

/// The bits of weights and states of the optimizer.
fn bits(model: &mut Model) -> Vec<(String, Vec<u64>)> {
    let snapshot = model.snapshot().unwrap();
    let own = |name: &str| !name.starts_with("train.") && !name.starts_with("loss_scale");
    let bits = |values: &Values| match values {
        Values::F32(values) => values.iter().map(|v| u64::from(v.to_bits())).collect(),
        Values::F64(values) => values.iter().map(|v| v.to_bits()).collect(),
        Values::U32(values) => values.iter().map(|&v| u64::from(v)).collect(),
    };
    let variables = snapshot.variables.iter();
    variables
        .filter(|(name, (kind, _))| own(name) && kind.dtype == DType::F32)
        .map(|(name, (_, values))| (name.clone(), bits(values)))
        .collect()
}

/// In f64 numbers of f32's range are small: the reference does not come to infinity by them.
fn overflows(device: &Device) -> bool {
    device.to_string() != Device::reference().to_string()
}

/// What metrics of counts and moments tell of an epoch at no rate, of a network that returns w·x.
fn counted(device: &Device, w: &[f32], features: &[Vec<f32>], policy: NonFinite) -> Vec<f64> {
    let metrics = [
        Metric::R2Score(R2::default()),
        Metric::Auc(Curve::Roc),
        Metric::CohenKappa(Classes::default()),
        Metric::TruePositives([0.5]),
        Metric::MeanAbsoluteError,
    ];
    let network = Sequential::new(w.len()).dense(1, Linear);
    let mut model = network
        .compile_on(device, MeanSquaredError, Sgd::new(0.0), metrics)
        .unwrap();
    model
        .set_weights([("dense/kernel", w), ("dense/bias", &[0.0])])
        .unwrap();
    let targets = Targets::Values {
        values: (0..features.len()).map(|r| (r % 3 / 2) as f32).collect(),
        columns: 1,
    };
    let data = Dataset::new(features.concat(), w.len(), targets).unwrap();
    let history = model.fit(&data, fit(policy)).unwrap();
    let epoch = &history.epochs[0];
    let metrics = epoch.metrics.iter().map(|(_, value)| *value);
    metrics.chain([epoch.loss, epoch.samples as f64]).collect()
}

#[test]
fn rows_of_a_step_without_a_finite_loss_are_part_of_no_metric() {
    // Outputs that are finite though their squares are not, and outputs that are NaN: ∞ − ∞.
    for (w, bad) in [(&[1.0f32][..], 3e38), (&[2.0, -2.0], 3e38)] {
        for at in [0, 2, BATCHES - 1] {
            let row = |r: usize| {
                let x = ((r * 7919) % 101) as f32 / 101.0;
                let mut row = vec![x; w.len()];
                row[0] = 1.5 * x;
                row
            };
            // Targets go by the row's number modulo 3: three batches are bad, so that those of the others stay theirs.
            let rows = BATCH * (BATCHES + 3);
            let is_bad = |r: usize| (at..at + 3).contains(&(r / BATCH));
            let all: Vec<Vec<f32>> = (0..rows)
                .map(|r| {
                    if is_bad(r) {
                        vec![bad; w.len()]
                    } else {
                        row(r)
                    }
                })
                .collect();
            let others: Vec<Vec<f32>> = (0..rows).filter(|&r| !is_bad(r)).map(row).collect();
            for device in devices().into_iter().filter(overflows) {
                let right = counted(&device, w, &others, NonFinite::Stop);
                let values = counted(&device, w, &all, NonFinite::Skip);
                assert_eq!(right.len(), 7);
                for (value, right) in values.iter().zip(&right) {
                    let near = (value - right).abs() <= 1e-6 * right.abs();
                    assert!(near, "{values:?}, but {right:?} on {device}");
                }
            }
        }
    }
}

#[test]
fn a_step_with_infinite_gradients_is_skipped_to_the_bit() {
    for device in devices().into_iter().filter(overflows) {
        for large in [false, true] {
            let what = format!("{device} {} large {large}", device.target());
            let columns = if large { 96 } else { 4 };
            let [mut before, mut after] = [model(&device, large), model(&device, large)];
            let bad = data(columns, Some(BAD));
            let skip = || fit(NonFinite::Skip);
            before.fit(&bad, skip().max_steps(BAD as u64)).unwrap();
            after.fit(&bad, skip().max_steps(BAD as u64 + 1)).unwrap();
            let kept = bits(&mut before);
            assert!(kept.len() >= 4, "{what}");
            assert!(kept == bits(&mut after), "{what}");
            // The steps after it train, and only theirs and those before it count.
            let mut whole = model(&device, large);
            let history = whole.fit(&bad, skip()).unwrap();
            assert_eq!(history.steps, BATCHES as u64, "{what}");
            assert!(kept != bits(&mut whole), "{what}");
            let epoch = &history.epochs[0];
            assert_eq!(epoch.samples, (BATCH * (BATCHES - 1)) as u64, "{what}");
            assert!(
                epoch.loss.is_finite() && epoch.metrics[0].1.is_finite(),
                "{what}"
            );
            assert!(!history.step_losses[BAD].is_finite(), "{what}");
        }
    }
}

#[test]
fn a_run_that_skips_trains_as_one_that_does_not_where_all_is_finite() {
    for device in devices() {
        for large in [false, true] {
            let data = data(if large { 96 } else { 4 }, None);
            let train = |policy| {
                let mut model = model(&device, large);
                let history = model.fit(&data, fit(policy)).unwrap();
                (model.weights().unwrap(), history.loss()[0])
            };
            let (skips, stops) = (train(NonFinite::Skip), train(NonFinite::Stop));
            assert!((skips.1 - stops.1).abs() < 1e-5, "{device}");
            for (a, b) in skips.0.iter().zip(&stops.0) {
                for (a, b) in a.values.iter().zip(&b.values) {
                    assert!((a - b).abs() < 1e-3, "{device} {large}: {a} for {b}");
                }
            }
        }
    }
}

/// A network whose weights' running mean takes their place when a run ends.
fn averaged(device: &Device) -> Model {
    let mut adam = Adam::new(0.01);
    adam.common.use_ema = true;
    let network = Sequential::new(4).dense(5, Relu).dense(1, Linear).seed(2);
    network
        .compile_on(device, HalfSquaredError, adam, [])
        .unwrap()
}

#[test]
fn a_running_mean_begins_with_the_first_update_that_is_made() {
    for device in devices().into_iter().filter(overflows) {
        let bad = data(4, Some(0));
        let good: Vec<usize> = (BATCH..BATCH * BATCHES).collect();
        let good = bad.select(&good).unwrap();
        // Nothing but a step that is skipped: the mean of nothing takes nobody's place.
        let mut model = averaged(&device);
        let weights = model.weights().unwrap();
        let first = fit(NonFinite::Skip).max_steps(1);
        model.fit(&bad, first).unwrap();
        assert_eq!(model.weights().unwrap(), weights, "{device}");
        // In this run and in a plain one after it, the first update is the first.
        let mut expected = averaged(&device);
        expected.fit(&good, fit(NonFinite::Skip)).unwrap();
        let expected = expected.weights().unwrap();
        assert_ne!(expected, weights, "{device}");
        model.fit(&good, fit(NonFinite::GoOn)).unwrap();
        let after = model.weights().unwrap();
        for (after, expected) in after.iter().zip(&expected) {
            for (a, b) in after.values.iter().zip(&expected.values) {
                assert!((a - b).abs() < 1e-5, "{device}: {a} {b}");
            }
        }
        let mut whole = averaged(&device);
        whole.fit(&bad, fit(NonFinite::Skip)).unwrap();
        assert_eq!(whole.weights().unwrap(), expected, "{device}");
    }
}

#[test]
fn a_skipped_step_after_a_run_that_skips_none_leaves_the_powers_where_they_were() {
    for device in devices().into_iter().filter(overflows) {
        let bad = data(4, Some(0));
        let good: Vec<usize> = (BATCH..BATCH * BATCHES).collect();
        let good = bad.select(&good).unwrap();
        let after = |then: &Dataset| {
            let mut model = model(&device, false);
            model.fit(&good, fit(NonFinite::Stop)).unwrap();
            model.fit(then, fit(NonFinite::Skip)).unwrap();
            bits(&mut model)
        };
        assert!(after(&bad) == after(&good), "{device}");
    }
}

#[test]
fn running_means_are_left_as_they_were_in_a_skipped_step() {
    let model = |device: &Device| {
        let model = Sequential::new(4)
            .layer(Lambda::new(|x| x[0].scale(1e10)))
            .layer(BatchNormalization::default())
            .dense(3, Tanh)
            .dense(1, Linear);
        model
            .compile_on(device, HalfSquaredError, Sgd::new(0.1), [])
            .unwrap()
    };
    let bad = data(4, Some(BAD));
    for device in devices().into_iter().filter(overflows) {
        let [mut before, mut after] = [model(&device), model(&device)];
        let skip = || fit(NonFinite::Skip);
        before.fit(&bad, skip().max_steps(BAD as u64)).unwrap();
        after.fit(&bad, skip().max_steps(BAD as u64 + 1)).unwrap();
        let kept = bits(&mut before);
        assert!(
            kept.iter().any(|(name, _)| name.contains("moving_mean")),
            "{kept:?}"
        );
        for (kept, after) in kept.iter().zip(bits(&mut after)) {
            assert!(*kept == after, "{} on {device}", kept.0);
        }
    }
}

#[test]
fn by_default_the_error_names_the_op_and_the_step_and_the_model_is_as_before() {
    for device in devices().into_iter().filter(overflows) {
        for large in [false, true] {
            let what = format!("{device} {} large {large}", device.target());
            let bad = data(if large { 96 } else { 4 }, Some(BAD));
            let [mut before, mut stopped] = [model(&device, large), model(&device, large)];
            before
                .fit(&bad, fit(NonFinite::Stop).max_steps(BAD as u64))
                .unwrap();
            let default = || Fit::epochs(3).batch_size(BATCH).shuffle(false).silent();
            let error = stopped.fit(&bad, default()).unwrap_err();
            let message = error.to_string();
            let Error::NonFinite {
                epoch,
                step,
                what: named,
            } = error
            else {
                panic!("{what}: {message}");
            };
            assert_eq!((epoch, step), (1, BAD as u64 + 1), "{what}: {message}");
            assert!(
                named.contains("matmul in the layer `dense`"),
                "{what}: {message}"
            );
            assert!(bits(&mut before) == bits(&mut stopped), "{what}");
            // It goes on with data that is sound.
            let sound = data(if large { 96 } else { 4 }, None);
            stopped.fit(&sound, default()).unwrap();
        }
    }
}

#[test]
fn a_run_that_goes_on_has_the_losses_and_a_callback_ends_it() {
    for device in devices().into_iter().filter(overflows) {
        let bad = data(4, Some(BAD));
        let go_on = || fit(NonFinite::GoOn);
        let history = model(&device, false).fit(&bad, go_on()).unwrap();
        let finite = history.step_losses.iter().map(|loss| loss.is_finite());
        let finite: Vec<bool> = finite.collect();
        assert_eq!(finite, [true, true, false, false, false], "{device}");
        for (callback, steps) in [
            (TerminateOnNaN::default(), 10),
            (TerminateOnNaN::default().every(1), 3),
        ] {
            let mut model = model(&device, false);
            // Once the epoch is over, those under way are done too.
            let fit = Fit::epochs(500).batch_size(BATCH).shuffle(false).silent();
            let fit = fit.on_non_finite(NonFinite::GoOn).callback(callback);
            let history = model.fit(&bad, fit).unwrap();
            let stop = history.stop.to_string();
            assert!(
                stop.starts_with("the loss of step 3 is "),
                "{device}: {stop}"
            );
            if steps == 3 {
                assert_eq!(history.steps, steps, "{device}");
            }
            assert!(history.steps < 2500, "{device}: {}", history.steps);
        }
    }
}

#[test]
fn the_node_is_found_with_layer_line_and_value() {
    let bad = data(4, Some(BAD));
    let line = line!() + 2;
    let model = Sequential::new(4)
        .layer(Lambda::new(|x| x[0].sub(&x[0]).div(&x[0].sub(&x[0]))).named("nought"))
        .dense(1, Linear);
    let mut model = model
        .compile_on(&Device::cpu(), HalfSquaredError, Adam::new(0.01), [])
        .unwrap();
    let found = model.find_nan(&bad, BATCH).unwrap().unwrap();
    assert_eq!(found.step, 1);
    assert_eq!(found.layer.as_deref(), Some("nought"));
    assert!(!found.backward && found.value.is_nan() && found.variable.is_none());
    let location = found.location.unwrap();
    assert_eq!((location.file(), location.line()), (file!(), line));
    let (graph, _) = model.inspect(BATCH * BATCHES, BATCH).unwrap();
    assert!(graph.to_string().lines().count() > found.node);
    let told = found.to_string();
    assert!(
        told.contains(&format!("in the layer `nought` (NaN) ({}:{line})", file!())),
        "{told}"
    );
}

#[test]
fn a_nan_of_a_gradient_or_of_a_weight_is_told_as_such() {
    // ∂√x/∂x at 0 is infinite, the loss is not.
    let zeros = Dataset::from_rows(&[[0.0, 0.0], [0.0, 0.0]], &[[0.0], [1.0]]).unwrap();
    let network = Sequential::new(2)
        .dense(1, Relu)
        .layer(Lambda::new(|x| x[0].sqrt()));
    let mut model = network
        .compile_on(&Device::cpu(), HalfSquaredError, Sgd::new(0.1), [])
        .unwrap();
    let found = model.find_nan(&zeros, 2).unwrap().unwrap();
    assert!(found.backward, "{found}");
    assert_eq!(found.layer.as_deref(), Some("lambda"), "{found}");
    // `fit` finds it by the loss of the next step, and names this one.
    let error = model
        .fit(&zeros, Fit::epochs(3).batch_size(2).shuffle(false).silent())
        .unwrap_err();
    let Error::NonFinite { step, what, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(step, 1, "{what}");
    assert!(
        what.contains("in the gradient of the layer `lambda`"),
        "{what}"
    );
    model
        .set_weights([("dense/kernel", &[f32::NAN, 0.0][..])])
        .unwrap();
    let found = model.find_nan(&zeros, 2).unwrap().unwrap();
    assert_eq!(found.variable.as_deref(), Some("dense/kernel"), "{found}");
    assert_eq!(found.op, "variable", "{found}");
}

#[test]
fn sound_training_has_nothing_to_be_found() {
    let mut model = model(&Device::cpu(), false);
    let before = bits(&mut model);
    assert_eq!(model.find_nan(&data(4, None), 7).unwrap(), None);
    assert_eq!(before, bits(&mut model));
    let refused = model.find_nan(&data(4, None), 0).unwrap_err();
    assert!(refused.to_string().contains("batch_size"), "{refused}");
}

#[test]
fn a_model_that_was_trained_in_parts_of_batches_is_looked_through_as_any_other() {
    for device in devices() {
        let mut model = model(&device, false);
        let parts = fit(NonFinite::Stop).micro_batches(2);
        model.fit(&data(4, None), parts).unwrap();
        assert_eq!(model.find_nan(&data(4, None), BATCH).unwrap(), None);
        let found = model.find_nan(&data(4, Some(BAD)), BATCH).unwrap();
        assert_eq!(found.unwrap().step, BAD as u64 + 1, "{device}");
    }
}

#[test]
fn looking_costs_no_dispatch_by_default_and_two_a_step_where_steps_are_skipped() {
    let devices = devices().into_iter();
    for device in devices.filter(|device| device.adapter_summary().is_some()) {
        // Three layers, six gradients.
        let network = || {
            Sequential::new(40)
                .dense(90, Relu)
                .dense(70, Relu)
                .dense(1, Linear)
        };
        let data = data(40, None);
        let dispatches = |policy| {
            let (loss, adam) = (HalfSquaredError, Adam::new(0.01));
            let mut model = network().compile_on(&device, loss, adam, []).unwrap();
            model.fit(&data, fit(policy)).unwrap();
            let plan = model.plan().unwrap();
            let calls = plan.program("train").unwrap().calls.iter();
            let launches = |of: &dyn Fn(&str) -> bool| -> usize {
                let own = calls.clone().filter(|call| of(call.op.name()));
                own.map(|call| call.launches.len()).sum()
            };
            let looking = launches(&|name| name == "finite" || name.starts_with("loss_scale."));
            let all = launches(&|_| true);
            (looking, all)
        };
        let (stop, go_on) = (dispatches(NonFinite::Stop), dispatches(NonFinite::GoOn));
        let skip = dispatches(NonFinite::Skip);
        assert_eq!((stop.0, go_on), (0, stop), "{device}");
        assert_eq!(
            skip.0, 2,
            "{device}: one for six gradients, one for what becomes of the step"
        );
        println!(
            "{} dispatches a step, {} where steps are skipped: {device}, {}",
            stop.1,
            skip.1,
            device.target()
        );
        // Where gradients are stored anyway, as on processors, that is all.
        if device.target().class == Class::CpuAdapter {
            assert_eq!(skip.1, stop.1 + 2, "{device}");
        }
    }
}
