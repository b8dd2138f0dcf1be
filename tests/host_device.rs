//! A program that has a wgpu device already trains on it, and without blocking its thread.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::sync::MutexGuard;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use kiln::prelude::*;
use kiln::train::{Lambda, Recovery};
use kiln::{Options, Plan, Session};

/// One device at a time: making or dropping two at once hangs some drivers.
fn alone() -> Option<MutexGuard<'static, ()>> {
    common::may_open().then(common::alone)
}

/// The first adapter that runs shaders, hardware or not.
fn host() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(
        instance.enumerate_adapters(wgpu::Backends::VULKAN | wgpu::Backends::METAL),
    );
    let adapter = adapters.first().unwrap();
    // The defaults of a game: no features, the limits that WebGPU guarantees.
    pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap()
}

#[test]
fn training_runs_on_the_hosts_device_beside_the_hosts_own_work() {
    let Some(_alone) = alone() else { return };
    let (wgpu, queue) = host();
    let device = Device::from_wgpu(wgpu.clone(), queue.clone(), Options::default());
    let data = Dataset::from_rows(
        &[[0., 0.], [0., 1.], [1., 0.], [1., 1.]],
        &[[0.], [1.], [1.], [0.]],
    )
    .unwrap();
    let model = Sequential::new(2).dense(8, Tanh).dense(1, Sigmoid).seed(1);
    let mut model = model
        .compile_on(&device, BinaryCrossentropy, Adam::new(0.05), [Accuracy])
        .unwrap();

    // An event loop polls the future between its frames.
    let mut context = Context::from_waker(Waker::noop());
    let mut frames = 0;
    let history = {
        let mut training =
            std::pin::pin!(model.fit_async(&data, Fit::epochs(200).batch_size(4).silent()));
        loop {
            match training.as_mut().poll(&mut context) {
                Poll::Ready(history) => break history.unwrap(),
                Poll::Pending => frames += 1,
            }
            let frame = wgpu.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            queue.submit([frame.finish()]);
        }
    };
    assert!(frames > 0, "training never gave the thread back");
    assert!(history.loss().last().unwrap() < &0.1, "{history}");
    assert_eq!(model.predict(&data).unwrap().classes(), [0, 1, 1, 0]);

    // A budget is kept before the driver is asked.
    let small = Options {
        budget: Some(4096),
        ..Options::default()
    };
    let device = Device::from_wgpu(wgpu, queue, small);
    let model = Sequential::new(64).dense(64, Relu).dense(2, Softmax);
    let mut model = model
        .compile_on(&device, SparseCategoricalCrossentropy, Adam::default(), [])
        .unwrap();
    let outcome = model.predict(&[0.0; 64]);
    assert!(
        matches!(outcome, Err(Error::OutOfMemory { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_hosts_device_that_is_lost_is_an_error_and_the_run_goes_on_on_another() {
    let Some(_alone) = alone() else { return };
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..64 * 3).map(feature).collect();
    let values = features.chunks(3).map(|row| row[0] - row[2]).collect();
    let data = Dataset::new(features, 3, Targets::Values { values, columns: 1 }).unwrap();
    let model = |device: &Device| {
        let model = Sequential::new(3).dense(40, Tanh).dense(1, Linear).seed(3);
        let adam = Adam::new(0.01);
        model
            .compile_on(device, MeanSquaredError, adam, [])
            .unwrap()
    };
    let fit = || Fit::epochs(6).batch_size(8).silent();
    let on = |(wgpu, queue): (wgpu::Device, wgpu::Queue)| {
        Device::from_wgpu(wgpu, queue, Options::default())
    };
    let idle = |_: &mut kiln::train::Moment<'_>| Ok(());

    let mut undisturbed = model(&Device::cpu());
    undisturbed.fit(&data, fit()).unwrap();
    let (wgpu, queue) = host();
    let device = on((wgpu.clone(), queue));
    let mut lost = model(&device);
    // The host resets its device in the fourth epoch.
    let lose = Lambda::new(|moment| {
        if moment.epoch() == 4 {
            wgpu.destroy();
        }
        Ok(())
    });
    let recovery = Recovery {
        every: Some(Duration::ZERO),
        ..Recovery::default()
    };
    let error = lost
        .fit(&data, fit().recovery(recovery).callback(lose))
        .unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("the host program's, which alone can make it"),
        "{text}"
    );
    assert_eq!(device.counters().generation, 0);
    // Nothing of it stays on the account, and what is asked of it is the same error.
    assert_eq!(device.counters().bytes, 0);
    let error = lost.predict(&data).unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    // What was learned is on the host.
    let state = lost.take_unfinished().unwrap();
    assert!(
        state.steps > 0 && state.steps.is_multiple_of(8),
        "{}",
        state.steps
    );
    assert_eq!(lost.weights().unwrap().len(), 4);
    drop((lost, device));

    // Another device of the host's, and the processor.
    for device in [on(host()), Device::cpu()] {
        let mut resumed = model(&device);
        let rest = fit().callback(Lambda::new(idle)).resume(state.clone());
        let history = resumed.fit(&data, rest).unwrap();
        assert_eq!(history.steps, 48, "{device}");
        let pairs = undisturbed.weights().unwrap().into_iter();
        for (a, b) in pairs.zip(resumed.weights().unwrap()) {
            for (a, b) in a.values.iter().zip(&b.values) {
                assert!((a - b).abs() < 1e-4, "{device}: {a} for {b}");
            }
        }
    }
}

/// A session of products of matrices with `size` rows and columns.
fn products(device: &Device, size: usize) -> Session {
    let graph = Graph::new();
    let x = graph.parameter("x", [size, size], &vec![1.0; size * size]);
    let program = Program::new("p").fetch("y", &x.matmul(&x));
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    device.open(&plan).unwrap()
}

#[test]
fn a_host_polls_on_another_thread_beside_several_devices_of_one_handle() {
    let Some(_alone) = alone() else { return };
    let (wgpu, queue) = host();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            let mut polls = 0u64;
            while !done.load(Relaxed) {
                wgpu.poll(wgpu::PollType::Poll).unwrap();
                polls += 1;
            }
            polls
        });
        let trainers = [1, 2].map(|_| {
            scope.spawn(|| {
                let device = Device::from_wgpu(wgpu.clone(), queue.clone(), Options::default());
                let mut session = products(&device, 256);
                // Some shorter, some longer than the slices in which threads wait.
                for steps in (1..=5).cycle().take(60) {
                    let pending = session.submit("p", steps, &["y"])?;
                    let y = device.block_on(session.finish(pending))?;
                    assert!(y.iter().all(|&y| y == 256.0));
                }
                Ok::<_, Error>(())
            })
        });
        let outcomes = trainers.map(|trainer| trainer.join());
        done.store(true, Relaxed);
        for outcome in outcomes {
            outcome.unwrap().unwrap();
        }
        assert!(host.join().unwrap() > 100, "the host hardly polled");
    });
}

