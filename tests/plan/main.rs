//! Facts about plans, from graphs alone: no device is opened but the CPU reference.
#![allow(clippy::unwrap_used)]

mod errors;
mod memory;
mod updates;

use kiln::plan::{Class, Plan, PlannedProgram, Target};
use kiln::{Device, Graph, Program, Tensor};

fn gpu() -> Target {
    Target::new(Class::Gpu, None)
}

/// Hidden layers of a network without products: shift, scale and squash, `width` wide.
fn layers(graph: &Graph, x: &Tensor, widths: usize, width: usize) -> (Tensor, Vec<Tensor>) {
    let (mut y, mut parameters) = (x.clone(), Vec::new());
    for layer in 0..widths {
        let w = graph.parameter(format!("w{layer}"), [width], &vec![0.5; width]);
        let b = graph.parameter(format!("b{layer}"), [width], &vec![0.1; width]);
        y = y.mul(&w).add(&b).tanh();
        parameters.extend([w, b]);
    }
    (y, parameters)
}

/// Loss and gradients of [`layers`] as a program that fetches them.
fn training(rows: usize, depth: usize, width: usize) -> (Graph, Program) {
    let graph = Graph::new();
    let x = graph.input("x", [rows, width]);
    let (y, parameters) = layers(&graph, &x, depth, width);
    let loss = y.square().mean();
    let wanted: Vec<&Tensor> = parameters.iter().collect();
    let mut program = Program::new("train").fetch("loss", &loss);
    for (i, gradient) in graph.gradients(&loss, &wanted).iter().enumerate() {
        program = program.fetch(format!("gradient{i}"), gradient);
    }
    (graph, program)
}

/// Chains of several kinds, with their plans for every class of machine.
fn chains() -> Vec<(&'static str, Plan)> {
    let mut plans = Vec::new();
    for target in [
        Target::cpu(),
        gpu(),
        Target::new(Class::CpuAdapter, Some(8)),
    ] {
        let mut compile = |name, graph: &Graph, programs: Vec<Program>| {
            plans.push((name, Plan::compile(graph, &target, programs).unwrap()));
        };
        let graph = Graph::new();
        let (y, _) = layers(&graph, &graph.input("x", [70, 33]), 20, 33);
        compile("forward", &graph, vec![Program::new("p").fetch("y", &y)]);

        for (rows, depth, width) in [(32, 3, 10), (257, 8, 100), (1000, 2, 17)] {
            let (graph, program) = training(rows, depth, width);
            compile("training", &graph, vec![program]);
        }

        // Residual blocks, whose input waits for their end.
        let graph = Graph::new();
        let mut y = graph.input("x", [256, 255]);
        for _ in 0..6 {
            y = y.sigmoid().square().exp().neg().add(&y);
        }
        let loss = y.sum();
        compile(
            "residual",
            &graph,
            vec![Program::new("p").fetch("l", &loss)],
        );

        // Two programs, whose temporaries need not live together.
        let (graph, train) = training(1000, 4, 33);
        let x = graph.input("other", [1000, 66]);
        let score = x.exp().log().square().sum_over(1);
        let second = Program::new("evaluate").fetch("score", &score);
        compile("two programs", &graph, vec![train, second]);
    }
    plans
}

fn calls(program: &PlannedProgram) -> Vec<&'static str> {
    program.calls.iter().map(|call| call.op.name()).collect()
}

#[test]
fn a_view_has_no_call_and_keeps_what_it_shows_alive() {
    let graph = Graph::new();
    let x = graph.input("x", [6]);
    let view = x.scale(2.0).reshape([2, 3]).reshape([3, 2]);
    let mut other = x.tanh();
    for _ in 0..5 {
        other = other.tanh();
    }
    let y = view.sum_over(1);
    let program = Program::new("p")
        .fetch("other", &other)
        .fetch("view", &view)
        .fetch("y", &y);
    let device = Device::cpu();
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    assert!(!calls(&plan.programs[0]).contains(&"reshape"));
    assert_eq!(plan.programs[0].calls.len(), 8);
    let mut session = device.open(&plan).unwrap();
    session.write("x", &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(session.read("y").unwrap(), [6.0, 14.0, 22.0]);
    assert_eq!(
        session.read("view").unwrap(),
        [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    );
}

#[test]
fn dead_code_is_not_scheduled() {
    let graph = Graph::new();
    let x = graph.input("x", [10]);
    let _dead = graph.input("unused", [10]).exp().add(&x);
    let program = Program::new("p").fetch("y", &x.neg());
    let plan = Plan::compile(&graph, &gpu(), [program]).unwrap();
    assert_eq!(calls(&plan.programs[0]), ["neg"]);
    assert_eq!(plan.variables.len(), 1, "{plan}");
}

#[test]
fn a_plan_prints_its_calls_kernels_slots_and_bytes() {
    let (graph, program) = training(1000, 2, 100);
    let text = Plan::compile(&graph, &gpu(), [program])
        .unwrap()
        .to_string();
    for part in [
        "plan for gpu",
        "program train:",
        "tanh.backward",
        "pointwise.forward",
        "sum.forward",
        "binary.forward",
        "w0",
        "b1",
        "temporaries",
        "lower bound",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn a_sum_splits_rather_than_exceed_the_loop_limit_of_cpu_adapters() {
    let target = Target::new(Class::CpuAdapter, None);
    for shape in [vec![3_000_000], vec![100_000, 2], vec![2000, 70_000]] {
        let graph = Graph::new();
        let y = graph.input("x", shape.clone()).sum_over(-1);
        let program = Program::new("p").fetch("y", &y);
        let target = Target {
            max_binding_bytes: 1 << 40,
            max_buffer_bytes: 1 << 40,
            ..target.clone()
        };
        let plan = Plan::compile(&graph, &target, [program]).unwrap();
        for launch in plan.programs[0].calls.iter().flat_map(|c| &c.launches) {
            assert!(
                launch.iterations <= 60_000,
                "{shape:?}: {}",
                launch.iterations
            );
        }
    }
}

#[test]
fn a_fetch_is_read_from_the_program_that_ran_last() {
    let graph = Graph::new();
    let x = graph.input("x", [3]);
    let device = Device::cpu();
    let programs = [
        Program::new("a")
            .fetch("y", &x.offset(1.0))
            .fetch("only a", &x.exp()),
        Program::new("b")
            .fetch("z", &x.neg())
            .fetch("y", &x.offset(2.0)),
    ];
    let plan = Plan::compile(&graph, device.target(), programs).unwrap();
    let mut session = device.open(&plan).unwrap();
    let early = session.read("y").unwrap_err().to_string();
    assert!(early.contains("has run"), "{early}");
    for (program, expected) in [("a", 1.0), ("b", 2.0), ("a", 1.0)] {
        session.run(program, 1).unwrap();
        assert_eq!(session.read("y").unwrap(), [expected; 3]);
    }
    session.run("b", 1).unwrap();
    let other = session.read("only a").unwrap_err().to_string();
    assert!(other.contains("`b` ran last"), "{other}");
}
