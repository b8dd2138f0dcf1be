//! Facts about optimizer updates in a plan: merged into one call over slabs, and what must not be merged.

use crate::common::{self, unfused};

use kiln::plan::{Class, Plan, Products, Target};
use kiln::prelude::*;
use kiln::{Graph, Program, Tensor};

/// Adam's updates of the parameters `w` and `b` for `loss`.
fn adam(graph: &Graph, loss: &Tensor, [w, b]: [Tensor; 2]) -> Program {
    let adam = Adam::new(0.01);
    let clock = graph.clock("clock", 1, adam.rates());
    let updates = adam.minimize(loss, &[("w", &w), ("b", &b)], &clock);
    Program::new("train").update(&updates)
}

#[test]
fn updates_merge_into_one_call_and_their_states_stay_readable() {
    let graph = Graph::new();
    let x = graph.parameter("x", [2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let w = graph.parameter("w", [2, 3], &[0.5; 6]);
    let b = graph.parameter("b", [3], &[0.25; 3]);
    let y = x.mul(&w).add(&b);
    let program = adam(&graph, &y.square().mean(), [w, b]);
    let device = Device::reference();
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let merged: Vec<_> = plan.programs[0]
        .calls
        .iter()
        .filter(|call| call.op.name() == "adam")
        .map(|call| call.merged)
        .collect();
    assert_eq!(merged, [2]);
    let mut session = device.open(&plan).unwrap();
    session.run("train", 1).unwrap();
    // The first step of Adam is η against the gradient's sign.
    for (name, expected) in [("w", vec![0.49; 6]), ("b", vec![0.24; 3])] {
        let values = session.read(name).unwrap();
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
        assert!(
            values.iter().zip(&expected).all(close),
            "{name}: {values:?}"
        );
    }
    let snapshot = session.snapshot().unwrap();
    for name in ["w.m", "w.v", "b.m", "b.v"] {
        assert!(snapshot.variables.contains_key(name), "{name}");
        assert!(session.read(name).unwrap()[0] != 0.0, "{name}");
    }
}

#[test]
fn a_gradient_that_the_host_writes_outlives_those_that_are_computed() {
    let graph = Graph::new();
    let w = graph.parameter("w", [3], &[0.5; 3]);
    let b = graph.parameter("b", [3], &[0.5; 3]);
    let given = graph.parameter("g", [3], &[1.0, -2.0, 3.0]);
    let sgd = Sgd::new(0.25);
    let clock = graph.clock("clock", 1, sgd.rates());
    let wanted = [("w", &w, &given), ("b", &b, &given.neg())];
    let mut updates = vec![clock.indices.clone()];
    updates.extend(sgd.updates(&wanted, &clock));
    let device = Device::reference();
    let plan = Plan::compile(
        &graph,
        device.target(),
        [Program::new("train").update(&updates)],
    )
    .unwrap();
    let place = plan.variable("g").unwrap().place;
    assert!(plan.slots[place.slot].persistent);
    let mut session = device.open(&plan).unwrap();
    session.run("train", 2).unwrap();
    assert_eq!(session.read("g").unwrap(), [1.0, -2.0, 3.0]);
    assert_eq!(session.read("w").unwrap(), [0.0, 1.5, -1.0]);
    assert_eq!(session.read("b").unwrap(), [1.0, -0.5, 2.0]);
}

#[test]
fn gradients_that_are_computed_from_each_other_are_updated_apart() {
    // dw = dy·x reads db = dy, so the two cannot lie in one slot.
    let graph = Graph::new();
    let x = graph.parameter("x", [3], &[1.0, -2.0, 3.0]);
    let w = graph.parameter("w", [3], &[0.5; 3]);
    let b = graph.parameter("b", [3], &[0.25; 3]);
    let y = x.mul(&w).add(&b);
    let program = adam(&graph, &y.square().sum(), [w, b]);
    let device = Device::reference();
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("train", 1).unwrap();
    let (w, b) = (session.read("w").unwrap(), session.read("b").unwrap());
    assert!(
        (w[0] - 0.49).abs() < 1e-6 && (b[0] - 0.24).abs() < 1e-6,
        "{w:?} {b:?}"
    );
}

/// A desktop GPU as a plan sees it.
fn gpu() -> Target {
    Target {
        max_storage_buffers: 16,
        ..Target::new(Class::Gpu, None)
    }
}

/// Calls that compute gradients of layers and take them, and their dispatches.
fn layer_gradients(plan: &Plan) -> (usize, usize) {
    let calls = &plan.program("train").unwrap().calls;
    let updates = calls
        .iter()
        .filter(|call| call.op.name().starts_with("layer_gradients"));
    let dispatches = updates.clone().map(|call| call.launches.len());
    (updates.count(), dispatches.sum())
}

#[test]
fn slabs_of_layers_keep_to_the_largest_binding() {
    // X and dZ take 64 KiB each: slabs of 256 KiB hold four, which are more slabs than a dispatch binds.
    for (most, expected) in [(1 << 20, 1), (1 << 18, 2)] {
        let device = Device::cpu().with_target(|_| Target {
            max_binding_bytes: most,
            ..gpu()
        });
        let mut model = Sequential::new(64);
        for _ in 0..11 {
            model = model.dense(64, Relu);
        }
        let model = model
            .dense(10, Softmax)
            .compile_on(&device, SparseCategoricalCrossentropy, Adam::default(), [])
            .unwrap();
        let (_, plan) = model.inspect(256, 256).unwrap();
        assert_eq!(layer_gradients(&plan), (expected, expected), "{plan}");
    }
}

/// Where more than X and dZ lives between forward and backward, a slab of dZ that lives as a whole would add to the peak.
#[test]
fn layers_lie_in_no_slabs_that_would_raise_the_peak() {
    let plan = |buffers| {
        let device = Device::cpu().with_target(|_| Target {
            max_storage_buffers: buffers,
            ..gpu()
        });
        let mut model = Sequential::new(256);
        for _ in 0..8 {
            model = model.dense(256, Gelu).layer(Dropout::new(0.5));
        }
        let model = model
            .dense(10, Softmax)
            .compile_on(&device, SparseCategoricalCrossentropy, Adam::default(), [])
            .unwrap();
        model.inspect(1000, 512).unwrap().1
    };
    let (few, plan) = (plan(8), plan(16));
    let notes = &plan.program("train").unwrap().notes;
    let said = |note: &String| note.contains("would raise the peak");
    assert!(notes.iter().any(said), "{plan}");
    assert_eq!(layer_gradients(&plan), (2, 2), "{plan}");
    let (bytes, bound) = (plan.slot_bytes(), few.lower_bound_bytes());
    assert!(
        bytes as f64 <= 1.05 * bound as f64,
        "{bytes} of {bound}:\n{plan}"
    );
}

/// Layers that share X, and branches that meet again: what is in slabs conflicts in more ways than in a chain.
fn branches(device: &Device) -> Model {
    let dense = |units| Dense::new(units).activation(Relu);
    let x = Input::named("x", 40);
    let trunk = dense(24).on(&x);
    let (left, right) = (dense(24).on(&trunk), dense(24).on(&trunk));
    let (left, right) = (dense(24).on(&left), dense(24).on(&right));
    let (left, right) = (dense(24).on(&left), dense(24).on(&right));
    let again = Concatenate::default().on([&left, &right]);
    let y = Dense::new(3).activation(Softmax).on(&again);
    let model = Functional::new([&x], [&y]).seed(9);
    model
        .compile_on(device, SparseCategoricalCrossentropy, Adam::new(0.01), [])
        .unwrap()
}

#[test]
fn layers_of_branches_in_slabs_train_as_the_unfused_graph() {
    let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
    let features: Vec<f32> = (0..90 * 40).map(number).collect();
    let targets = Targets::Labels {
        labels: (0..90).map(|row| (row * row % 3) as u32).collect(),
        classes: 3,
    };
    let data = Dataset::new(features, 40, targets).unwrap();
    let train = |device: &Device| {
        let mut model = branches(device);
        let fit = Fit::steps(8).batch_size(33).silent();
        model.fit(&data, fit).unwrap();
        model.weights().unwrap()
    };
    let expected = train(&Device::reference().with_target(unfused));
    let as_gpu = |target: Target| Target {
        class: Class::Gpu,
        products: Products::Shared,
        ..target
    };
    let mut devices = vec![Device::reference(), Device::cpu()];
    if let Some(device) = common::device()
        && device.adapter_summary().is_some()
    {
        devices.push(device.clone().with_target(as_gpu));
    }
    let plan = branches(&Device::cpu().with_target(|_| gpu()));
    let (_, plan) = plan.inspect(90, 33).unwrap();
    // Of eight layers, which were three calls by themselves.
    assert_eq!(layer_gradients(&plan), (2, 2), "{plan}");
    for device in devices {
        for (own, expected) in train(&device).iter().zip(&expected) {
            for (a, b) in own.values.iter().zip(&expected.values) {
                assert!(
                    (a - b).abs() <= 1e-3 * b.abs().max(0.1),
                    "{device}: {a} for {b}"
                );
            }
        }
    }
}
