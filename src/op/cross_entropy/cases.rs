//! Rows to try cross-entropy on.

use crate::contract::{Case, Fill, shapes};
use crate::op::Form;

use super::{Backward, CrossEntropy};

pub(super) fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 14] = shapes![
        4; 1 x 1; 2 x 3; 3 x 2; 17 x 10; 33 x 17; 255 x 1; 256 x 2; 257 x 3; 1000 x 10; 2 x 3 x 5; 33 x 257;
        1 x 257; 3 x 1000
    ];
    let mut cases = Vec::new();
    let mut push = |form, shape: &[usize], y: Fill, t: Option<Fill>, smooth: bool| {
        let op = CrossEntropy { form };
        let (&classes, rows) = (&shape[shape.len() - 1], &shape[..shape.len() - 1]);
        let target = |case: Case| match &t {
            Some(t) => case.constant(shape, t.clone()),
            None => case.words(rows, Fill::Below(classes as u32)),
        };
        let forward = target(Case::new(op).input(shape, y.clone()));
        cases.push(if smooth {
            forward
        } else {
            forward.without_gradient()
        });
        let backward = target(Case::new(Backward(op)).input(shape, y));
        let backward = backward.input(rows, Fill::Uniform(-2.0, 2.0));
        cases.push(if smooth {
            backward
        } else {
            backward.without_gradient()
        });
    };
    let kinds = [
        None,
        Some(Fill::OneHot),
        Some(Fill::Probabilities),
        // Weights that do not sum to one.
        Some(Fill::Uniform(0.0, 2.0)),
    ];
    for (i, shape) in shapes.into_iter().enumerate() {
        for t in [&kinds[0], &kinds[1 + i % 3]] {
            let logits = Fill::Uniform(-5.0, 5.0);
            push(Form::Logits, shape, logits, t.clone(), true);
            let probabilities = [Fill::Probabilities, Fill::Uniform(0.1, 2.0)][i % 2].clone();
            push(Form::Probabilities, shape, probabilities, t.clone(), true);
        }
    }
    for most in [100.0, 1e4] {
        for (t, shape) in kinds.iter().zip([[33, 10], [17, 257], [255, 3], [2, 1000]]) {
            let logits = Fill::Uniform(-most, most);
            push(Form::Logits, &shape, logits, t.clone(), false);
        }
    }
    for form in [Form::Logits, Form::Probabilities] {
        for t in &kinds[..2] {
            let y = Fill::Uniform(0.1, 2.0);
            push(form, &[2, 70_000], y, t.clone(), false);
        }
    }
    // Sure and right, sure and wrong, undecided; shares outside the ends.
    let edges = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 1e-8, 0.0];
    let t = Fill::Values([1.0, 0.0, 0.0].repeat(4));
    push(
        Form::Probabilities,
        &[4, 3],
        Fill::Values(edges),
        Some(t),
        false,
    );
    // Rows that sum to nothing have no probabilities: NaN on every device.
    let nothing = Fill::Values(vec![0.0, 0.0, 0.0, 0.2, 0.3, 0.5, 1.0, -1.0, 0.0]);
    let t = Fill::Values([0.0, 1.0, 0.0].repeat(3));
    for t in [None, Some(t)] {
        push(Form::Probabilities, &[3, 3], nothing.clone(), t, false);
    }
    // Labels that name no class.
    for form in [Form::Logits, Form::Probabilities] {
        let op = CrossEntropy { form };
        let labels = Fill::Words(vec![0, 3, 2, u32::MAX]);
        let y = Fill::Uniform(0.1, 2.0);
        let forward = Case::new(op).constant(&[4, 3], y.clone());
        cases.push(forward.words(&[4], labels.clone()));
        let backward = Case::new(Backward(op)).constant(&[4, 3], y);
        let backward = backward.words(&[4], labels);
        cases.push(backward.constant(&[4], Fill::Uniform(0.5, 2.0)));
    }
    cases
}
