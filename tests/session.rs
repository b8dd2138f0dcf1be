//! What a run costs and repeats: counts, memory, determinism, on the device of `KILN_DEVICE`.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::MutexGuard;
use std::time::Duration;

use common::{device, unfused};
use kiln::Plan;
use kiln::prelude::*;
use kiln::train::Recovery;

/// The device, for one test at a time: its counters count for all.
fn alone() -> Option<(&'static Device, MutexGuard<'static, ()>)> {
    let guard = common::alone();
    device().map(|device| (device, guard))
}

/// Rows whose labels follow from their features.
fn rows(count: usize, columns: usize, classes: usize) -> Dataset {
    let features: Vec<f32> = (0..count * columns)
        .map(|i| ((i * 7919) % 1009) as f32 / 1009.0)
        .collect();
    let class = |row: &[f32]| (row.iter().sum::<f32>() * 3.0) as u32 % classes as u32;
    let labels = features.chunks_exact(columns).map(class).collect();
    Dataset::new(features, columns, Targets::Labels { labels, classes }).unwrap()
}

fn classifier(device: &Device, inputs: usize, classes: usize) -> Model {
    let model = Sequential::new(inputs)
        .dense(16, Relu)
        .dense(12, Tanh)
        .dense(classes, Softmax)
        .seed(3);
    model
        .compile_on(
            device,
            SparseCategoricalCrossentropy,
            Adam::new(0.01),
            [Accuracy],
        )
        .unwrap()
}

fn bits(model: &mut Model) -> Vec<u32> {
    model
        .weights()
        .unwrap()
        .iter()
        .flat_map(|w| w.values.iter().map(|v| v.to_bits()))
        .collect()
}

#[test]
fn a_step_costs_no_upload_no_object_and_no_readback() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let data = rows(200, 10, 3);
    let mut model = classifier(device, 10, 3);
    model
        .fit(&data, Fit::epochs(80).batch_size(32).silent())
        .unwrap();
    let history = model
        .fit(&data, Fit::epochs(80).batch_size(32).silent())
        .unwrap();
    let counters = history.counters;
    assert_eq!(counters.uploads, 0, "{counters:?}");
    assert_eq!(counters.objects, 0, "{counters:?}");
    assert_eq!(counters.passes, counters.submits, "{counters:?}");
    // Short epochs share a readback, for the ring of their steps.
    assert!(counters.readbacks < 80, "{counters:?}");
    // A network this small does over 128 steps in a dispatch, and powers of two at the end of a submission.
    let plan = model.plan().unwrap();
    let train = plan.program("train").unwrap();
    assert_eq!((train.dispatches(), history.steps), (1, 560));
    let most = u64::from(train.steps_per_dispatch());
    assert!(most >= 128, "{most} steps a dispatch");
    // As long as none of them takes over 50 ms, which a busy machine may make them: then they are shorter.
    assert!(counters.dispatches < history.steps / 2, "{counters:?}");
}

#[test]
fn an_epoch_costs_one_readback_and_a_submission_for_every_64_steps() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    // A step in one call, and one of many calls, which takes software adapters some 10 ms.
    for (hidden, rows_of_epoch) in [(12, 150), (256, 130), (12, 1024), (12, 1500)] {
        let data = rows(rows_of_epoch, 10, 3);
        let model = Sequential::new(10).dense(hidden, Relu).dense(hidden, Relu);
        let model = model.dense(3, Softmax).seed(3);
        let (loss, optimizer) = (SparseCategoricalCrossentropy, Adam::new(0.01));
        let mut model = model
            .compile_on(device, loss, optimizer, [Accuracy])
            .unwrap();
        let epochs = 3;
        // On a busy machine the run may be long enough for a state to be kept, which is read back, too.
        let recovery = Recovery {
            every: Some(Duration::from_secs(3600)),
            ..Recovery::default()
        };
        let fit = Fit::epochs(epochs).batch_size(1).recovery(recovery);
        let history = model.fit(&data, fit.silent()).unwrap();
        let (counters, steps) = (history.counters, rows_of_epoch as u64);
        let rings = steps.div_ceil(1024);
        assert!(counters.readbacks <= epochs * rings, "{counters:?}");
        assert!(
            counters.submits <= epochs * (steps.div_ceil(64) + 1),
            "{counters:?} for {steps} steps an epoch"
        );
        assert_eq!(history.step_losses.len() as u64, epochs * steps);
        assert_eq!((counters.uploads, counters.objects), (0, 0), "{counters:?}");
    }
}

#[test]
fn evaluation_reads_its_sums_once() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let data = rows(10_000, 10, 3);
    let mut model = classifier(device, 10, 3);
    model.evaluate(&data).unwrap();
    let before = device.counters();
    model.evaluate(&data).unwrap();
    assert_eq!(device.counters().since(&before).readbacks, 1);
}

