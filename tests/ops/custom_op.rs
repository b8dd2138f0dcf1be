//! An op of one's own, defined outside the crate: checked by the public harness, which finds what is wrong with it, and
//! trained with on every executor.

use crate::common;
#[path = "../../examples/custom_op/distances.rs"]
#[allow(dead_code)]
mod distances;

use std::sync::Arc;

use distances::{Distances, ENTRY, RadialBasis};
use kiln::check;
use kiln::cpu::Real;
use kiln::op::{Case, Compute, Fill, Io, Launches, Op, Sample, Shader, Signature, Vjp};
use kiln::plan::Target;
use kiln::prelude::*;
use kiln::{Initial, Plan, TensorType};

/// The op with something wrong with it.
#[derive(Debug, Clone, Copy)]
struct Wrong(Fault);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Nothing.
    None,
    /// The gradient of x by half.
    HalfGradient,
    /// No gradient of the centers.
    NoGradient,
    /// A kernel with this text for `apart * apart`.
    Kernel(&'static str),
    /// A kernel that leaves out the last column.
    LastColumn,
    /// A kernel that writes after its result.
    Spill,
    /// A kernel that is bound otherwise.
    Bindings,
    /// No WGSL.
    Text,
    /// A bound of nothing.
    Bound,
}

impl Op for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>, String> {
        Distances.infer(inputs)
    }

    fn gradient(&self, vjp: &Vjp<'_>) -> Result<Vec<Option<Tensor>>, String> {
        let mut gradients = Distances.gradient(vjp)?;
        match self.0 {
            Fault::HalfGradient => gradients[0] = gradients[0].as_ref().map(|dx| dx.scale(0.5)),
            Fault::NoGradient => gradients[1] = None,
            _ => {}
        }
        Ok(gradients)
    }

    fn launch(&self, signature: &Signature, target: &Target) -> Result<Launches, String> {
        let mut launches = Distances.launch(signature, target)?;
        let launch = &mut launches.launches[0];
        let right = "apart * apart";
        let text = launch.shader.source.to_string();
        assert!(text.contains(right));
        let text = match self.0 {
            Fault::Kernel(wrong) => text.replacen(right, wrong, 1),
            Fault::LastColumn => text.replacen("k < params.columns", "k + 1u < params.columns", 1),
            Fault::Spill => text.replacen("d[i] = sum;", "d[i] = sum; d[i + 1u] = sum;", 1),
            Fault::Bindings => text.replacen("@binding(2)", "@binding(7)", 1),
            Fault::Text => text.replacen("fn forward", "function forward", 1),
            Fault::None | Fault::HalfGradient | Fault::NoGradient | Fault::Bound => text,
        };
        launch.shader = Shader {
            name: "wrong",
            source: text.into(),
        };
        Ok(launches)
    }

    fn bound(&self, sample: &Sample<'_>) -> Vec<Vec<f64>> {
        match self.0 {
            Fault::Bound => vec![vec![0.0; sample.results[0].len()]],
            _ => Distances.bound(sample),
        }
    }
}

impl Compute for Wrong {
    #[inline(always)]
    fn compute<T: Real>(&self, io: &mut Io<'_, T>) {
        Distances.compute(io);
    }
}

fn case(fault: Fault) -> Case {
    Case::new(Wrong(fault))
        .input(&[33, 5], Fill::Uniform(-2.0, 3.0))
        .input(&[17, 5], Fill::Uniform(-3.0, 2.0))
}

/// What the harness says of a fault.
fn refusal(outcome: kiln::Result<check::Report>) -> String {
    outcome.expect_err("the fault was not seen").to_string()
}

#[test]
fn it_keeps_its_bounds_and_its_nans_on_the_processor_and_on_the_adapter() {
    for device in &common::devices() {
        let survey = check::survey(&ENTRY, device);
        println!("{survey}");
        assert!(survey.passed(), "{survey}");
        assert!(survey.cases >= 30 && survey.elements > 20_000, "{survey}");
        assert!(survey.nans > 0 && survey.worst > 0.0, "{survey}");
    }
}

#[test]
fn its_gradient_agrees_with_differences_for_both_inputs() {
    let mut elements = 0;
    for case in (ENTRY.cases)() {
        elements += check::gradcheck(&case).unwrap().elements;
    }
    assert!(elements > 500, "{elements}");
}

