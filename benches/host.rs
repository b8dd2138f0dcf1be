//! What the host does before and between steps: graph with gradients, plan, opening, and recording a dispatch.
//!
//! `KILN_DEVICE` names the device whose recording is measured; without one only the first three are.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use kiln::plan::{Class, Target};
use kiln::prelude::*;

/// A network with as many hidden layers of 64 units.
fn model(device: &Device, hidden: usize) -> Model {
    let model = (0..hidden).fold(Sequential::new(64), |model, _| model.dense(64, Relu));
    model
        .dense(10, Softmax)
        .compile_on(
            device,
            SparseCategoricalCrossentropy,
            Adam::default(),
            [Accuracy],
        )
        .unwrap()
}

fn plans(c: &mut Criterion) {
    for hidden in [2, 32] {
        for (name, target) in [
            ("the CPU", Target::cpu()),
            ("a GPU", Target::new(Class::Gpu, None)),
        ] {
            let device = Device::cpu().with_target(|_| target);
            let model = model(&device, hidden);
            c.bench_function(
                &format!("graph, gradients and plan for {name}, {hidden} hidden layers"),
                |b| b.iter(|| black_box(model.inspect(4096, 128).unwrap())),
            );
        }
    }
    let device = Device::cpu();
    let (_, plan) = model(&device, 2).inspect(4096, 128).unwrap();
    c.bench_function("open a CPU session, 2 hidden layers", |b| {
        b.iter(|| black_box(device.open(&plan).unwrap()))
    });
}

/// The plan of a deep network: the time for a layer must not rise with their number.
fn planning(c: &mut Criterion) {
    let device = Device::cpu();
    let mut group = c.benchmark_group("planning");
    group.sample_size(10);
    for hidden in [100, 400, 1000] {
        let model = model(&device, hidden);
        group.throughput(criterion::Throughput::Elements(hidden as u64));
        group.bench_function(hidden.to_string(), |b| {
            b.iter(|| black_box(model.inspect(4096, 128).unwrap()))
        });
    }
    group.finish();
}

/// The time of `run` alone: the device works on while it returns, and is waited for outside the measurement.
fn recording(c: &mut Criterion) {
    const STEPS: u64 = 100;
    let device = match std::env::var(kiln::DEVICE_VARIABLE) {
        Ok(name) => Device::named(&name).unwrap(),
        Err(_) => return println!("KILN_DEVICE is not set: no recording is measured"),
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let (_, plan) = model(&device, 2).inspect(256, 8).unwrap();
    let dispatches = STEPS * plan.program("train").unwrap().dispatches() as u64;
    let mut session = device.open(&plan).unwrap();
    let mut group = c.benchmark_group("record and submit");
    group.throughput(criterion::Throughput::Elements(dispatches));
    group.bench_function("dispatches of 100 steps", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let begun = Instant::now();
                session.run("train", STEPS).unwrap();
                spent += begun.elapsed();
                session.read("train.ring").unwrap();
            }
            spent
        })
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .without_plots()
        .configure_from_args();
    plans(&mut criterion);
    planning(&mut criterion);
    recording(&mut criterion);
    criterion.final_summary();
}
