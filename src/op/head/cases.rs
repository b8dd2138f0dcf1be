//! What a head is tried on: every loss, of rows that count and that do not, given outputs and computed ones.

use crate::DType;
use crate::contract::{Case, Fill};
use crate::op::cursor::{ROWS, SCALE, STEP, WORDS};
use crate::op::{Accuracy, Form, Parts};

use super::{Head, LastLayer, RowLoss};

/// The cursor at a step of which `counted` rows count.
fn cursor(step: u32, counted: u32, scale: f32) -> Fill {
    let mut words = vec![0; WORDS];
    (words[STEP], words[ROWS], words[SCALE]) = (step, counted, scale.to_bits());
    Fill::Words(words)
}

/// Adds labels, or numbers that suit the loss.
fn with_targets(case: Case, loss: RowLoss, labels: bool, [rows, columns]: [usize; 2]) -> Case {
    let numbers = match loss {
        RowLoss::CrossEntropy if labels => {
            return case.words(&[rows], Fill::Below(columns as u32));
        }
        RowLoss::CrossEntropy => Fill::OneHot,
        RowLoss::Binary(_) => Fill::Binary,
        RowLoss::Squared(_) => Fill::Uniform(-2.0, 2.0),
    };
    case.constant(&[rows, columns], numbers)
}

/// Adds the indices of a batch, where something is gathered from `rows`; some lie beyond.
fn with_indices(case: Case, gather: bool, batch: usize, rows: usize) -> Case {
    if gather {
        case.words(&[batch], Fill::Below(rows as u32 + 2))
    } else {
        case
    }
}

pub(super) fn cases() -> Vec<Case> {
    // Batch, rows that count, columns, step.
    let shapes = [
        (1, 1, 1, 1),
        (2, 1, 3, 2),
        (3, 3, 2, 1),
        (17, 17, 10, 5),
        (32, 32, 10, 6),
        (33, 20, 1, 7),
        (64, 64, 33, 1000),
        (65, 65, 17, 255),
        (128, 100, 10, 4_294_967_295),
        (257, 257, 3, 12),
        (1000, 0, 10, 17),
        (2100, 2099, 2, 18),
        (3, 3, 1000, 19),
        (33, 33, 257, 20),
    ];
    let mut cases = Vec::new();
    for (number, (batch, counted, columns, step)) in shapes.into_iter().enumerate() {
        let kinds = [
            (RowLoss::CrossEntropy, true),
            (RowLoss::CrossEntropy, false),
            (RowLoss::Binary(Form::Logits), false),
            (RowLoss::Binary(Form::Probabilities), false),
            (RowLoss::Squared(0.5), false),
        ];
        for (turn, (loss, labels)) in kinds.into_iter().enumerate() {
            let gather = (number + turn) % 2 == 0;
            let accuracy = match (labels, loss) {
                _ if (number + turn) % 4 == 3 => None,
                (true, _) => Some((Accuracy::Sparse, 1)),
                (_, RowLoss::CrossEntropy) => Some((Accuracy::Categorical, 0)),
                _ => Some((Accuracy::Binary { threshold: 0.3 }, 2)),
            };
            let op = Head {
                loss,
                loss_column: usize::from(accuracy.is_some_and(|(_, column)| column == 0)),
                accuracy,
                gather,
                last: None,
                gradient: (number + turn) % 3 != 0,
                scaled: (number + turn) % 3 == 2,
            };
            let y = match loss {
                RowLoss::Binary(Form::Probabilities) => Fill::Uniform(0.01, 0.99),
                _ => Fill::Uniform(-4.0, 4.0),
            };
            let ring = [5, 3, Parts::of(batch).numbers()];
            let rows = if gather { batch + 3 } else { batch };
            // Rows that do not count or are not chosen are left out, and a NaN in them is.
            let all = counted as usize == batch;
            let case = Case::new(op)
                .constant(&ring, Fill::Uniform(-1.0, 1.0))
                .words(&[WORDS], cursor(step, counted, 1024.0))
                .constant(&[batch, columns], y)
                .nan_if(all);
            let case = with_targets(case, loss, labels, [rows, columns]);
            let case = case.nan_if(all && !gather && !labels);
            cases.push(with_indices(case, gather, batch, rows));
        }
    }
    cases.extend(last_layer_cases());
    cases
}

/// Heads that compute the last layer.
fn last_layer_cases() -> Vec<Case> {
    let losses = [
        RowLoss::CrossEntropy,
        RowLoss::Binary(Form::Logits),
        RowLoss::Squared(0.5),
    ];
    // Batch, rows that count, inputs, columns.
    let shapes = [
        (1, 1, 1, 1),
        (3, 3, 5, 2),
        (17, 17, 33, 10),
        (32, 30, 64, 10),
        (33, 33, 17, 1),
        (65, 64, 128, 32),
        (257, 250, 20, 3),
        (2100, 2100, 8, 10),
        (40, 40, 2048, 4),
    ];
    let mut cases = Vec::new();
    for (number, (batch, counted, inputs, columns)) in shapes.into_iter().enumerate() {
        for (turn, loss) in losses.into_iter().enumerate() {
            let labels = matches!(loss, RowLoss::CrossEntropy);
            let [gather, gather_x] = [(number + turn) % 2 == 0, (number + turn) % 4 == 0];
            let last = LastLayer {
                bias: number % 3 > 0,
                gather: gather_x,
            };
            let kind = if labels {
                Accuracy::Sparse
            } else {
                Accuracy::Binary { threshold: 0.3 }
            };
            let op = Head {
                loss,
                loss_column: 1,
                accuracy: (turn != 2).then_some((kind, 0)),
                gather,
                last: Some(last),
                gradient: number % 4 > 0,
                scaled: turn == 2,
            };
            let most = 2.0 / (inputs as f32).sqrt();
            let rows = |chosen: bool| if chosen { batch + 3 } else { batch };
            let case = Case::new(op)
                .constant(
                    &[3, 2, Parts::of(batch).numbers()],
                    Fill::Uniform(-1.0, 1.0),
                )
                .words(&[WORDS], cursor(number as u32 + 1, counted, 0.25))
                .constant(&[rows(gather_x), inputs], Fill::Uniform(-1.0, 1.0))
                .nan_if(counted as usize == batch && !gather_x);
            let case = with_targets(case, loss, labels, [rows(gather), columns]);
            let mut case = with_indices(case, gather || gather_x, batch, batch + 3)
                .constant(&[inputs, columns], Fill::Uniform(-most, most))
                .nan_if(true);
            if last.bias {
                case = case.constant(&[columns], Fill::Uniform(-0.5, 0.5));
                case = case.nan_if(true);
            }
            if !gather_x {
                let mut half = case.clone();
                half.inputs[2].0.dtype = DType::F16;
                cases.push(half);
            }
            cases.push(case);
        }
    }
    cases
}
