//! Operators between tensors and numbers.

use kiln::prelude::*;
use kiln::{Device, Plan};

/// The values of tensors of one graph on the CPU session.
fn values(graph: &Graph, tensors: &[Tensor]) -> Vec<Vec<f32>> {
    let fetch = |program: Program, (at, y): (usize, &Tensor)| program.fetch(format!("{at}"), y);
    let program = tensors.iter().enumerate().fold(Program::new("p"), fetch);
    let device = Device::cpu();
    let plan = Plan::compile(graph, device.target(), [program]).unwrap();
    let mut session = device.open(&plan).unwrap();
    session.run("p", 1).unwrap();
    let read = |at: usize| session.read(&format!("{at}")).unwrap();
    (0..tensors.len()).map(read).collect()
}

#[test]
fn operators_take_tensors_references_and_numbers_on_either_side() {
    let graph = Graph::new();
    let (left, right) = ([3.0, -7.0, 0.1], [7.0, 0.3, -11.0]);
    let a = || graph.clone();
    let x = a().parameter("x", [3], &left);
    let y = a().parameter("y", [3], &right);
    let (own, other) = (|| x.clone(), || y.clone());
    let of_two: [[Tensor; 4]; 4] = [
        [&x + &y, &x + other(), own() + &y, own() + other()],
        [&x - &y, &x - other(), own() - &y, own() - other()],
        [&x * &y, &x * other(), own() * &y, own() * other()],
        [&x / &y, &x / other(), own() / &y, own() / other()],
    ];
    let number = 0.7;
    let of_numbers: [[Tensor; 4]; 4] = [
        [&x + number, own() + number, number + &x, number + own()],
        [&x - number, own() - number, number - &x, number - own()],
        [&x * number, own() * number, number * &x, number * own()],
        [&x / number, own() / number, number / &x, number / own()],
    ];
    let signs = [-&x, -own()];
    let operators: [fn(f32, f32) -> f32; 4] =
        [|a, b| a + b, |a, b| a - b, |a, b| a * b, |a, b| a / b];
    let all: Vec<Tensor> = of_two
        .iter()
        .chain(&of_numbers)
        .flatten()
        .chain(&signs)
        .cloned()
        .collect();
    let found = values(&graph, &all);
    for (which, of) in operators.iter().enumerate() {
        let expected: Vec<f32> = left.iter().zip(right).map(|(&a, b)| of(a, b)).collect();
        for form in &found[4 * which..4 * which + 4] {
            assert_eq!(*form, expected, "operator {which}");
        }
        let after: Vec<f32> = left.iter().map(|&a| of(a, number)).collect();
        let before: Vec<f32> = left.iter().map(|&a| of(number, a)).collect();
        let forms = &found[16 + 4 * which..20 + 4 * which];
        assert_eq!(forms[..2], [after.clone(), after], "operator {which}");
        assert_eq!(forms[2..], [before.clone(), before], "operator {which}");
    }
    assert_eq!(found[32..], [left.map(|x| -x), left.map(|x| -x)]);
}

#[test]
fn operators_have_gradients() {
    let graph = Graph::new();
    let x = graph.parameter("x", [2], &[2.0, -4.0]);
    // −3/x + (1 − x)·x/2, whose slope is 3/x² + 1/2 − x.
    let y = -3.0 / &x + (1.0 - &x) * &x / 2.0;
    let slope = graph.gradients(&y.sum(), &[&x]).remove(0);
    assert_eq!(values(&graph, &[slope])[0], [-0.75, 4.6875]);
}

#[test]
fn operators_read_as_formulas_do() {
    let graph = Graph::new();
    let x = graph.parameter("x", [2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let (w, b) = (
        graph.parameter("w", [2, 1], &[1.0, -1.0]),
        graph.parameter("b", [1], &[0.5]),
    );
    let y = 2.0 * -(x.matmul(&w) + &b) - 1.0;
    assert_eq!(values(&graph, &[y])[0], [0.0, 0.0]);
}

#[test]
fn a_refused_operator_names_its_line() {
    let lines = |refused: fn(Tensor, Tensor) -> (u32, Tensor)| {
        let graph = Graph::new();
        let (line, _) = refused(graph.input("a", [3, 4]), graph.input("b", [5]));
        let error = graph.check().unwrap_err().to_string();
        assert!(error.contains("[3, 4]") && error.contains("[5]"), "{error}");
        assert!(error.contains(&format!("operators.rs:{line})")), "{error}");
    };
    lines(|a, b| (line!(), &a + &b));
    lines(|a, b| (line!(), &a - b));
    lines(|a, b| (line!(), a * &b));
    lines(|a, b| (line!(), a / b));
    // A number after a refusal is not news, and a number that a graph does not take names its own line.
    let graph = Graph::new();
    let labels = graph.labels("labels", [4]);
    let line = line!() + 1;
    let _refused = 2.0 / labels;
    let error = graph.check().unwrap_err().to_string();
    assert!(error.contains(&format!("operators.rs:{line})")), "{error}");
}