#[test]
fn devices_of_one_handle_wait_for_each_others_work_with_a_deadline() {
    let Some(_alone) = alone() else { return };
    let (wgpu, queue) = host();
    let deadline = Duration::from_millis(300);
    let with = |deadline| {
        let options = Options {
            deadline,
            ..Options::default()
        };
        Device::from_wgpu(wgpu.clone(), queue.clone(), options)
    };
    let (patient, hurried) = (with(Duration::from_secs(120)), with(deadline));
    let software = patient
        .adapter_summary()
        .is_some_and(|adapter| adapter.kind == "software");
    if !software {
        println!("{patient}: only a software adapter is slow enough");
        return;
    }
    let (mut long, mut short) = (products(&patient, 1024), products(&hurried, 8));
    // A second's work and more; what else the processor does makes it longer.
    let pending = long.submit("p", 40, &["y"]).unwrap();
    let begun = Instant::now();
    let error = short.run("p", 1).and_then(|()| short.read("y"));
    let (error, took) = (error.unwrap_err(), begun.elapsed());
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(took >= deadline, "{took:?}");
    drop((short, hurried));
    // The other's is only long.
    let y = patient.block_on(long.finish(pending)).unwrap();
    assert!(y.iter().all(|&y| y == 1024.0));
}

#[test]
fn adapters_are_looked_for_once_for_each_name() {
    let Some(_alone) = alone() else { return };
    let name = std::env::var("KILN_DEVICE").unwrap_or_else(|_| "software".into());
    let first = Device::named(&name).unwrap();
    let calls = first.calls();
    // Other spellings are the same name; what the second one did would be counted on the first one's account.
    let second = Device::named(&format!(" {} ", name.to_uppercase())).unwrap();
    assert_eq!(first.calls(), calls);
    let model = Sequential::new(2).dense(3, Relu);
    let mut model = model
        .compile_on(&second, MeanSquaredError, Adam::default(), [])
        .unwrap();
    model.predict(&[1.0, 2.0]).unwrap();
    assert_eq!(first.calls(), second.calls());
    if first.adapter_summary().is_some() {
        assert_ne!(first.calls(), calls, "the second one is another device");
        // One that was lost is opened anew, and one with settings of its own always.
        let own = common::open(Options::default()).unwrap();
        assert_ne!(own.calls(), first.calls());
        first.destroy();
        assert!(model.predict(&[1.0, 2.0]).is_ok());
        let third = Device::named(&name).unwrap();
        assert_ne!(third.calls(), first.calls());
        assert!(third.open(&plan(&third)).is_ok());
    }
}

