//! What a graph, a plan or a session refuses, and in which words.

use kiln::op::OneHot;
use kiln::plan::Target;
use kiln::{DType, Device, Error, Graph, Plan, Program, Tensor};

use super::gpu;
use super::updates::Descend;

#[test]
fn an_error_names_the_op_its_shapes_and_the_callers_line() {
    let graph = Graph::new();
    let (a, b) = (graph.input("a", [2, 3]), graph.input("b", [4]));
    let line = line!() + 1;
    let _y = a.add(&b);
    let error = graph.check().unwrap_err();
    let text = error.to_string();
    match error {
        Error::Shape { op, location, .. } => {
            assert_eq!((op.as_str(), location.line()), ("add", line));
            assert_eq!(location.file(), file!());
        }
        other => panic!("{other:?}"),
    }
    assert!(text.contains("[2, 3]") && text.contains("[4]"), "{text}");
    assert!(text.ends_with(&format!("({}:{line})", file!())), "{text}");
}

#[test]
fn the_line_is_the_callers_through_every_method_and_operator() {
    type Call = fn(&Tensor, &Tensor) -> Tensor;
    let wrong: [(&str, Call); 8] = [
        ("add", |a, b| a + b),
        ("sub", |a, b| a.sub(b)),
        ("mul", |a, b| a * b),
        ("div", |a, b| a.div(b)),
        ("sum", |a, _| a.sum_over(7)),
        ("reshape", |a, _| a.reshape([5])),
        ("sigmoid", |a, _| a.graph().labels("l", [2]).sigmoid()),
        ("one_hot", |a, b| {
            let op = OneHot {
                classes: 3,
                smoothing: 0.0,
                ignored: None,
            };
            a.graph().apply_one(op, &[b, a])
        }),
    ];
    for (name, call) in wrong {
        let graph = Graph::new();
        call(&graph.input("a", [2, 3]), &graph.input("b", [4]));
        match graph.check().unwrap_err() {
            Error::Shape { op, location, .. } => {
                assert_eq!((op.as_str(), location.file()), (name, file!()));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn the_first_error_wins_and_what_follows_from_it_is_silent() {
    let graph = Graph::new();
    let (a, b) = (graph.input("a", [2, 3]), graph.input("b", [4]));
    let wrong = a.mul(&b);
    let after = wrong.tanh().add(&a).reshape([1000]);
    let _another = a.sum_over(9);
    let error = Plan::compile(&graph, &gpu(), [Program::new("p").fetch("y", &after)]).unwrap_err();
    assert!(error.to_string().starts_with("mul: "), "{error}");
}

#[test]
fn variables_that_do_not_fit_are_errors() {
    let refused = |make: fn(&Graph)| {
        let graph = Graph::new();
        make(&graph);
        graph.check().unwrap_err().to_string()
    };
    let twice = refused(|graph| {
        graph.input("x", [1]);
        graph.input("x", [2]);
    });
    assert!(twice.contains("already a variable `x`"), "{twice}");
    // A batch of no rows is an input like another, but nothing is the largest of none.
    let empty = refused(|graph| drop(graph.input("nothing", [0, 3]).largest(0)));
    assert!(empty.contains("without elements"), "{empty}");
    let short = refused(|graph| drop(graph.parameter("w", [2, 2], &[1.0; 3])));
    assert!(
        short.contains("`w` is [2, 2]") && short.contains("3 values"),
        "{short}"
    );
    let foreign = refused(|graph| drop(graph.input("x", [1]).add(&Graph::new().input("y", [1]))));
    assert!(foreign.contains("another graph"), "{foreign}");
}

#[test]
fn limits_exceeded_are_errors_that_name_the_limit_and_the_tensor() {
    let compile = |target: Target| {
        let graph = Graph::new();
        let x = graph.input("pictures", [2000, 1000]);
        let program = Program::new("p").fetch("y", &x.tanh().sum_over(1));
        let error = Plan::compile(&graph, &target, [program]).unwrap_err();
        let text = error.to_string();
        match error {
            Error::Limit {
                limit,
                what,
                needed,
                allowed,
            } => {
                // And what to change.
                let parts = [&what, limit, &allowed.to_string(), "what helps is"];
                assert!(parts.iter().all(|part| text.contains(*part)), "{text}");
                assert!(
                    text.contains("smaller batch") || limit.contains("Buffers"),
                    "{text}"
                );
                (limit, what, needed, allowed)
            }
            other => panic!("{other:?}"),
        }
    };
    let (limit, what, needed, allowed) = compile(Target {
        max_buffer_bytes: 1 << 20,
        ..gpu()
    });
    assert_eq!(limit, "maxBufferSize");
    assert!(what.contains("pictures"), "{what}");
    assert_eq!((needed, allowed), (8_000_000, 1 << 20));

    let (limit, what, needed, _) = compile(Target {
        max_binding_bytes: 1 << 20,
        ..gpu()
    });
    assert_eq!(limit, "maxStorageBufferBindingSize");
    assert_eq!(what, "`pictures` (operand 0 of tanh)");
    assert_eq!(needed, 8_000_000);

    // What no variable holds is named by the op that computes it.
    let graph = Graph::new();
    let x = graph.input("x", [1000, 4]);
    let wide = x.matmul(&graph.input("w", [4, 1000])).tanh();
    let small = Target {
        max_binding_bytes: 1 << 20,
        ..gpu()
    };
    let program = Program::new("p").fetch("y", &wide);
    let text = Plan::compile(&graph, &small, [program])
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("what dense computes (operand"), "{text}");

    let (limit, what, ..) = compile(Target {
        max_workgroups: 100,
        ..gpu()
    });
    assert_eq!(limit, "maxComputeWorkgroupsPerDimension");
    assert!(what.contains("tanh (pointwise.forward)"), "{what}");

    let (limit, what, ..) = compile(Target {
        max_storage_buffers: 1,
        ..gpu()
    });
    assert_eq!(limit, "maxStorageBuffersPerShaderStage");
    assert!(what.contains("tanh (pointwise.forward)"), "{what}");
}

#[test]
fn sizes_beyond_any_machine_are_errors_not_overflows() {
    for shape in [vec![usize::MAX], vec![1 << 40, 1 << 40], vec![1 << 62, 3]] {
        for target in [Target::cpu(), gpu()] {
            let graph = Graph::new();
            let x = graph.input("huge", shape.clone());
            let y = x.tanh().add(&x).sum();
            let error =
                Plan::compile(&graph, &target, [Program::new("p").fetch("y", &y)]).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Shape { .. }), "{text}");
            assert!(text.contains("`huge`") && text.contains(file!()), "{text}");
        }
    }
}

#[test]
fn a_result_beyond_any_machine_is_an_error_at_its_op() {
    let graph = Graph::new();
    let (a, b) = (graph.input("a", [1 << 30, 1]), graph.input("b", [1 << 30]));
    let _y = a.mul(&b).tanh().sum();
    let error = graph.check().unwrap_err().to_string();
    assert!(error.starts_with("mul: "), "{error}");
    assert!(error.contains("[1073741824, 1073741824]"), "{error}");
}

#[test]
fn unknown_names_list_what_is_known() {
    let graph = Graph::new();
    let x = graph.input("features", [3]);
    let device = Device::cpu();
    let programs = [
        Program::new("train").fetch("loss", &x.sum()),
        Program::new("predict").fetch("y", &x.neg()),
    ];
    let plan = Plan::compile(&graph, device.target(), programs).unwrap();
    let mut session = device.open(&plan).unwrap();
    let known = |error: Error| match error {
        Error::NotFound { known, .. } => known,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        known(session.run("fit", 1).unwrap_err()),
        ["train", "predict"]
    );
    assert_eq!(
        known(session.write("x", &[0.0; 3]).unwrap_err()),
        ["features"]
    );
    let read = session.read("accuracy").unwrap_err();
    assert!(read.to_string().contains("`accuracy`"), "{read}");
    assert_eq!(known(read), ["features", "loss", "y"]);
    assert_eq!(
        known(plan.program("fit").unwrap_err()),
        ["train", "predict"]
    );
    assert_eq!(known(plan.variable("w").unwrap_err()), ["features"]);
}

#[test]
fn values_of_another_length_or_type_are_refused() {
    let graph = Graph::new();
    let (x, labels) = (graph.input("x", [3]), graph.labels("labels", [2]));
    assert_eq!(labels.dtype(), DType::U32);
    let program = Program::new("p").fetch("y", &x.neg()).fetch("l", &labels);
    let device = Device::cpu();
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    let short = session.write("x", &[0.0; 2]).unwrap_err().to_string();
    assert!(
        short.contains("[3]") && short.contains("2 values"),
        "{short}"
    );
    session.write("x", &[0.0; 4]).unwrap_err();
    session.write("labels", &[0.0; 2]).unwrap_err();
    session.write_labels("x", &[0; 3]).unwrap_err();
    session.read("labels").unwrap_err();
    session.write_labels("labels", &[4, 5]).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(
        session.read_values("l").unwrap(),
        kiln::Values::U32(vec![4, 5])
    );
}

#[test]
fn a_plan_needs_programs_with_names_of_their_own() {
    let graph = Graph::new();
    let x = graph.input("x", [3]);
    let none = Plan::compile(&graph, &gpu(), []).unwrap_err();
    assert!(none.to_string().contains("at least one"), "{none}");
    let twice = [
        Program::new("p").fetch("a", &x.neg()),
        Program::new("p").fetch("b", &x.exp()),
    ];
    let error = Plan::compile(&graph, &gpu(), twice).unwrap_err();
    assert!(error.to_string().contains("two are named `p`"), "{error}");
}

#[test]
fn two_fetches_under_one_name_are_refused() {
    let graph = Graph::new();
    let x = graph.input("x", [3]);
    let within = Program::new("p").fetch("y", &x.neg()).fetch("y", &x.exp());
    let error = Plan::compile(&graph, &gpu(), [within]).unwrap_err();
    assert!(error.to_string().contains("`y`"), "{error}");
    // One name for one tensor in several programs is the common case.
    let y = x.tanh();
    let both = [
        Program::new("a").fetch("y", &y),
        Program::new("b").fetch("y", &y),
    ];
    Plan::compile(&graph, &gpu(), both).unwrap();
}

#[test]
fn an_update_and_a_tensor_of_another_graph_cannot_be_fetched() {
    let graph = Graph::new();
    let (x, rate) = (graph.input("x", [3]), graph.constant([1], &[0.5]));
    let update = graph.apply_one(Descend, &[&x, &x.neg(), &rate]);
    let error = Plan::compile(&graph, &gpu(), [Program::new("p").fetch("u", &update)]).unwrap_err();
    assert!(error.to_string().contains("has no value"), "{error}");
    let other = Graph::new();
    let stranger = other.input("z", [3]).neg().exp().tanh().sigmoid().abs();
    let program = Program::new("p").fetch("y", &x.neg()).fetch("z", &stranger);
    let error = Plan::compile(&graph, &gpu(), [program]).unwrap_err();
    assert!(error.to_string().contains("another graph"), "{error}");
}

#[test]
fn an_op_that_updates_a_temporary_is_refused() {
    let graph = Graph::new();
    let (x, rate) = (graph.input("x", [2]), graph.constant([1], &[0.5]));
    graph.apply_one(Descend, &[&x.neg(), &x, &rate]);
    let error = graph.check().unwrap_err().to_string();
    assert!(error.contains("must be a variable"), "{error}");
}

#[test]
fn an_op_that_updates_a_constant_is_refused_and_a_name_makes_no_constant() {
    let graph = Graph::new();
    let (x, rate) = (graph.input("x", [2]), graph.constant([1], &[0.5]));
    graph.apply_one(Descend, &[&graph.constant([2], &[1.0, 2.0]), &x, &rate]);
    let error = graph.check().unwrap_err().to_string();
    assert!(error.contains("no constant"), "{error}");

    let graph = Graph::new();
    let (w, rate) = (
        graph.parameter("constant.w", [2], &[1.0; 2]),
        graph.constant([1], &[0.5]),
    );
    let update = graph.apply_one(Descend, &[&w, &w.neg(), &rate]);
    let plan = Plan::compile(&graph, &gpu(), [Program::new("p").update([&update])]).unwrap();
    let constants = plan.variables.iter().filter(|variable| variable.constant);
    assert_eq!(constants.count(), 1, "the rate alone");
    assert!(!plan.variable("constant.w").unwrap().constant);
}
