//! Facts about plans, from graphs alone: no device is opened but the CPU reference.
#![allow(clippy::unwrap_used)]

use kiln::op::{
    Binary, Compute, Io, Launch, Launches, Op, Operator, Sample, Shader, Signature, Slab,
};
use kiln::optim::{Adam, Optimizer, Sgd};
use kiln::plan::{Class, Place, Plan, PlannedProgram, Target};
use kiln::{DType, Device, Error, Graph, Program, Tensor, TensorType};

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
            plans.push((name, graph.compile(&target, programs).unwrap()));
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
        ("add", |a, b| {
            a.graph().apply_one(Binary(Operator::Add), &[b, a])
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
    let error = graph
        .compile(&gpu(), [Program::new("p").fetch("y", &after)])
        .unwrap_err();
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
    let empty = refused(|graph| drop(graph.input("nothing", [3, 0])));
    assert!(
        empty.contains("`nothing`") && empty.contains("[3, 0]"),
        "{empty}"
    );
    let short = refused(|graph| drop(graph.parameter("w", [2, 2], &[1.0; 3])));
    assert!(
        short.contains("`w` is [2, 2]") && short.contains("3 values"),
        "{short}"
    );
    let foreign = refused(|graph| drop(graph.input("x", [1]).add(&Graph::new().input("y", [1]))));
    assert!(foreign.contains("another graph"), "{foreign}");
}

#[test]
fn a_long_chain_runs_in_few_slots() {
    let graph = Graph::new();
    let mut y = graph.input("x", [1000]);
    for _ in 0..50 {
        y = y.tanh();
    }
    let plan = graph
        .compile(&gpu(), [Program::new("p").fetch("y", &y)])
        .unwrap();
    let temporaries = plan.slots.iter().filter(|slot| !slot.persistent).count();
    assert_eq!((plan.programs[0].calls.len(), temporaries), (50, 2));
}

#[test]
fn programs_share_their_temporaries_but_not_the_variables() {
    let graph = Graph::new();
    let x = graph.input("x", [1000]);
    let programs = (0..5).map(|i| Program::new(format!("p{i}")).fetch(format!("y{i}"), &x.exp()));
    let plan = graph.compile(&gpu(), programs.collect::<Vec<_>>()).unwrap();
    assert_eq!(plan.slots.len(), 2);
    assert_eq!(plan.variables.len(), 1);
}

#[test]
fn the_peak_is_within_five_per_cent_of_the_lower_bound() {
    let plans = chains();
    assert!(plans.len() >= 18);
    let mut wasteful = String::new();
    for (name, plan) in plans {
        let (bytes, bound) = (plan.slot_bytes(), plan.lower_bound_bytes());
        assert!(
            bytes >= bound,
            "{name} on {}: {bytes} of {bound}",
            plan.target
        );
        if bytes as f64 > 1.05 * bound as f64 {
            let target = &plan.target;
            wasteful +=
                &format!("{name} on {target}: {bytes} bytes where {bound} would do\n{plan}");
        }
    }
    assert!(wasteful.is_empty(), "\n{wasteful}");
}

/// The lower bound knows no buffers: here three small operands meet in one call, and the large buffer that is free by
/// then can only be one of them, because what a call writes has a buffer of its own.
#[test]
fn small_tensors_after_a_large_one_cost_at_most_one_of_them_more() {
    let graph = Graph::new();
    let x = graph.input("x", [500, 4, 30]);
    let middle = x.square().sum_over(1).tanh();
    let low = middle.sum_over(0).sigmoid();
    let y = middle.mul(&low).add(&middle);
    let program = Program::new("p").fetch("y", &y);
    let plan = graph.compile(&gpu(), [program]).unwrap();
    let small = (500u64 * 30 * 4).next_multiple_of(plan.target.alignment);
    assert!(
        plan.slot_bytes() <= plan.lower_bound_bytes() + small,
        "{plan}"
    );
}

#[test]
fn no_operand_of_a_call_shares_a_slot_with_one_that_is_written() {
    for (name, plan) in chains() {
        for call in plan.programs.iter().flat_map(|program| &program.calls) {
            let read = call.inputs.iter().enumerate();
            let read = read.filter(|(i, _)| !call.updates(*i)).map(|(_, p)| *p);
            let written: Vec<Place> = call.written().chain(call.scratch.iter().copied()).collect();
            for (i, place) in written.iter().enumerate() {
                let others = written[i + 1..].iter().copied().chain(read.clone());
                for other in others {
                    assert_ne!(
                        place.slot,
                        other.slot,
                        "{name}: {} in\n{plan}",
                        call.op.name()
                    );
                }
            }
        }
    }
}

#[test]
fn places_are_aligned_and_inside_their_slots() {
    for (_, plan) in chains() {
        for call in plan.programs.iter().flat_map(|program| &program.calls) {
            for place in call.inputs.iter().chain(&call.outputs).chain(&call.scratch) {
                assert_eq!(place.offset * 4 % plan.target.alignment, 0);
                assert!(place.offset + place.len <= plan.slots[place.slot].elements);
            }
        }
    }
}

/// If two tensors that live together shared memory, fetching every node, which keeps all alive, would change results.
#[test]
fn sharing_slots_changes_no_result() {
    let graph = Graph::new();
    let x = graph.input("x", [7, 33]);
    let (y, parameters) = layers(&graph, &x, 4, 33);
    let loss = y.square().add(&x.exp()).mean();
    let wanted: Vec<&Tensor> = parameters.iter().collect();
    let gradients = graph.gradients(&loss, &wanted);
    let mut shared = Program::new("run").fetch("loss", &loss);
    let mut separate = shared.clone().fetch("y", &y);
    for (i, gradient) in gradients.iter().enumerate() {
        shared = shared.fetch(format!("g{i}"), gradient);
        separate = separate.fetch(format!("g{i}"), gradient);
    }
    // Every node of the gradient once more, by way of the graph's own nodes.
    for (i, node) in [&y, &loss].into_iter().chain(&gradients).enumerate() {
        separate = separate.fetch(format!("again{i}"), &node.tanh());
    }
    let device = Device::reference();
    let run = |program| {
        let plan = graph.compile(device.target(), [program]).unwrap();
        let mut session = device.open(&plan).unwrap();
        let x: Vec<f32> = (0..7 * 33).map(|i| (i as f32 * 0.37).sin()).collect();
        session.poison(0x7fc0_dead, 0x7fc0_beef).unwrap();
        session.write("x", &x).unwrap();
        session.run("run", 2).unwrap();
        let mut read = vec![session.read_values("loss").unwrap()];
        read.extend((0..gradients.len()).map(|i| session.read_values(&format!("g{i}")).unwrap()));
        read
    };
    assert_eq!(run(shared), run(separate));
}

#[test]
fn what_is_fetched_survives_to_the_end_of_the_program() {
    let graph = Graph::new();
    let x = graph.input("x", [100]);
    let early = x.scale(3.0);
    let mut late = early.offset(1.0);
    for _ in 0..20 {
        late = late.tanh();
    }
    let program = Program::new("p")
        .fetch("early", &early)
        .fetch("late", &late);
    let device = Device::cpu();
    let plan = graph.compile(device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.write("x", &[0.5; 100]).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(session.read("early").unwrap(), [1.5; 100]);
}

#[test]
fn a_fetched_scratch_or_variable_can_be_read_too() {
    let graph = Graph::new();
    let x = graph.parameter("x", [3], &[1.0, 2.0, 3.0]);
    let device = Device::cpu();
    let program = Program::new("p").fetch("itself", &x).fetch("y", &x.neg());
    let plan = graph.compile(device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(session.read("itself").unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(session.read("y").unwrap(), [-1.0, -2.0, -3.0]);
}

#[test]
fn variables_that_only_merged_updates_use_keep_their_names_and_first_values() {
    let graph = Graph::new();
    let adam = Adam::new(0.5);
    let clock = graph.clock("clock", 1, adam.rates());
    let mut updates = vec![clock.indices.clone()];
    for (name, first) in [("a", [1.0, 2.0, 3.0]), ("b", [4.0, 5.0, 6.0])] {
        let parameter = graph.parameter(name, [3], &first);
        let gradient = graph.input(format!("gradient.{name}"), [3]);
        updates.push(adam.update(name, &parameter, &gradient, &clock));
    }
    let plan = graph.compile(&Target::cpu(), [Program::new("step").update(&updates)]);
    let plan = plan.unwrap();
    assert_eq!(
        plan.programs[0].calls.len(),
        2,
        "a clock and one merged update"
    );
    let mut session = Device::reference().open(&plan).unwrap();
    assert_eq!(session.read("b").unwrap(), [4.0, 5.0, 6.0]);
    session.write("gradient.b", &[1.0, -1.0, 0.0]).unwrap();
    session.run("step", 1).unwrap();
    assert_eq!(session.read("a").unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(session.read("a.m").unwrap(), [0.0; 3]);
    assert_ne!(session.read("b.m").unwrap(), [0.0; 3]);
    // The first step of Adam is the learning rate.
    for (after, wanted) in session.read("b").unwrap().iter().zip([3.5, 5.5, 6.0]) {
        assert!((after - wanted).abs() < 1e-5, "{after}, not {wanted}");
    }
    // States that a snapshot lacks would be lost with the device.
    let known = session.snapshot().unwrap().variables;
    for name in ["a", "a.m", "a.v", "b", "b.m", "b.v"] {
        assert!(
            known.contains_key(name),
            "{name} is not in {:?}",
            known.keys()
        );
    }
}

#[test]
fn a_constant_gradient_is_not_laid_among_temporaries() {
    // `idle` does not reach the loss: its gradient is a constant of zeros, that of the others is computed.
    let graph = Graph::new();
    let x = graph.input("x", [64]);
    let used = graph.parameter("used", [64], &[1.0; 64]);
    let idle = graph.parameter("idle", [64], &[1.0; 64]);
    let sgd = Sgd::new(1.0);
    let clock = graph.clock("clock", 1, sgd.rates());
    let loss = x.mul(&used).tanh().square().sum();
    let mut updates = sgd.minimize(&loss, &[("idle", &idle), ("used", &used)], &clock);
    updates.push(clock.indices.clone());
    let plan = graph.compile(&Target::cpu(), [Program::new("step").update(&updates)]);
    let mut session = Device::cpu().open(&plan.unwrap()).unwrap();
    session.write("x", &[0.7; 64]).unwrap();
    session.run("step", 3).unwrap();
    assert_ne!(session.read("used").unwrap(), [1.0; 64]);
    assert_eq!(session.read("idle").unwrap(), [1.0; 64]);
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
    let plan = graph.compile(device.target(), [program]).unwrap();
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
    let plan = graph.compile(&gpu(), [program]).unwrap();
    assert_eq!(calls(&plan.programs[0]), ["neg"]);
    assert_eq!(plan.variables.len(), 1, "{plan}");
}

#[test]
fn a_plan_prints_its_calls_kernels_slots_and_bytes() {
    let (graph, program) = training(1000, 2, 100);
    let text = graph.compile(&gpu(), [program]).unwrap().to_string();
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
fn limits_exceeded_are_errors_that_name_the_limit_and_the_tensor() {
    let compile = |target: Target| {
        let graph = Graph::new();
        let x = graph.input("pictures", [2000, 1000]);
        let program = Program::new("p").fetch("y", &x.tanh().sum_over(1));
        match graph.compile(&target, [program]) {
            Err(Error::Limit {
                limit,
                what,
                needed,
                allowed,
            }) => (limit, what, needed, allowed),
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
    assert!(what.contains("tanh"), "{what}");
    assert_eq!(needed, 8_000_000);

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
            let error = graph
                .compile(&target, [Program::new("p").fetch("y", &y)])
                .unwrap_err();
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
fn a_sum_splits_rather_than_exceed_the_loop_limit_of_cpu_adapters() {
    let target = Target::new(Class::CpuAdapter, None);
    for shape in [vec![3_000_000], vec![100_000, 2], vec![2000, 70_000]] {
        let graph = Graph::new();
        let y = graph.input("x", shape.clone()).sum_over(shape.len() - 1);
        let program = Program::new("p").fetch("y", &y);
        let target = Target {
            max_binding_bytes: 1 << 40,
            max_buffer_bytes: 1 << 40,
            ..target.clone()
        };
        let plan = graph.compile(&target, [program]).unwrap();
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
fn unknown_names_list_what_is_known() {
    let graph = Graph::new();
    let x = graph.input("features", [3]);
    let device = Device::cpu();
    let programs = [
        Program::new("train").fetch("loss", &x.sum()),
        Program::new("predict").fetch("y", &x.neg()),
    ];
    let plan = graph.compile(device.target(), programs).unwrap();
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
    let plan = graph.compile(device.target(), [program]).unwrap();
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
    let none = graph.compile(&gpu(), []).unwrap_err();
    assert!(none.to_string().contains("at least one"), "{none}");
    let twice = [
        Program::new("p").fetch("a", &x.neg()),
        Program::new("p").fetch("b", &x.exp()),
    ];
    let error = graph.compile(&gpu(), twice).unwrap_err();
    assert!(error.to_string().contains("two are named `p`"), "{error}");
}

#[test]
fn two_fetches_under_one_name_are_refused() {
    let graph = Graph::new();
    let x = graph.input("x", [3]);
    let within = Program::new("p").fetch("y", &x.neg()).fetch("y", &x.exp());
    let error = graph.compile(&gpu(), [within]).unwrap_err();
    assert!(error.to_string().contains("`y`"), "{error}");
    // One name for one tensor in several programs is the common case.
    let y = x.tanh();
    let both = [
        Program::new("a").fetch("y", &y),
        Program::new("b").fetch("y", &y),
    ];
    graph.compile(&gpu(), both).unwrap();
}

#[test]
fn an_update_and_a_tensor_of_another_graph_cannot_be_fetched() {
    let graph = Graph::new();
    let (x, rate) = (graph.input("x", [3]), graph.constant([1], &[0.5]));
    let update = graph.apply_one(Descend, &[&x, &x.neg(), &rate]);
    let error = graph
        .compile(&gpu(), [Program::new("p").fetch("u", &update)])
        .unwrap_err();
    assert!(error.to_string().contains("has no value"), "{error}");
    let other = Graph::new();
    let stranger = other.input("z", [3]).neg().exp().tanh().sigmoid().abs();
    let program = Program::new("p").fetch("y", &x.neg()).fetch("z", &stranger);
    let error = graph.compile(&gpu(), [program]).unwrap_err();
    assert!(error.to_string().contains("another graph"), "{error}");
}

/// w ← w − rate·g, element by element: an update whose nodes merge over slabs.
#[derive(Debug, Clone, Copy)]
struct Descend;

impl Op for Descend {
    fn name(&self) -> &'static str {
        "descend"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        match inputs {
            [w, g, rate] if w == g && rate.elements() == 1 => Ok(Vec::new()),
            _ => Err("takes w, g and a rate".into()),
        }
    }

    fn writes(&self) -> &[usize] {
        &[0]
    }

    fn slab(&self) -> Option<Slab> {
        Some(Slab {
            key: "descend".into(),
            operands: 2,
        })
    }

    fn launch(&self, _signature: &Signature, _target: &Target) -> Result<Launches, String> {
        let shader = Shader {
            name: "descend",
            source: "".into(),
        };
        Ok(Launch::new(shader, "update").bind_all(3, 0).into())
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        vec![sample.relative(0, 2.0)]
    }
}

impl Compute for Descend {
    fn compute<T: kiln::cpu::Real>(&self, io: &mut Io<'_, T>) {
        let (g, rate) = (io.input(1), io.input(2)[0]);
        for (w, &g) in io.output(0).iter_mut().zip(g) {
            *w = *w - rate * g;
        }
    }
}

/// A graph with one update of a parameter of each shape by its gradient of `loss`, and the variable of the rate.
fn descend(graph: &Graph, loss: &Tensor, parameters: &[&Tensor]) -> Vec<Tensor> {
    let rate = graph.parameter("rate", [1], &[0.5]);
    let gradients = graph.gradients(loss, parameters);
    let pairs = parameters.iter().zip(&gradients);
    pairs
        .map(|(w, g)| graph.apply_one(Descend, &[w, g, &rate]))
        .collect()
}

/// Runs program `p` on the reference after checking that its plan keeps written operands apart.
fn run_updates(graph: &Graph, updates: &[Tensor], expected_calls: usize) -> kiln::Session {
    let device = Device::reference();
    let program = Program::new("p").update(updates);
    let plan = graph.compile(device.target(), [program]).unwrap();
    let merged = calls(&plan.programs[0]);
    let merged = merged.iter().filter(|name| **name == "descend").count();
    assert_eq!(merged, expected_calls, "{plan}");
    for call in &plan.programs[0].calls {
        for place in call.written() {
            let sharing = call.inputs.iter().chain(&call.outputs);
            let sharing = sharing.filter(|other| other.slot == place.slot).count();
            assert_eq!(sharing, 1, "{}:\n{plan}", call.op.name());
        }
    }
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    session
}

#[test]
fn updates_merge_into_one_call_over_slabs() {
    let graph = Graph::new();
    let a = graph.parameter("a", [2, 3], &[1.0; 6]);
    let b = graph.parameter("b", [100], &[2.0; 100]);
    let c = graph.parameter("c", [1], &[3.0]);
    let loss = a
        .square()
        .sum()
        .add(&b.square().sum())
        .add(&c.square().sum());
    let updates = descend(&graph, &loss, &[&a, &b, &c]);
    let mut session = run_updates(&graph, &updates, 1);
    for name in ["a", "b", "c"] {
        assert!(
            session.read(name).unwrap().iter().all(|&w| w == 0.0),
            "{name}"
        );
    }
}

/// dL/db is a sum of dL/da, so the two gradients cannot lie in one slab.
#[test]
fn updates_do_not_merge_where_one_gradient_is_computed_from_another() {
    let graph = Graph::new();
    let a = graph.parameter("a", [4, 3], &[1.0; 12]);
    let b = graph.parameter("b", [3], &[1.0; 3]);
    let c = graph.parameter("c", [5], &[1.0; 5]);
    let loss = a.add(&b).square().sum().add(&c.square().sum());
    let updates = descend(&graph, &loss, &[&a, &b, &c]);
    let mut session = run_updates(&graph, &updates, 2);
    assert_eq!(session.read("a").unwrap(), [-1.0; 12]);
    assert_eq!(session.read("b").unwrap(), [-7.0; 3]);
    assert_eq!(session.read("c").unwrap(), [0.0; 5]);
}

#[test]
fn updates_do_not_merge_across_a_change_of_what_they_read() {
    let graph = Graph::new();
    let a = graph.parameter("a", [2], &[1.0; 2]);
    let b = graph.parameter("b", [2], &[1.0; 2]);
    let rate = graph.parameter("rate", [1], &[0.5]);
    let (g, one) = (graph.constant([2], &[1.0; 2]), graph.constant([1], &[1.0]));
    let other = graph.constant([2], &[1.0; 2]);
    let first = graph.apply_one(Descend, &[&a, &g, &rate]);
    // rate ← 0.5 − 1 · 0.25, under a rate of its own, so that it joins no group.
    let slower = graph.constant([1], &[0.25]);
    let between = graph.apply_one(Descend, &[&rate, &one, &slower]);
    let second = graph.apply_one(Descend, &[&b, &other, &rate]);
    let mut session = run_updates(&graph, &[first, between, second], 3);
    assert_eq!(session.read("a").unwrap(), [0.5; 2]);
    assert_eq!(session.read("b").unwrap(), [0.75; 2]);
}

#[test]
fn updates_do_not_merge_where_one_reads_what_another_writes() {
    let graph = Graph::new();
    let a = graph.parameter("a", [2], &[1.0; 2]);
    let b = graph.parameter("b", [2], &[1.0; 2]);
    let c = graph.parameter("c", [2], &[4.0; 2]);
    let rate = graph.parameter("rate", [1], &[0.5]);
    let first = graph.apply_one(Descend, &[&a, &b, &rate]);
    let second = graph.apply_one(Descend, &[&b, &c, &rate]);
    let third = graph.apply_one(Descend, &[&c, &a, &rate]);
    let mut session = run_updates(&graph, &[first, second, third], 3);
    assert_eq!(session.read("a").unwrap(), [0.5; 2]);
    assert_eq!(session.read("b").unwrap(), [-1.0; 2]);
    assert_eq!(session.read("c").unwrap(), [3.75; 2]);
}

#[test]
fn a_node_recorded_before_an_update_sees_the_value_before_it() {
    let graph = Graph::new();
    let w = graph.parameter("w", [2], &[1.0; 2]);
    let (g, rate) = (graph.constant([2], &[1.0; 2]), graph.constant([1], &[0.5]));
    let before = w.scale(10.0);
    let update = graph.apply_one(Descend, &[&w, &g, &rate]);
    let after = w.scale(10.0);
    let device = Device::cpu();
    let program = Program::new("p").update([&update]);
    let program = program.fetch("after", &after).fetch("before", &before);
    let plan = graph.compile(device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 2).unwrap();
    assert_eq!(session.read("before").unwrap(), [5.0; 2]);
    assert_eq!(session.read("after").unwrap(), [0.0; 2]);
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
    let plan = graph.compile(device.target(), programs).unwrap();
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
