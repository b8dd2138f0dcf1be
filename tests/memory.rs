//! Memory: predicted by the plan, refused before the driver is asked, and batches split until they fit.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::sync::MutexGuard;

use kiln::Options;
use kiln::Plan;
use kiln::op::fold;
use kiln::optim::{Adafactor, Radam};
use kiln::prelude::*;
use kiln::train::Interrupt;

/// A device with this budget, one at a time.
fn opened(budget: Option<u64>) -> Option<(Device, MutexGuard<'static, ()>)> {
    if !common::may_open() {
        return None;
    }
    let alone = common::alone();
    let options = Options {
        budget,
        ..Options::default()
    };
    let device = common::open(options).unwrap();
    device.adapter_summary()?;
    Some((device, alone))
}

fn rows(count: usize) -> Dataset {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..count * 20).map(feature).collect();
    let values = features.chunks(20).map(|row| row[0] * row[1] - row[2]);
    let targets = Targets::Values {
        values: values.collect(),
        columns: 1,
    };
    Dataset::new(features, 20, targets).unwrap()
}

fn model(device: &Device, hidden: usize) -> Model {
    let model = Sequential::new(20).dense(hidden, Tanh).dense(hidden, Tanh);
    let model = model.dense(1, Linear).seed(4);
    model
        .compile_on(device, MeanSquaredError, Adam::new(0.003), [])
        .unwrap()
}

#[test]
fn the_plan_predicts_the_bytes_of_its_session_within_five_per_cent() {
    let Some((device, _alone)) = opened(None) else {
        return;
    };
    for (hidden, count, batch) in [(16, 200, 32), (100, 1000, 50), (300, 4096, 256)] {
        let (data, mut model) = (rows(count), model(&device, hidden));
        let predicted = model.inspect(count, batch).unwrap().1.device_bytes();
        let before = device.counters().bytes;
        let session = device
            .open(&model.inspect(count, batch).unwrap().1)
            .unwrap();
        let opened = device.counters().bytes - before;
        drop(session);
        model
            .fit(&data, Fit::epochs(1).batch_size(batch).silent())
            .unwrap();
        let trained = device.counters().bytes - before;
        for (what, bytes) in [("opened", opened), ("trained", trained)] {
            println!("{hidden} units, {what}: {bytes} bytes, {predicted} predicted");
            // A run has readbacks beside its plan, of which the small ones are kept.
            let readbacks = if what == "trained" { 1 << 20 } else { 0 };
            let most = predicted + predicted / 20 + readbacks;
            assert!(
                bytes >= predicted - predicted / 20,
                "{what}: {bytes} bytes, {predicted} predicted"
            );
            assert!(
                bytes <= most,
                "{what}: {bytes} bytes, {predicted} predicted"
            );
        }
    }
    assert_eq!(device.counters().bytes, 0);
}

#[test]
fn a_plan_beyond_the_budget_is_refused_before_any_call_and_names_what_is_large() {
    let Some((device, _alone)) = opened(Some(3 << 20)) else {
        return;
    };
    let calls = || device.calls();
    let before = calls();
    // A wide network: its activations and parameters.
    let fit = || Fit::epochs(1).batch_size(512).silent();
    let error = model(&device, 512).fit(&rows(1024), fit()).unwrap_err();
    let Error::OutOfMemory {
        needed, available, ..
    } = error
    else {
        panic!("{error}")
    };
    assert!(needed > 3 << 20 && available == Some(3 << 20), "{error}");
    let text = error.to_string();
    for part in ["dense", "bytes", "a smaller batch, micro-batches"] {
        assert!(text.contains(part), "{text}");
    }
    // Many rows in one piece: the data set.
    let (_, plan) = model(&device, 8).inspect(50_000, 64).unwrap();
    let text = device.open(&plan).unwrap_err().to_string();
    assert!(text.contains("`train.x.0` (4000000 bytes)"), "{text}");
    assert!(text.contains("fewer rows at a time"), "{text}");
    assert_eq!(calls(), before, "something was asked of the driver");
    // What fits still runs.
    model(&device, 8).fit(&rows(1024), fit()).unwrap();
}

