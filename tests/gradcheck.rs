//! Every gradient rule against differences, in f64.
#![allow(clippy::print_stdout)]

use kiln::{check, op};

#[test]
fn every_gradient_rule_agrees_with_differences() {
    let mut failures = Vec::new();
    let mut ops = 0;
    for entry in op::all() {
        let begun = std::time::Instant::now();
        let cases = (entry.cases)();
        let (mut checked, mut elements, mut worst) = (0, 0, 0.0f64);
        for (number, case) in cases.iter().enumerate() {
            match check::gradcheck(case) {
                Ok(report) => {
                    checked += usize::from(report.elements > 0);
                    elements += report.elements;
                    worst = worst.max(report.worst);
                }
                Err(error) => failures.push(format!("case {number}: {error}")),
            }
            let asked = !case.gradients.is_empty();
            assert!(!asked || checked > 0 || !failures.is_empty());
        }
        println!(
            "{:<24} {:>4} cases {checked:>4} differentiated {elements:>7} elements  worst {worst:.3} of what is allowed  {:.2} s",
            entry.name,
            cases.len(),
            begun.elapsed().as_secs_f64()
        );
        ops += usize::from(checked > 0);
    }
    assert!(ops >= 3, "only {ops} ops have a gradient");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
