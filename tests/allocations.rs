//! The CPU session allocates nothing per step: every allocation of this process is counted.

#![allow(clippy::unwrap_used)]

use std::alloc::System;

use kiln::prelude::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of so many more steps of training once the session is warm.
fn allocations(model: &Model, steps: u64) -> usize {
    let (_, plan) = model.inspect(1000, 257).unwrap();
    let mut session = Device::cpu().open(&plan).unwrap();
    session.run("train", 3).unwrap();
    let region = Region::new(ALLOCATOR);
    session.run("train", steps).unwrap();
    let change = region.change();
    change.allocations + change.reallocations
}

// One test: another one's thread would be counted too.
#[test]
fn a_step_of_training_on_the_cpu_session_allocates_nothing() {
    let device = Device::cpu();
    let small = Sequential::new(8)
        .dense(10, Relu)
        .dense(8, Tanh)
        .dense(1, Sigmoid);
    let small = small.compile_on(&device, BinaryCrossentropy, Adam::default(), [Accuracy]);
    let counted = allocations(&small.unwrap(), 50);
    assert_eq!(counted, 0);

    // Products with copied operands, on all threads. Entering the pool may allocate for each of them, once a run.
    let large = Sequential::new(129)
        .dense(1025, Relu)
        .dense(257, Sigmoid)
        .dense(10, Softmax);
    let large = large.compile_on(
        &device,
        SparseCategoricalCrossentropy,
        Adam::default(),
        [Accuracy],
    );
    let counted = allocations(&large.unwrap(), 50);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    assert!(counted <= 5 + threads, "{counted}");
}
