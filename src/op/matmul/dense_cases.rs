//! The cases of a product that ends as a layer does.

use crate::contract::{Case, Fill};
use crate::op::UnaryFunction;
use crate::op::pointwise::functions::{LeakyRelu, Relu, Sigmoid, Tanh};
use crate::{DType, TensorType};

use super::MatMul;
use super::dense::{Dense, End};

pub(super) fn cases() -> Vec<Case> {
    let shapes = [
        (1, 1, 1),
        (1, 257, 33),
        (2, 3, 1),
        (3, 2, 17),
        (17, 33, 5),
        (32, 10, 8),
        (33, 1, 10),
        (64, 64, 64),
        (65, 63, 66),
        (128, 10, 257),
        (130, 127, 129),
        (5, 7, 1000),
        (3, 2, 70_000),
        // A vector, or a few.
        (1, 1000, 255),
        (1, 33, 64),
        (257, 1, 130),
        (4, 130, 516),
        (7, 66, 1023),
        (67, 6, 513),
        // With fewer slices of k than rows.
        (7, 66, 96),
        (65, 8, 64),
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
    for (number, (m, n, k)) in shapes.into_iter().enumerate() {
        for turn in 0..4 {
            let end = ends[(number * 4 + turn) % ends.len()];
            let slope = matches!(end, End::Slope(_));
            let [transpose_a, transpose_b] = [turn == 3, slope];
            // The gradient of the first layer's weights gathers the rows of a transposed A.
            let gather = turn % 2 == 1;
            let op = Dense {
                matmul: MatMul {
                    transpose_a,
                    transpose_b,
                },
                gather,
                bias: !slope && turn != 3,
                end,
                half: false,
            };
            let (rows, columns) = if transpose_a { (k, m) } else { (m, k) };
            let stored = if gather { rows + 3 } else { rows };
            // Short terms, so that functions are not saturated everywhere.
            let most = 1.0 / (k as f32).sqrt();
            let mut case = Case::new(op)
                .input(&[stored, columns], Fill::Uniform(-1.0, 1.0))
                .input(
                    &if transpose_b { [n, k] } else { [k, n] },
                    Fill::Uniform(-most, most),
                );
            if gather {
                // Some rows never come, and some numbers lie behind the end.
                case = case
                    .words(&[rows], Fill::Below(stored as u32 + 2))
                    .without_nan();
            }
            if op.bias {
                case = case.input(&[n], Fill::Uniform(-0.5, 0.5));
            }
            if slope {
                case = case.constant(&[m, n], Fill::Uniform(-1.0, 1.0));
            }
            cases.push(case.without_gradient());
        }
    }
    cases.extend(halves());
    cases
}

/// Operands stored as f16: a layer, the gradient that enters the layer before, the gradient of weights.
fn halves() -> Vec<Case> {
    let shapes = [
        (3, 2, 17),
        (33, 10, 8),
        (17, 34, 6),
        (65, 66, 63),
        (64, 64, 64),
        (5, 7, 1000),
        (1, 34, 130),
        (6, 34, 130),
        (34, 6, 130),
    ];
    let mut cases = Vec::new();
    for (m, n, k) in shapes {
        for (turn, end) in [
            End::Function(Relu::function()),
            End::Slope(Tanh::function()),
            End::Plain,
        ]
        .into_iter()
        .enumerate()
        {
            let [transpose_a, transpose_b] = [turn == 2, turn == 1];
            let op = Dense {
                matmul: MatMul {
                    transpose_a,
                    transpose_b,
                },
                gather: false,
                bias: turn == 0,
                end,
                // The gradient of weights is a parameter's, and f32.
                half: turn != 2 && n % 2 == 0,
            };
            let (a, b) = (
                TensorType::f16(if transpose_a { [k, m] } else { [m, k] }),
                [k, n],
            );
            let most = 1.0 / (k as f32).sqrt();
            let weights = Fill::Uniform(-most, most);
            let mut case = Case::new(op).input(a.shape.dims(), Fill::Uniform(-1.0, 1.0));
            case.inputs[0].0 = a;
            case = match turn {
                0 => case
                    .input(&b, weights)
                    .input(&[n], Fill::Uniform(-0.5, 0.5)),
                1 => case
                    .input(&[n, k], weights)
                    .constant(&[m, n], Fill::Uniform(-1.0, 1.0)),
                _ => case.input(&b, weights),
            };
            // What is saved, and the gradient that a product for weights takes.
            match turn {
                1 => case.inputs[2].0.dtype = DType::F16,
                2 => case.inputs[1].0.dtype = DType::F16,
                _ => {}
            }
            cases.push(case.without_gradient());
        }
    }
    cases
}
