//! Rows to try standardisation on.

use crate::TensorType;
use crate::contract::{Case, Fill, shapes};
use crate::op::cursor::WORDS;
use crate::op::shape::along::Along;

use super::{Backward, Standardize};

pub(super) fn cases() -> Vec<Case> {
    let shapes: [(&[usize], isize); 14] = shapes![
        2: 0; 257: 0; 1 x 3: -1; 2 x 3: -1; 3 x 2: 0; 17 x 10: -1; 33 x 17: 0; 256 x 10: 0; 2 x 3 x 5: 1;
        4 x 5 x 6: 0; 3 x 257 x 2: -2; 1000 x 10: -1; 33 x 257: -1; 3 x 1000: -1
    ];
    let mut cases = Vec::new();
    for (number, (shape, axis)) in shapes.into_iter().enumerate() {
        let op = Standardize {
            axis,
            center: number % 3 != 1,
            epsilon: [1e-3, 1e-5][number % 2],
            ragged: None,
        };
        let at = Along::admitted(&TensorType::from(shape), axis).at;
        let statistics = [&shape[..at], &shape[at + 1..]].concat();
        cases.push(Case::new(op).input(shape, Fill::Uniform(-3.0, 4.0)));
        let backward = Case::new(Backward(op))
            .input(shape, Fill::Uniform(-2.0, 2.0))
            .input(&statistics, Fill::Uniform(0.1, 3.0))
            .input(shape, Fill::Uniform(-2.0, 2.0));
        cases.push(backward);
        // Batches of which some rows count: one, a part, all, and more than there are.
        if axis == 0 {
            let each = if shape[0] % 2 == 0 { 2 } else { 1 };
            let rows = [1, shape[0] as u32 / 3 + 1, shape[0] as u32 + 5][number % 3];
            let op = Standardize {
                ragged: Some(each),
                center: true,
                ..op
            };
            let cursor = || Fill::Words(vec![1, 0, 0, rows, 1000, 0, 0, 0]);
            let forward = Case::new(op).input(shape, Fill::Uniform(-3.0, 4.0));
            let forward = forward.words(&[WORDS], cursor());
            cases.push(forward.without_gradient().without_nan());
            let backward = Case::new(Backward(op))
                .constant(shape, Fill::Uniform(-2.0, 2.0))
                .constant(&statistics, Fill::Uniform(0.1, 3.0))
                .constant(shape, Fill::Uniform(-2.0, 2.0));
            cases.push(Case {
                gradients: vec![0, 1, 2],
                ..backward.words(&[WORDS], cursor())
            });
        }
    }
    // A mean far beyond the spread.
    let far = Standardize {
        axis: -1,
        center: true,
        epsilon: 1e-3,
        ragged: None,
    };
    let case = Case::new(far).input(&[5, 100], Fill::Uniform(1000.0, 1001.0));
    cases.push(case.without_gradient());
    cases
}
