//! The CPU session allocates nothing per step, and a plan as much for every layer: every allocation of this process is
//! counted.

#![allow(clippy::unwrap_used)]

use std::alloc::System;

use kiln::optim::{Adafactor, Adagrad, Ftrl, Lion, Nadam};
use kiln::plan::{Class, Target};
use kiln::prelude::*;
use kiln::train::{Averaging, Classes, Curve, Decision, R2};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations of this many more steps of training once the session is warm.
fn allocations(model: &Model, steps: u64) -> usize {
    let (_, plan) = model.inspect(1000, 257).unwrap();
    let mut session = Device::cpu().open(&plan).unwrap();
    session.run("train", 3).unwrap();
    let region = Region::new(ALLOCATOR);
    session.run("train", steps).unwrap();
    let change = region.change();
    change.allocations + change.reallocations
}

/// Allocations, and bytes of them, of the graph and the plan of a network with this many hidden layers, for each layer.
fn of_planning(hidden: usize, target: &Target) -> (f64, f64) {
    let device = Device::cpu().with_target(|_| target.clone());
    let model = (0..hidden).fold(Sequential::new(64), |model, _| model.dense(64, Relu));
    let model = model.dense(10, Softmax).compile_on(
        &device,
        SparseCategoricalCrossentropy,
        Adam::default(),
        [Accuracy],
    );
    let model = model.unwrap();
    let region = Region::new(ALLOCATOR);
    model.inspect(4096, 128).unwrap();
    let change = region.change();
    let layers = hidden as f64;
    (
        change.allocations as f64 / layers,
        change.bytes_allocated as f64 / layers,
    )
}

fn planning_a_layer_costs_the_same_however_many_there_are() {
    for target in [Target::cpu(), Target::new(Class::Gpu, None)] {
        let (few, few_bytes) = of_planning(50, &target);
        let (many, many_bytes) = of_planning(500, &target);
        assert!(many < 1.2 * few, "{target}: {many} allocations, {few}");
        assert!(
            many_bytes < 1.5 * few_bytes,
            "{target}: {many_bytes} bytes, {few_bytes}"
        );
    }
}

// One test: another one's thread would be counted too.
#[test]
fn a_step_on_the_cpu_session_allocates_nothing_and_a_plan_in_proportion_to_its_layers() {
    planning_a_layer_costs_the_same_however_many_there_are();

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

    // Every kind of metric: means, tallies by thresholds, of the largest and of the softmax, confusion, moments.
    let classes = [
        Accuracy,
        Metric::SparseTopKCategoricalAccuracy(2),
        Metric::Auc(Curve::Roc),
        Metric::Auc(Curve::Pr).with_name("auc_pr"),
        Metric::F1Score(Averaging::Macro),
        Metric::Precision(Decision {
            class_id: Some(1),
            ..Decision::from([0.3, 0.6])
        }),
        Metric::Recall(Decision::top_k(2)),
        Metric::CohenKappa(Classes::default()),
    ];
    let numbers = [
        Metric::MeanAbsoluteError,
        Metric::CosineSimilarity,
        Metric::R2Score(R2::default()),
        Metric::ExplainedVariance(R2::default()).with_name("explained"),
        Metric::ConcordanceCorrelation,
    ];
    let network = || Sequential::new(6).dense(9, Relu);
    let each = [
        network().dense(4, Softmax).compile_on(
            &device,
            SparseCategoricalCrossentropy,
            Adam::default(),
            classes,
        ),
        network()
            .dense(2, Linear)
            .compile_on(&device, MeanSquaredError, Adam::default(), numbers),
    ];
    for model in each {
        let model = model.unwrap();
        assert_eq!(allocations(&model, 50), 0, "{}", model.summary());
    }

    // And of optimizer: with and without states, clipping, collected gradients, a mean of the weights.
    let adam = || Adam::new(0.01);
    let models = [
        trained_by(Sgd::new(0.01)),
        trained_by(Sgd::new(0.01).momentum(0.9).nesterov()),
        trained_by(AdamW::new(0.01)),
        trained_by(adam().global_clipnorm(1.0)),
        trained_by(adam().gradient_accumulation_steps(3)),
        trained_by(adam().use_ema(0.9)),
        trained_by(Nadam::new(0.01)),
        trained_by(RmsProp::new(0.01).momentum(0.5)),
        trained_by(Adagrad::new(0.01)),
        trained_by(Lion::new(0.01)),
        trained_by(Ftrl::new(0.01)),
        trained_by(Adafactor::new(0.01)),
    ];
    for model in models {
        assert_eq!(allocations(&model, 50), 0, "{}", model.summary());
    }
    predictions_into_memory_of_ones_own_allocate_nothing();
}

fn predictions_into_memory_of_ones_own_allocate_nothing() {
    let numbers: Vec<f32> = (0..300 * 8).map(|i| (i % 13) as f32 / 13.0).collect();
    let rows = Dataset::new(numbers.clone(), 8, Targets::None).unwrap();
    let scaler = kiln::Scaler::standard(&rows).unwrap();
    let network = || Sequential::new(8).dense(10, Relu).dense(2, Softmax);
    for network in [network(), network().preprocessing(scaler)] {
        let (loss, adam) = (SparseCategoricalCrossentropy, Adam::default());
        let mut model = network
            .compile_on(&Device::cpu(), loss, adam, [Accuracy])
            .unwrap();
        for count in [1, 2, 8, 9, 256, 300] {
            let rows = &numbers[..count * 8];
            let mut out = vec![0.0; count * 2];
            for _ in 0..2 {
                model.predict_into(rows, &mut out).unwrap();
            }
            let region = Region::new(ALLOCATOR);
            for _ in 0..20 {
                model.predict_into(rows, &mut out).unwrap();
            }
            let change = region.change();
            let counted = change.allocations + change.reallocations;
            assert_eq!(counted, 0, "{count} rows");
            assert_eq!(out, model.predict(rows).unwrap().values);
        }
    }
}

fn trained_by(optimizer: impl Optimizer + 'static) -> Model {
    let network = Sequential::new(6).dense(9, Relu).dense(1, Sigmoid);
    let model = network.compile_on(&Device::cpu(), BinaryCrossentropy, optimizer, [Accuracy]);
    model.unwrap()
}
