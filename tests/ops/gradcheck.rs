//! Every gradient rule against differences, in f64.

use std::collections::BTreeSet;

use kiln::op::Case;
use kiln::{DType, check};

/// Gradients that have a gradient of their own.
const TWICE: [&str; 15] = [
    "binary_cross_entropy.backward",
    "categorical_hinge.backward",
    "cross_entropy.backward",
    "glu.backward",
    "leaky_relu.backward",
    "log_softmax.backward",
    "pointwise.backward",
    "pointwise_loss.backward",
    "relu.backward",
    "sigmoid.backward",
    "softmax.backward",
    "sparsemax.backward",
    "squared_error.backward",
    "standardize.backward",
    "tanh.backward",
];

#[test]
fn every_gradient_rule_agrees_with_differences() {
    let mut failures = Vec::new();
    let mut ops = 0;
    let mut twice = BTreeSet::new();
    for entry in check::all() {
        let begun = std::time::Instant::now();
        let cases = (entry.cases)();
        let (mut checked, mut elements, mut worst) = (0, 0, 0.0f64);
        for (number, case) in cases.iter().enumerate() {
            match check::gradcheck(case) {
                Ok(report) => {
                    checked += usize::from(report.elements > 0);
                    if report.elements > 0 && case.op.name().ends_with(".backward") {
                        twice.insert(case.op.name());
                    }
                    elements += report.elements;
                    worst = worst.max(report.worst);
                }
                Err(error) => failures.push(format!("case {number}: {error}")),
            }
            let asked = !case.gradients.is_empty();
            assert!(!asked || checked > 0 || !failures.is_empty());
        }
        // An op whose cases ask for no gradient has none, or one that is right all the same.
        if checked == 0
            && let Some(case) = cases.first()
        {
            let numbers = (0..case.inputs.len()).filter(|input| {
                let is_number = case.inputs[*input].0.dtype == DType::F32;
                is_number && !case.op.writes().contains(input)
            });
            for input in numbers {
                let gradients = vec![input];
                let asked = check::gradcheck(&Case {
                    gradients,
                    ..case.clone()
                });
                // Not that its rule goes against differences, nor anything else.
                let told = asked.err().map(|error| error.to_string());
                let known = ["no gradient", "no value that an op could take"];
                let known = |told: &String| known.iter().any(|known| told.contains(known));
                if told.as_ref().is_some_and(|told| !known(told)) {
                    failures.push(format!("{}, input {input}: {told:?}", entry.name));
                }
            }
        }
        println!(
            "{:<24} {:>4} cases {checked:>4} differentiated {elements:>7} elements  worst {worst:.3} of what is allowed  {:.2} s",
            entry.name,
            cases.len(),
            begun.elapsed().as_secs_f64()
        );
        ops += usize::from(checked > 0);
    }
    println!("differentiated twice: {twice:?}");
    // Squared errors and binary cross-entropies are cases of `pointwise_loss`.
    assert!(ops >= 21, "only {ops} ops have a gradient");
    for name in TWICE {
        assert!(twice.contains(name), "{name} is not differentiated again");
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