/// The largest difference of two models' weights, relative to the largest of them.
fn apart(a: &mut Model, b: &mut Model) -> f32 {
    let (a, b) = (a.weights().unwrap(), b.weights().unwrap());
    let pairs = a
        .iter()
        .zip(&b)
        .flat_map(|(a, b)| a.values.iter().zip(&b.values));
    let largest = pairs.clone().fold(0f32, |most, (a, _)| most.max(a.abs()));
    pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs())) / largest
}

#[test]
fn batches_in_parts_come_to_the_weights_of_whole_ones() {
    let data = rows(256);
    let cpu = Device::cpu();
    let gpu = opened(None);
    let devices = std::iter::once(&cpu).chain(gpu.as_ref().map(|(device, _)| device));
    for device in devices {
        let mut whole = model(device, 24);
        whole
            .fit(&data, Fit::steps(12).batch_size(64).silent())
            .unwrap();
        for parts in [2, 4, 16] {
            let mut split = model(device, 24);
            let fit = Fit::steps(12).batch_size(64).silent();
            let history = split.fit(&data, fit.micro_batches(parts)).unwrap();
            assert_eq!(history.steps, 12 * u64::from(parts));
            let apart = apart(&mut whole, &mut split);
            assert!(apart < 2e-4, "{device}, {parts} parts: {apart}");
        }
    }
    let refused = |fit: Fit<'_>, rows_of: usize| {
        let error = model(&cpu, 8)
            .fit(&rows(rows_of), fit.silent())
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Argument {
                    name: "micro_batches",
                    ..
                }
            ),
            "{error}"
        );
    };
    refused(Fit::epochs(1).batch_size(64).micro_batches(0), 256);
    refused(Fit::epochs(1).batch_size(64).micro_batches(3), 256);
    refused(Fit::epochs(1).batch_size(64).micro_batches(4), 250);
}

#[test]
fn a_model_goes_from_whole_batches_to_parts_of_their_size_and_back() {
    let data = rows(256);
    let cpu = Device::cpu();
    let gpu = opened(None);
    let devices = std::iter::once(&cpu).chain(gpu.as_ref().map(|(device, _)| device));
    for device in devices {
        let train = |split: bool| {
            let mut trained = model(device, 24);
            // Parts of 64 rows are as large as the batches before and after: the open session must not pass for theirs.
            for (batch, parts) in [(64, 1), (128, 2), (64, 1), (256, 4)] {
                let fit = Fit::epochs(3).batch_size(batch).silent();
                let fit = if split { fit.micro_batches(parts) } else { fit };
                let steps = trained.fit(&data, fit).unwrap().steps;
                let parts = if split { u64::from(parts) } else { 1 };
                assert_eq!(steps, 3 * parts * (256 / batch as u64));
            }
            trained
        };
        let (mut whole, mut split) = (train(false), train(true));
        let apart = apart(&mut whole, &mut split);
        assert!(apart < 5e-4, "{device}: {apart}");

        // A state of whole batches is taken back by a model that has been in parts since, and the other way round.
        let fit = || Fit::epochs(1).batch_size(64).silent();
        let mut trained = model(device, 24);
        trained.fit(&data, fit()).unwrap();
        let before = (trained.snapshot().unwrap(), trained.weights().unwrap());
        trained.fit(&data, fit().micro_batches(2)).unwrap();
        let between = trained.snapshot().unwrap();
        trained.restore(&before.0).unwrap();
        assert_eq!(trained.weights().unwrap(), before.1);
        trained.fit(&data, fit()).unwrap();
        trained.restore(&between).unwrap();
        trained.fit(&data, fit().micro_batches(2)).unwrap();
    }
}

