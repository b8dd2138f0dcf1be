//! Facts about optimizer updates in a plan: merged into one call over slabs, and what must not be merged.

use kiln::op::Adam;
use kiln::{Device, Graph, Initial, Program, Tensor, TensorType};

const RULE: Adam = Adam {
    beta_1: 0.9,
    beta_2: 0.999,
    epsilon: 1e-7,
};

/// Adam's updates of `parameters` for `loss`, their states and the clock's rates being variables.
fn adam(graph: &Graph, loss: &Tensor, parameters: &[Tensor]) -> Program {
    let wanted: Vec<&Tensor> = parameters.iter().collect();
    let gradients = graph.gradients(loss, &wanted);
    let rates = graph.parameter("rates", [4], &[0.01, 0.9, 0.999, 0.0]);
    let updates: Vec<Tensor> = (0..)
        .zip(parameters.iter().zip(&gradients))
        .map(|(i, (w, g))| {
            let state = |name: &str| {
                let kind = TensorType::f32(w.shape());
                graph.variable(format!("{name}{i}"), kind, Initial::Zeros)
            };
            w.adam_step(&state("m"), &state("v"), g, &rates, RULE)
        })
        .collect();
    Program::new("train").update(&updates)
}

#[test]
fn updates_merge_into_one_call_and_their_states_stay_readable() {
    let graph = Graph::new();
    let x = graph.parameter("x", [2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let w = graph.parameter("w", [2, 3], &[0.5; 6]);
    let b = graph.parameter("b", [3], &[0.25; 3]);
    let y = x.mul(&w).add(&b);
    let program = adam(&graph, &y.square().mean(), &[w, b]);
    let device = Device::reference();
    let plan = graph.compile(device.target(), [program]).unwrap();
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
    for name in ["m0", "v0", "m1", "v1"] {
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
    let rates = graph.parameter("rates", [4], &[0.25, 0.0, 0.0, 0.0]);
    let updates = [w.sgd_step(&given, &rates), b.sgd_step(&given.neg(), &rates)];
    let device = Device::reference();
    let plan = graph
        .compile(device.target(), [Program::new("train").update(&updates)])
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
    let program = adam(&graph, &y.square().sum(), &[w, b]);
    let device = Device::reference();
    let plan = graph.compile(device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("train", 1).unwrap();
    let (w, b) = (session.read("w").unwrap(), session.read("b").unwrap());
    assert!(
        (w[0] - 0.49).abs() < 1e-6 && (b[0] - 0.24).abs() < 1e-6,
        "{w:?} {b:?}"
    );
}
