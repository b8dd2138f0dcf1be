//! Graphs, plans and sessions.

use kiln::plan::{Class, Target};
use kiln::prelude::*;
use kiln::{Plan, TensorType};

use super::{model, says};

pub fn all() {
    shapes_that_do_not_fit_name_the_op_the_shapes_and_the_line();
    gradients_and_sums_that_cannot_be_are_refused();
    limits_exceeded_name_the_limit_and_the_tensor();
    a_session_refuses_wrong_names_and_lengths();
    a_snapshot_whose_elements_do_not_fit_changes_nothing();
}

fn compile(graph: &Graph, y: &Tensor) -> Result<Plan> {
    Plan::compile(graph, &Target::cpu(), [Program::new("p").fetch("y", y)])
}

#[test]
pub fn shapes_that_do_not_fit_name_the_op_the_shapes_and_the_line() {
    let graph = Graph::new();
    let (x, w) = (graph.input("x", [32, 784]), graph.input("w", [128, 10]));
    let line = line!() + 1;
    let y = x.matmul(&w).relu();
    says(
        compile(&graph, &y),
        &[
            "matmul",
            "[32, 784]",
            "[128, 10]",
            "graph.rs",
            &line.to_string(),
        ],
    );

    let graph = Graph::new();
    let y = graph.input("a", [3, 4]).add(&graph.input("b", [5]));
    says(compile(&graph, &y), &["add", "[3, 4]", "[5]", "broadcast"]);

    let graph = Graph::new();
    let y = graph.input("a", [3, 4]).reshape([5, 5]);
    says(compile(&graph, &y), &["reshape", "12", "25"]);

    let graph = Graph::new();
    let y = graph.parameter("w", [2, 2], &[1.0]);
    says(compile(&graph, &y), &["`w`", "[2, 2]", "1 values"]);

    let graph = Graph::new();
    let y = graph
        .input("labels", [4])
        .cross_entropy(&graph.input("t", [5]), kiln::op::Form::Logits);
    says(compile(&graph, &y), &["cross_entropy"]);

    let graph = Graph::new();
    let (_, mean, _) = graph.input("empty", [0, 3]).standardize(0, 1e-3);
    says(compile(&graph, &mean), &["standardize", "without elements"]);
}

#[test]
pub fn gradients_and_sums_that_cannot_be_are_refused() {
    let (graph, other) = (Graph::new(), Graph::new());
    let loss = other.input("x", [2]).sum();
    let w = graph.input("w", [2]);
    let gradients = graph.gradients(&loss, &[&w]);
    says(
        compile(&graph, &gradients[0]),
        &["gradients", "another graph"],
    );

    let graph = Graph::new();
    let y = graph.input("x", [3]).sum_to([2, 3, 3]);
    assert!(compile(&graph, &y).is_err());

    let graph = Graph::new();
    let y = graph.input("x", [3]).sum_over(isize::MAX);
    assert!(compile(&graph, &y).is_err());
}

#[test]
pub fn limits_exceeded_name_the_limit_and_the_tensor() {
    let graph = Graph::new();
    let big = graph.input("big", [1 << 20, 64]);
    let program = Program::new("p").fetch("y", &big.relu());
    let outcome = Plan::compile(&graph, &Target::new(Class::Gpu, None), [program]);
    says(outcome, &["max", "268435456"]);

    // A set that four bindings of the adapter cannot hold.
    let small = Target {
        max_binding_bytes: 1024,
        ..Target::new(Class::Gpu, None)
    };
    let device = Device::cpu().with_target(|_| small);
    let model = Sequential::new(8).dense(3, Softmax);
    let model = model
        .compile_on(&device, SparseCategoricalCrossentropy, Adam::default(), [])
        .unwrap();
    says(
        model.inspect(1000, 8),
        &["maxStorageBufferBindingSize", "train.x", "1000 rows"],
    );

    // Sizes whose product does not fit 64 bits are refused, not wrapped around.
    let graph = Graph::new();
    let huge = graph.variable(
        "huge",
        TensorType::f32([usize::MAX, usize::MAX]),
        kiln::Initial::Zeros,
    );
    assert!(compile(&graph, &huge.relu()).is_err());
}

#[test]
pub fn a_session_refuses_wrong_names_and_lengths() {
    let graph = Graph::new();
    let x = graph.input("x", [3]);
    let plan = compile(&graph, &x.relu()).unwrap();
    let mut session = Device::cpu().open(&plan).unwrap();
    says(session.write("x", &[1.0]), &["`x`", "[3]", "1 values"]);
    says(session.write("z", &[1.0]), &["`z`", "x"]);
    says(session.write_labels("x", &[1, 2, 3]), &["`x`", "f32"]);
    says(session.run("q", 1), &["`q`", "p"]);
    says(session.read("q"), &["`q`", "x, y"]);
    let mut model = model();
    says(
        model.set_weights([("dense/kernel", &[1.0][..])]),
        &["dense/kernel", "[2, 4]"],
    );
    says(
        model.set_weights([("predict.x", &[1.0][..])]),
        &["predict.x", "dense/kernel"],
    );
}

#[test]
pub fn a_snapshot_whose_elements_do_not_fit_changes_nothing() {
    let graph = Graph::new();
    let (a, b) = (
        graph.parameter("a", [2], &[1.0, 2.0]),
        graph.parameter("b", [2], &[3.0, 4.0]),
    );
    let plan = compile(&graph, &a.add(&b)).unwrap();
    let mut session = Device::cpu().open(&plan).unwrap();
    let mut snapshot = session.snapshot().unwrap();
    for (name, (_, values)) in &mut snapshot.variables {
        let len = if name == "a" { 2 } else { 5 };
        *values = kiln::Values::F32(vec![9.0; len]);
    }
    says(session.restore(&snapshot), &["`b`"]);
    assert_eq!(session.read("a").unwrap(), [1.0, 2.0], "restored by half");
    assert_eq!(session.read("b").unwrap(), [3.0, 4.0]);
}
