//! The cases of products: plain ones, and those that end as layers do.

use crate::DType;
use crate::contract::{Case, Fill};
use crate::op::UnaryFunction;
use crate::op::pointwise::functions::{LeakyRelu, Relu, Sigmoid, Tanh};

use super::{End, MatMul};

/// m, n and k of a vector or a few.
const FEW: [[usize; 3]; 8] = [
    [1, 1000, 255],
    [1, 33, 64],
    [257, 1, 130],
    [4, 130, 516],
    [7, 66, 1023],
    [67, 6, 513],
    // With fewer slices of k than rows.
    [7, 66, 96],
    [65, 8, 64],
];

/// A case of the product with A as stored, or of `rows` where it is gathered, and with B, whose numbers are at most `most`.
fn case(op: MatMul, [m, n, k]: [usize; 3], most: f32) -> Case {
    let [rows, columns] = if op.transpose_a { [k, m] } else { [m, k] };
    let stored = rows + if op.gather { 3 } else { 0 };
    let b = if op.transpose_b { [n, k] } else { [k, n] };
    let case = Case::new(op)
        .input(&[stored, columns], Fill::Uniform(-1.0, 1.0))
        .input(&b, Fill::Uniform(-most, most));
    if op.gather {
        // Some rows never come, and some numbers lie after the end.
        let indices = Fill::Below(stored as u32 + 2);
        return case.words(&[rows], indices).without_nan();
    }
    case
}

pub(super) fn plain() -> Vec<Case> {
    let shapes = [
        [1, 1, 1],
        [1, 1, 257],
        [1, 257, 1],
        [2, 3, 1],
        [3, 2, 17],
        [17, 33, 5],
        [32, 10, 8],
        [10, 8, 32],
        [33, 1, 10],
        [64, 64, 64],
        [65, 63, 66],
        [128, 10, 257],
        [8, 256, 255],
        [255, 8, 256],
        [130, 127, 129],
        [5, 7, 1000],
        [3, 2, 70_000],
    ];
    let mut cases = Vec::new();
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let op = MatMul::plain(transpose_a, transpose_b);
        let shapes = shapes.into_iter().chain(FEW);
        cases.extend(shapes.map(|shape| case(op, shape, 1.0)));
    }
    cases
}

pub(super) fn dense() -> Vec<Case> {
    let shapes = [
        [1, 1, 1],
        [1, 257, 33],
        [2, 3, 1],
        [3, 2, 17],
        [17, 33, 5],
        [32, 10, 8],
        [33, 1, 10],
        [64, 64, 64],
        [65, 63, 66],
        [128, 10, 257],
        [130, 127, 129],
        [5, 7, 1000],
        [3, 2, 70_000],
    ];
    let ends = [
        End::Function(Relu::function()),
        End::Plain,
        End::Function(Sigmoid::function()),
        End::Slope(Relu::function()),
        End::Function(Tanh::function()),
        End::Slope(Sigmoid::function()),
        End::Function(LeakyRelu::function()),
        End::Slope(Tanh::function()),
        End::Slope(LeakyRelu::function()),
    ];
    let mut cases = Vec::new();
    for (number, shape) in shapes.into_iter().chain(FEW).enumerate() {
        for turn in 0..4 {
            let end = ends[(number * 4 + turn) % ends.len()];
            let slope = matches!(end, End::Slope(_));
            let op = MatMul {
                // The gradient of the first layer's weights gathers the rows of a transposed A.
                gather: turn % 2 == 1,
                bias: !slope && turn != 3,
                end,
                ..MatMul::plain(turn == 3, slope)
            };
            cases.push(ended(op, shape));
        }
    }
    cases.extend(halves());
    cases
}

/// A case with the bias and what a function saved.
fn ended(op: MatMul, [m, n, k]: [usize; 3]) -> Case {
    // Short terms, so that functions are not saturated everywhere.
    let mut case = case(op, [m, n, k], 1.0 / (k as f32).sqrt());
    if op.bias {
        case = case.input(&[n], Fill::Uniform(-0.5, 0.5));
    }
    if matches!(op.end, End::Slope(_)) {
        case = case.constant(&[m, n], Fill::Uniform(-1.0, 1.0));
    }
    case.without_gradient()
}

/// Operands stored as f16: a layer, the gradient that enters the layer before, the gradient of weights.
fn halves() -> Vec<Case> {
    let shapes = [
        [3, 2, 17],
        [33, 10, 8],
        [17, 34, 6],
        [65, 66, 63],
        [64, 64, 64],
        [5, 7, 1000],
        [1, 34, 130],
        [6, 34, 130],
        [34, 6, 130],
    ];
    // The end, and the other operand that is f16: what is saved, or the gradient that a product for weights takes.
    let ends = [
        (End::Function(Relu::function()), None),
        (End::Slope(Tanh::function()), Some(2)),
        (End::Plain, Some(1)),
    ];
    let mut cases = Vec::new();
    for shape in shapes {
        for (turn, (end, other)) in ends.into_iter().enumerate() {
            let op = MatMul {
                bias: turn == 0,
                end,
                loads_half: true,
                // The gradient of weights is a parameter's, and f32.
                half: turn != 2 && shape[1] % 2 == 0,
                ..MatMul::plain(turn == 2, turn == 1)
            };
            let mut case = ended(op, shape);
            for input in [Some(0), other].into_iter().flatten() {
                case.inputs[input].0.dtype = DType::F16;
            }
            cases.push(case);
        }
    }
    cases
}