#[test]
fn a_wrong_gradient_is_found() {
    check::gradcheck(&case(Fault::None)).unwrap();
    let half = refusal(check::gradcheck(&case(Fault::HalfGradient)));
    assert!(half.contains("dL/dx of input 0"), "{half}");
    let none = refusal(check::gradcheck(&case(Fault::NoGradient)));
    assert!(none.contains("dL/dx of input 1"), "{none}");
}

#[test]
fn a_wrong_kernel_is_found() {
    let Some(device) = common::device() else {
        return;
    };
    check::parity(&case(Fault::None), device).unwrap();
    check::nan(&case(Fault::None), device).unwrap();
    for fault in [
        Fault::Kernel("apart"),
        Fault::Kernel("abs(apart)"),
        Fault::Kernel("apart * apart * 1.00001"),
        Fault::LastColumn,
        Fault::Bound,
    ] {
        let told = refusal(check::parity(&case(fault), device));
        assert!(told.contains("result 0, element"), "{fault:?}: {told}");
    }
    let lost = Fault::Kernel("select(apart * apart, 0.0, is_nan(apart))");
    let told = refusal(check::nan(&case(lost), device));
    assert!(told.contains("is in no result"), "{told}");
    let told = refusal(check::parity(&case(Fault::Spill), device));
    assert!(told.contains("after the end of result 0"), "{told}");
    for (fault, says) in [
        (Fault::Bindings, "without gaps"),
        (Fault::Text, "function forward"),
    ] {
        let told = refusal(check::parity(&case(fault), device));
        assert!(told.contains(says), "{fault:?}: {told}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_told_with_the_line_of_the_call() {
    let graph = kiln::Graph::new();
    let x = graph.input("x", [4, 3]);
    let c = graph.input("c", [2, 5]);
    let line = line!() + 1;
    graph.apply_one(Distances, &[&x, &c]);
    let told = graph.check().unwrap_err().to_string();
    assert!(told.contains("distances: takes two matrices"), "{told}");
    assert!(told.contains(&format!("custom_op.rs:{line}")), "{told}");
}

/// Points in a ring, or inside of it.
fn ring() -> Dataset {
    let point = |i: usize| {
        let (angle, radius) = (i as f32 * 2.4, [0.2, 0.8][i % 2]);
        [radius * angle.cos(), radius * angle.sin()]
    };
    let points: Vec<[f32; 2]> = (0..200).map(point).collect();
    let labels = (0..200).map(|i| (i % 2) as u32).collect();
    let targets = Targets::Labels { labels, classes: 2 };
    Dataset::new(points.as_flattened().to_vec(), 2, targets).unwrap()
}

#[test]
fn a_layer_of_it_trains_alike_on_every_executor_and_learns() {
    let mut losses: Vec<Vec<f64>> = Vec::new();
    for device in [Device::reference()].iter().chain(&common::devices()) {
        let basis = RadialBasis {
            units: 8,
            width: 0.5,
        };
        let network = Sequential::new(2).layer(basis).dense(1, Sigmoid).seed(3);
        let mut model = network
            .compile_on(device, BinaryCrossentropy, Adam::new(0.05), [Accuracy])
            .unwrap();
        let history = model.fit(&ring(), Fit::epochs(15).silent()).unwrap();
        let accuracy = model.evaluate(&ring()).unwrap().get("accuracy").unwrap();
        assert!(accuracy > 0.95, "{device}: {accuracy}");
        losses.push(history.loss());
    }
    for other in &losses[1..] {
        for (epoch, (a, b)) in losses[0].iter().zip(other).enumerate() {
            assert!((a - b).abs() < 1e-4 * a, "epoch {epoch}: {a} and {b}");
        }
    }
}

#[test]
fn an_op_of_ones_own_can_be_applied_without_a_model() {
    let op: Arc<dyn Op> = Arc::new(Distances);
    assert_eq!(op.name(), "distances");
    let graph = kiln::Graph::new();
    let x = graph.input("x", [2, 2]);
    let c = graph.variable(
        "c",
        TensorType::f32([1, 2]),
        Initial::Floats([1.0, 1.0].as_slice().into()),
    );
    let d = graph.apply_one(Distances, &[&x, &c]);
    let device = Device::cpu();
    let program = Program::new("forward").fetch("d", &d);
    let plan = Plan::compile(&graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.write("x", &[1.0, 1.0, 4.0, 5.0]).unwrap();
    session.run("forward", 1).unwrap();
    assert_eq!(session.read("d").unwrap(), [0.0, 25.0]);
}