#[test]
fn steps_come_to_the_same_bits_in_dispatches_of_any_length() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let (_, plan) = classifier(device, 10, 3).inspect(200, 32).unwrap();
    let train = plan.program("train").unwrap();
    assert!(train.steps_per_dispatch() >= 64, "{plan}");
    let run = |limits: &[u64]| {
        let mut session = device.open(&plan).unwrap();
        let features: Vec<f32> = (0..2000)
            .map(|i| (i * 7919 % 1009) as f32 / 1009.0)
            .collect();
        session.write("train.x.0", &features).unwrap();
        let labels: Vec<u32> = (0..200).map(|i| i * 7 % 3).collect();
        session.write_labels("train.y.0", &labels).unwrap();
        session.start_clock("train", 200, Some(0)).unwrap();
        let before = device.counters();
        for &limit in limits {
            session.limit_steps_per_dispatch("train", limit).unwrap();
            session.run("train", 100 / limits.len() as u64).unwrap();
        }
        let dispatches = device.counters().since(&before).dispatches;
        let after = (
            session.snapshot().unwrap(),
            session.read("train.ring").unwrap(),
        );
        (after, dispatches)
    };
    let (expected, dispatches) = run(&[1]);
    assert_eq!(dispatches, 100);
    for (limits, dispatches) in [
        (&[64][..], 3),
        (&[7], 25),
        (&[8, 64, 1, 3], 4 + 3 + 25 + 13),
    ] {
        let (found, used) = run(limits);
        assert_eq!(used, dispatches, "{limits:?}");
        assert!(found == expected, "other bits in dispatches of {limits:?}");
    }
}

#[test]
fn a_submission_of_many_steps_is_one_pass_and_reads_nothing_back() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let graph = Graph::new();
    let w = graph.parameter("w", [33], &[1.0; 33]);
    let g = w.scale(0.5);
    let clock = graph.clock("clock", 1, Sgd::new(0.1).rates());
    let update = Sgd::new(0.1).updates(&[("w", &w, &g)], &clock).remove(0);
    let program = Program::new("step").update([&clock.indices, &update]);
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("step", 1).unwrap();
    let before = device.counters();
    session.run("step", 100).unwrap();
    let cost = device.counters().since(&before);
    assert_eq!((cost.submits, cost.passes), (1, 1));
    assert_eq!((cost.uploads, cost.objects, cost.readbacks), (0, 0, 0));
    assert_eq!(cost.dispatches, 100 * plan.programs[0].dispatches() as u64);
    // 101 steps of w ← w − 0.1·0.5·w.
    let expected = 0.95f32.powi(101);
    assert!(
        session
            .read("w")
            .unwrap()
            .iter()
            .all(|w| (w - expected).abs() < 1e-4 * expected)
    );
}

#[test]
fn the_peak_is_within_five_per_cent_of_the_lower_bound() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    for (layers, rows, batch) in [
        (&[8, 10, 8, 1][..], 768, 32),
        (&[784, 128, 10], 2000, 128),
        (&[64, 256, 256, 256, 10], 500, 64),
        (&[17, 3, 5], 33, 7),
    ] {
        let [inputs, hidden @ .., outputs] = layers else {
            panic!()
        };
        let model = hidden
            .iter()
            .fold(Sequential::new(*inputs), |model, &units| {
                model.dense(units, Relu)
            });
        let (end, loss) = if *outputs == 1 {
            (Sigmoid, BinaryCrossentropy)
        } else {
            (Softmax, SparseCategoricalCrossentropy)
        };
        let model = model
            .dense(*outputs, end)
            .compile_on(device, loss, Adam::default(), [Accuracy])
            .unwrap();
        let (_, plan) = model.inspect(rows, batch).unwrap();
        let (bytes, bound) = (plan.slot_bytes(), plan.lower_bound_bytes());
        assert!(
            bytes as f64 <= 1.05 * bound as f64,
            "{layers:?}: {bytes} bytes, {bound} would do\n{plan}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    let data = rows(150, 10, 3);
    let run = || {
        let mut model = classifier(device, 10, 3);
        model
            .fit(&data, Fit::epochs(3).batch_size(32).silent())
            .unwrap();
        bits(&mut model)
    };
    let first = run();
    assert_eq!(first, run());
    let mut other = classifier(device, 10, 3);
    other
        .fit(&data, Fit::epochs(3).batch_size(32).seed(99).silent())
        .unwrap();
    assert_ne!(
        first,
        bits(&mut other),
        "another order of rows gives other weights"
    );
}

#[test]
fn a_run_in_two_parts_ends_in_the_bits_of_one() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    let data = rows(150, 10, 3);
    let mut whole = classifier(device, 10, 3);
    whole
        .fit(&data, Fit::epochs(4).batch_size(32).silent())
        .unwrap();
    let mut parts = classifier(device, 10, 3);
    parts
        .fit(&data, Fit::epochs(1).batch_size(32).silent())
        .unwrap();
    // Evaluation opens a larger session, into which weights and optimizer states move.
    parts.evaluate(&data).unwrap();
    parts
        .fit(&data, Fit::epochs(3).batch_size(32).silent())
        .unwrap();
    assert_eq!(bits(&mut whole), bits(&mut parts));
}