#[test]
fn batches_are_split_until_they_fit_the_budget() {
    let data = rows(2048);
    let fit = || Fit::steps(4).batch_size(2048).silent();
    let needed = {
        let Some((device, _alone)) = opened(None) else {
            return;
        };
        model(&device, 256)
            .inspect(2048, 2048)
            .unwrap()
            .1
            .device_bytes()
    };
    let budget = needed * 6 / 10;
    let Some((device, _alone)) = opened(Some(budget)) else {
        return;
    };
    let error = model(&device, 256).fit(&data, fit()).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    let mut split = model(&device, 256);
    let history = split.fit(&data, fit().micro_batches_to_fit()).unwrap();
    assert!(history.steps >= 8, "{} steps", history.steps);
    assert!(device.counters().peak_bytes <= budget);
    let mut whole = model(&Device::cpu(), 256);
    whole.fit(&data, fit()).unwrap();
    let apart = apart(&mut whole, &mut split);
    assert!(apart < 1e-3, "{apart}");
}

#[test]
fn batches_are_split_until_they_fit_a_binding() {
    let Some((device, _alone)) = opened(None) else {
        return;
    };
    let (data, fit) = (rows(2048), || Fit::steps(4).batch_size(2048).silent());
    // Half of what a layer of 256 units computes for the whole batch.
    let small = device.clone().with_target(|target| kiln::plan::Target {
        max_binding_bytes: 1 << 20,
        ..target
    });
    let error = model(&small, 256).fit(&data, fit()).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    let mut split = model(&small, 256);
    let history = split.fit(&data, fit().micro_batches_to_fit()).unwrap();
    assert!(history.steps >= 8, "{} steps", history.steps);
    let mut whole = model(&device, 256);
    whole.fit(&data, fit()).unwrap();
    let apart = apart(&mut whole, &mut split);
    assert!(apart < 1e-3, "{apart}");
}

#[test]
fn grids_fold_below_65_535_groups_a_dimension() {
    let mut folded = 0;
    for groups in [1, 2, 32_768, 65_535, 65_536, 65_537, 1 << 20, (1 << 30) - 1] {
        for size in [1u64, 64, 256] {
            let [x, y, z] = fold(groups * size, size as u32).map(u64::from);
            assert!(
                x <= 65_535 && y <= 65_535 && z == 1,
                "{groups} groups: {x} × {y}"
            );
            assert!(
                x * y >= groups && x * y < groups + y,
                "{groups} groups: {x} × {y}"
            );
            folded += 1;
        }
    }
    assert_eq!(folded, 24);
}

#[test]
fn what_waits_for_another_use_is_given_back_where_the_driver_has_no_memory() {
    let Some((device, _alone)) = opened(None) else {
        return;
    };
    let (data, fit) = (rows(200), || Fit::epochs(2).batch_size(32).silent());
    let mut undisturbed = model(&device, 50);
    undisturbed.fit(&data, fit()).unwrap();
    undisturbed.fit(&data, fit()).unwrap();

    // Its session keeps buffers for the next readback, and another plan's pipelines wait for that plan.
    let mut model = model(&device, 50);
    model.fit(&data, fit()).unwrap();
    let graph = kiln::Graph::new();
    let x = graph.input("x", [64, 300]);
    let program = kiln::Program::new("p").fetch("y", &x.tanh().softmax(-1));
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let before = device.counters();
    drop(device.open(&plan).unwrap());
    let between = device.counters();
    assert_eq!(between.bytes, before.bytes);
    let opened = device.open(&plan).unwrap();
    let (own, alone) = (device.counters(), device.counters().since(&between));
    drop(opened);

    // The first call of opening a plan makes a buffer.
    device.inject(kiln::gpu::Fault {
        call: 1,
        kind: kiln::gpu::FaultKind::OutOfMemory,
    });
    let fired = device.counters().faults;
    let between = device.counters();
    let opened = device.open(&plan).unwrap();
    assert_eq!(device.counters().faults, fired + 1);
    let now = device.counters();
    assert!(now.bytes < own.bytes, "no buffer was given back: {now:?}");
    let made = now.since(&between).objects;
    assert!(made > alone.objects, "no pipeline was given back: {made}");
    drop(opened);
    // The session makes its buffers anew, and goes on to the same bits.
    model.fit(&data, fit()).unwrap();
    assert_eq!(model.weights().unwrap(), undisturbed.weights().unwrap());

    // Refused twice, it is an error, which says what was asked for, what is large, and what helps.
    for call in [1, 2] {
        let kind = kiln::gpu::FaultKind::OutOfMemory;
        device.inject(kiln::gpu::Fault { call, kind });
    }
    let error = device.open(&plan).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OutOfMemory {
                available: None,
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("the largest are") && text.contains("what helps is"),
        "{text}"
    );
}

