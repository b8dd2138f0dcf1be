//! Updates in place: merged over slabs where they may be, in their order where not.

use kiln::op::{Compute, Io, Launch, Launches, Op, Sample, Shader, Signature, Slab};
use kiln::optim::{Adam, Optimizer};
use kiln::plan::Target;
use kiln::{Device, Graph, Plan, Program, Tensor, TensorType};

use super::calls;

#[test]
fn variables_that_only_merged_updates_use_keep_their_names_and_first_values() {
    let graph = Graph::new();
    let adam = Adam::new(0.5);
    let clock = graph.clock("clock", 1, adam.rates());
    let mut updates = vec![clock.indices.clone()];
    for (name, first) in [("a", [1.0, 2.0, 3.0]), ("b", [4.0, 5.0, 6.0])] {
        let parameter = graph.parameter(name, [3], &first);
        let gradient = graph.input(format!("gradient.{name}"), [3]);
        updates.extend(adam.updates(&[(name, &parameter, &gradient)], &clock));
    }
    let plan = Plan::compile(
        &graph,
        &Target::cpu(),
        [Program::new("step").update(&updates)],
    );
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

/// w ← w − rate·g, element by element: an update whose nodes merge over slabs.
#[derive(Debug, Clone, Copy)]
pub struct Descend;

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
    let plan = Plan::compile(graph, device.target(), [program]).unwrap();
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
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 2).unwrap();
    assert_eq!(session.read("before").unwrap(), [5.0; 2]);
    assert_eq!(session.read("after").unwrap(), [0.0; 2]);
}
