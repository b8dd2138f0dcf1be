//! What a head is tried on: every loss, of rows that count and that do not, given outputs and computed ones.

use crate::DType;
use crate::contract::{Case, Fill};
use crate::op::cursor::{ROWS, SCALE, STEP, WORDS};
use crate::op::{Accuracy, Form, Parts};

use super::{Head, LastLayer, RowLoss};

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
    let binary = |form| RowLoss::Binary(form);
    let mut cases = Vec::new();
    for (number, (batch, counted, columns, step)) in shapes.into_iter().enumerate() {
        let kinds = [
            (RowLoss::CrossEntropy, true),
            (RowLoss::CrossEntropy, false),
            (binary(Form::Logits), false),
            (binary(Form::Probabilities), false),
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
                loss_column: if accuracy.is_some_and(|(_, column)| column == 0) {
                    1
                } else {
                    0
                },
                accuracy,
                gather,
                last: None,
                gradient: (number + turn) % 3 != 0,
                scaled: (number + turn) % 3 == 2,
            };
            let mut cursor = vec![0; WORDS];
            (cursor[STEP], cursor[ROWS]) = (step, counted);
            cursor[SCALE] = 1024_f32.to_bits();
            let y = match loss {
                RowLoss::Binary(Form::Probabilities) => Fill::Uniform(0.01, 0.99),
                _ => Fill::Uniform(-4.0, 4.0),
            };
            let ring = [5, 3, Parts::of(batch).count];
            let rows = if gather { batch + 3 } else { batch };
            // Rows that do not count or are not chosen are left out, and a NaN in them is.
            let all = counted as usize == batch;
            let case = Case::new(op)
                .constant(&ring, Fill::Uniform(-1.0, 1.0))
                .words(&[WORDS], Fill::Words(cursor))
                .constant(&[batch, columns], y)
                .nan_if(all);
            let targets = match loss {
                RowLoss::CrossEntropy => Fill::OneHot,
                RowLoss::Binary(_) => Fill::Binary,
                RowLoss::Squared(_) => Fill::Uniform(-2.0, 2.0),
            };
            let case = match labels {
                true => case.words(&[rows], Fill::Below(columns as u32)),
                false => case
                    .constant(&[rows, columns], targets)
                    .nan_if(all && !gather),
            };
            let case = if gather {
                case.words(&[batch], Fill::Below(rows as u32 + 2))
            } else {
                case
            };
            cases.push(case);
        }
    }
    cases.extend(last_layer_cases());
    cases
}

/// Heads that compute the last layer.
fn last_layer_cases() -> Vec<Case> {
    let binary = RowLoss::Binary(Form::Logits);
    let squared = RowLoss::Squared(0.5);
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
        for (turn, loss) in [RowLoss::CrossEntropy, binary, squared]
            .into_iter()
            .enumerate()
        {
            let labels = matches!(loss, RowLoss::CrossEntropy);
            let [gather, gather_x] = [(number + turn) % 2 == 0, (number + turn) % 4 == 0];
            let last = LastLayer {
                bias: number % 3 > 0,
                gather: gather_x,
            };
            let threshold = 0.3;
            let kind = if labels {
                Accuracy::Sparse
            } else {
                Accuracy::Binary { threshold }
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
            let mut cursor = vec![0; WORDS];
            (cursor[STEP], cursor[ROWS]) = (number as u32, counted);
            cursor[SCALE] = 0.25_f32.to_bits();
            let most = 2.0 / (inputs as f32).sqrt();
            let data = batch + 3;
            let rows = |chosen: bool| if chosen { data } else { batch };
            let case = Case::new(op)
                .constant(&[3, 2, Parts::of(batch).count], Fill::Uniform(-1.0, 1.0))
                .words(&[WORDS], Fill::Words(cursor))
                .constant(&[rows(gather_x), inputs], Fill::Uniform(-1.0, 1.0))
                .nan_if(counted as usize == batch && !gather_x);
            let case = match loss {
                RowLoss::CrossEntropy => case.words(&[rows(gather)], Fill::Below(columns as u32)),
                RowLoss::Binary(_) => case.constant(&[rows(gather), columns], Fill::Binary),
                RowLoss::Squared(_) => {
                    case.constant(&[rows(gather), columns], Fill::Uniform(-2.0, 2.0))
                }
            };
            let case = match gather || gather_x {
                true => case.words(&[batch], Fill::Below(data as u32 + 2)),
                false => case,
            };
            let case = case
                .constant(&[inputs, columns], Fill::Uniform(-most, most))
                .nan_if(true);
            let case = match last.bias {
                true => case
                    .constant(&[columns], Fill::Uniform(-0.5, 0.5))
                    .nan_if(true),
                false => case,
            };
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