#[test]
fn what_waits_for_another_use_is_given_back_where_the_budget_has_no_room() {
    let probe = |device: &Device| {
        let graph = kiln::Graph::new();
        let x = graph.parameter("x", [100_000], &[0.5; 100_000]);
        let program = kiln::Program::new("p").fetch("y", &x.tanh());
        Plan::compile(&graph, device.target(), [program]).unwrap()
    };
    let needed = {
        let Some((device, _alone)) = opened(None) else {
            return;
        };
        probe(&device).device_bytes()
    };
    // Room for two sessions and one readback of 400 000 bytes.
    let budget = 2 * needed + 600_000;
    let Some((device, _alone)) = opened(Some(budget)) else {
        return;
    };
    let plan = probe(&device);
    let mut first = device.open(&plan).unwrap();
    let pending = [(); 2].map(|()| first.submit("p", 1, &["y"]).unwrap());
    for pending in pending {
        device.block_on(first.finish(pending)).unwrap();
    }
    let waiting = device.counters().bytes - needed;
    assert!(waiting >= 800_000, "{waiting} bytes wait");
    // A plan, which is asked for as a whole.
    let mut second = device.open(&plan).unwrap();
    assert!(device.counters().bytes < budget);
    // A buffer: the first session's readback waits where the second's needs room.
    for session in [&mut first, &mut second] {
        session.run("p", 1).unwrap();
        let y = session.read("y").unwrap();
        assert!(y.iter().all(|y| (y - 0.5f32.tanh()).abs() < 1e-6));
    }
    assert!(device.counters().peak_bytes <= budget);
    // What is in use stays, and what finds no room all the same is the error that it was.
    let error = device.open(&plan).unwrap_err();
    let refused = matches!(
        error,
        Error::OutOfMemory {
            available: Some(_),
            ..
        }
    );
    assert!(refused, "{error}");
}

/// Trained in runs of these numbers of parts, on the processor.
fn trained_in(optimizer: impl Optimizer + 'static, parts: [u32; 3]) -> Model {
    let network = Sequential::new(20).dense(24, Tanh).dense(1, Linear);
    let mut model = network
        .seed(4)
        .compile_on(&Device::cpu(), MeanSquaredError, optimizer, [])
        .unwrap();
    for parts in parts {
        let fit = Fit::epochs(3).batch_size(64).micro_batches(parts);
        model.fit(&rows(256), fit.silent()).unwrap();
    }
    model
}

#[test]
fn optimizers_that_count_updates_count_the_same_in_parts() {
    let (whole, split) = ([1, 1, 1], [1, 4, 2]);
    let radam = |parts| trained_in(Radam::new(0.003), parts);
    let adafactor = |parts| trained_in(Adafactor::new(0.003), parts);
    for [mut whole, mut split] in [
        [radam(whole), radam(split)],
        [adafactor(whole), adafactor(split)],
    ] {
        let apart = apart(&mut whole, &mut split);
        assert!(apart < 5e-4, "{apart}");
    }
}

#[test]
fn a_run_in_parts_that_is_stopped_ends_with_an_update() {
    let data = rows(1000);
    let mut model = model(&Device::cpu(), 24);
    let fit = || Fit::epochs(50).batch_size(100).micro_batches(5).silent();
    let interrupt = Interrupt::default();
    interrupt.raise();
    let history = model.fit(&data, fit().interrupt(&interrupt)).unwrap();
    assert!(history.steps.is_multiple_of(5), "{} steps", history.steps);
    assert!(history.steps < 2500);
    let history = model.fit(&data, fit()).unwrap();
    assert_eq!(history.steps, 2500);
}