/// A plan that adds two numbers.
fn plan(device: &Device) -> Plan {
    let graph = Graph::new();
    let a = graph.input("a", [2]);
    let program = Program::new("sum").fetch("sum", &a.sum());
    Plan::compile(&graph, device.target(), [program]).unwrap()
}

#[test]
fn a_host_bounds_the_work_of_a_submission_and_the_bits_stay() {
    let Some(_alone) = alone() else { return };
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..256 * 3).map(feature).collect();
    let values = features.chunks(3).map(|row| row[0] - row[2]).collect();
    let data = Dataset::new(features, 3, Targets::Values { values, columns: 1 }).unwrap();
    let (wgpu, queue) = described_host();
    let mut trained = Vec::new();
    for submission in [None, Some(Duration::from_nanos(1))] {
        let options = Options {
            submission,
            ..Options::default()
        };
        let device = Device::from_wgpu(wgpu.clone(), queue.clone(), options);
        let model = Sequential::new(3).dense(40, Tanh).dense(1, Linear).seed(3);
        let mut model = model
            .compile_on(&device, MeanSquaredError, Adam::new(0.01), [])
            .unwrap();
        let before = device.counters().submits;
        model
            .fit(&data, Fit::epochs(10).batch_size(8).silent())
            .unwrap();
        let submissions = device.counters().submits - before;
        trained.push((submissions, model.weights().unwrap()));
    }
    // 320 steps, one to a submission where less is not to be had.
    assert!(trained[1].0 >= 320, "{} submissions", trained[1].0);
    assert!(trained[0].0 < 100, "{} submissions", trained[0].0);
    let bits = |weights: &[kiln::train::Weights]| -> Vec<u32> {
        let values = weights.iter().flat_map(|weights| &weights.values);
        values.map(|value| value.to_bits()).collect()
    };
    assert_eq!(bits(&trained[0].1), bits(&trained[1].1));
}

/// The host's device with what Kiln asks for.
fn described_host() -> (wgpu::Device, wgpu::Queue) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(
        instance.enumerate_adapters(wgpu::Backends::VULKAN | wgpu::Backends::METAL),
    );
    let adapter = adapters.first().unwrap();
    let asked = Device::wgpu_descriptor(adapter);
    assert_eq!(asked.required_limits, adapter.limits());
    pollster::block_on(adapter.request_device(&asked)).unwrap()
}
