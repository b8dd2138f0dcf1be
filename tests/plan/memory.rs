//! Slots: few, shared by lifetime, apart where a call writes.

use kiln::optim::{Optimizer, Sgd};
use kiln::plan::{Place, Target};
use kiln::{Device, Graph, Plan, Program, Tensor};

use super::{chains, gpu, layers};

#[test]
fn a_long_chain_runs_in_few_slots() {
    let graph = Graph::new();
    let mut y = graph.input("x", [1000]);
    for _ in 0..50 {
        y = y.tanh();
    }
    let plan = Plan::compile(&graph, &gpu(), [Program::new("p").fetch("y", &y)]).unwrap();
    let temporaries = plan.slots.iter().filter(|slot| !slot.persistent).count();
    assert_eq!((plan.programs[0].calls.len(), temporaries), (50, 2));
}

#[test]
fn programs_share_their_temporaries_but_not_the_variables() {
    let graph = Graph::new();
    let x = graph.input("x", [1000]);
    let programs = (0..5).map(|i| Program::new(format!("p{i}")).fetch(format!("y{i}"), &x.exp()));
    let plan = Plan::compile(&graph, &gpu(), programs.collect::<Vec<_>>()).unwrap();
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
    let plan = Plan::compile(&graph, &gpu(), [program]).unwrap();
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
            let read = read
                .filter(|(i, _)| !call.op.writes().contains(i))
                .map(|(_, p)| *p);
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
        let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
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
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
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
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    assert_eq!(session.read("itself").unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(session.read("y").unwrap(), [-1.0, -2.0, -3.0]);
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
    let plan = Plan::compile(
        &graph,
        &Target::cpu(),
        [Program::new("step").update(&updates)],
    );
    let mut session = Device::cpu().open(&plan.unwrap()).unwrap();
    session.write("x", &[0.7; 64]).unwrap();
    session.run("step", 3).unwrap();
    assert_ne!(session.read("used").unwrap(), [1.0; 64]);
    assert_eq!(session.read("idle").unwrap(), [1.0; 64]);
}