#[test]
fn the_device_trains_as_the_f64_reference_does() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    let data = rows(100, 10, 3);
    let train = |device: &Device| {
        let mut model = classifier(device, 10, 3);
        let history = model
            .fit(&data, Fit::steps(20).batch_size(32).silent())
            .unwrap();
        (model.weights().unwrap(), history.step_losses)
    };
    let (weights, losses) = train(device);
    let (expected, expected_losses) = train(&Device::reference());
    for (loss, expected) in losses.iter().zip(&expected_losses) {
        assert!(
            (loss - expected).abs() < 1e-4 * expected.abs(),
            "{losses:?} {expected_losses:?}"
        );
    }
    for (weights, expected) in weights.iter().zip(&expected) {
        let scale = expected
            .values
            .iter()
            .fold(0.0f32, |max, value| max.max(value.abs()));
        for (a, b) in weights.values.iter().zip(&expected.values) {
            assert!(
                (a - b).abs() <= 1e-3 * scale,
                "{}: {a} for {b}",
                weights.name
            );
        }
    }
}

#[test]
fn a_data_set_larger_than_a_binding_is_split_and_trains_alike() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    let data = rows(1500, 10, 3);
    let run = |device: &Device| {
        let mut model = classifier(device, 10, 3);
        model
            .fit(&data, Fit::epochs(2).batch_size(32).silent())
            .unwrap();
        let split = model
            .plan()
            .unwrap()
            .variables
            .iter()
            .filter(|v| v.name.starts_with("train.x."))
            .count();
        (split, bits(&mut model))
    };
    // In parts the step is not one call, which would add up in another order.
    let device = &device.clone().with_target(unfused);
    let (whole, expected) = run(device);
    // 16 KiB hold 409 rows of 40 bytes, and every other tensor of the model.
    let small = device.clone().with_target(|target| kiln::plan::Target {
        max_binding_bytes: 16 << 10,
        ..target
    });
    let (parts, weights) = run(&small);
    assert_eq!((whole, parts), (1, 4));
    assert_eq!(weights, expected);
}

#[test]
fn dropped_models_give_their_memory_back() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let data = rows(100, 10, 3);
    let before = device.counters().bytes;
    let mut model = classifier(device, 10, 3);
    model.fit(&data, Fit::epochs(1).silent()).unwrap();
    assert!(device.counters().bytes > before);
    drop(model);
    assert_eq!(device.counters().bytes, before);
}

#[test]
fn a_batch_of_no_rows_gives_no_rows_and_sums_of_nothing_are_zeros() {
    let graph = Graph::new();
    let x = graph.input("x", [0, 3]);
    let w = graph.parameter("w", [3, 2], &[1.0; 6]);
    let bias = graph.parameter("bias", [2], &[5.0, 7.0]);
    let y = x
        .matmul(&w)
        .add(&bias)
        .relu()
        .layer_norm(1, None, None, 1e-3);
    let gradients = graph.gradients(&y, &[&w, &x]);
    // A product over no columns is zeros, to which something can be added.
    let narrow = graph.input("narrow", [2, 0]);
    let sums = narrow.matmul(&graph.input("none", [0, 2])).add(&bias);
    let program = Program::new("run")
        .fetch("y", &y)
        .fetch("dw", &gradients[0])
        .fetch("dx", &gradients[1])
        .fetch("sums", &sums)
        .fetch("sum", &y.sum());
    let alone = alone();
    let gpu = alone.as_ref().map(|(device, _)| *device);
    let devices = [Some(&Device::cpu()), Some(&Device::reference()), gpu];
    for device in devices.into_iter().flatten() {
        let plan = Plan::compile(&graph, device.target(), [program.clone()]).unwrap();
        let mut session = device.open(&plan).unwrap();
        session.run("run", 1).unwrap();
        assert!(session.read("y").unwrap().is_empty());
        assert!(session.read("dx").unwrap().is_empty());
        assert_eq!(session.read("dw").unwrap(), [0.0; 6]);
        assert_eq!(session.read("sums").unwrap(), [5.0, 7.0, 5.0, 7.0]);
        assert_eq!(session.read("sum").unwrap(), [0.0]);
    }
    // A mean of no rows is no number.
    let (_, mean, _) = x.standardize(0, 1e-3);
    let refused = Plan::compile(
        &graph,
        Device::cpu().target(),
        [Program::new("run").fetch("mean", &mean)],
    );
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("standardize: takes no tensor without elements"),
        "{message}"
    );
}
