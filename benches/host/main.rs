//! What the host does before and between steps: graph with gradients, plan, opening, and recording a dispatch.
//!
//! `KILN_DEVICE` names the device whose recording is measured; without one only the first three are.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod measure;

use std::time::{Duration, Instant};

use kiln::plan::{Class, Target};
use kiln::prelude::*;
use measure::Benches;

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

fn plans(benches: &Benches) {
    for hidden in [2, 32] {
        for (name, target) in [
            ("the CPU", Target::cpu()),
            ("a GPU", Target::new(Class::Gpu, None)),
        ] {
            let device = Device::cpu().with_target(|_| target);
            let model = model(&device, hidden);
            let name = format!("graph, gradients and plan for {name}, {hidden} hidden layers");
            benches.time(&name, || model.inspect(4096, 128).unwrap());
        }
    }
    let device = Device::cpu();
    let (_, plan) = model(&device, 2).inspect(4096, 128).unwrap();
    benches.time("open a CPU session, 2 hidden layers", || {
        device.open(&plan).unwrap()
    });
}

/// The plan of a deep network: the time for a layer must not rise with their number.
fn planning(benches: &Benches) {
    let device = Device::cpu();
    for hidden in [100, 400, 1000] {
        let model = model(&device, hidden);
        let median = benches.time(&format!("planning {hidden} layers"), || {
            model.inspect(4096, 128).unwrap()
        });
        if let Some(median) = median {
            println!(
                "{:>60} {:.2} µs for a layer",
                "",
                median / hidden as f64 * 1e6
            );
        }
    }
}

/// The time of `run` alone: the device works on while it returns, and is waited for outside the measurement.
fn recording(benches: &Benches) {
    const STEPS: u64 = 100;
    let device = match std::env::var("KILN_DEVICE") {
        Ok(name) => Device::named(&name).unwrap(),
        Err(_) => return println!("KILN_DEVICE is not set: no recording is measured"),
    };
    if device.adapter_summary().is_none() {
        return;
    }
    if let Some(canary) = device.canary() {
        let milliseconds = canary.seconds * 1e3;
        println!("the canary of {device} took {milliseconds:.1} ms, compiling included");
    }
    let (_, plan) = model(&device, 2).inspect(256, 8).unwrap();
    let dispatches = STEPS * plan.program("train").unwrap().dispatches() as u64;
    let mut session = device.open(&plan).unwrap();
    benches.timed(
        &format!("record and submit {dispatches} dispatches, {STEPS} steps"),
        |times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let begun = Instant::now();
                session.run("train", STEPS).unwrap();
                spent += begun.elapsed();
                session.read("train.ring").unwrap();
            }
            spent
        },
    );
}

fn main() {
    let benches = Benches::of_arguments();
    plans(&benches);
    planning(&benches);
    recording(&benches);
}
