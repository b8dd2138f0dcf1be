//! What updates are tried on: one layer to four, with and without a bias and a gather.

use crate::op::{Adam, Case, Fill, RATES};

use super::{LayerSlab, LayerUpdates};

pub(super) fn cases() -> Vec<Case> {
    // Batch and widths.
    let shapes: [(usize, &[usize]); 16] = [
        (1, &[1, 1]),
        (2, &[3, 1]),
        (3, &[2, 17]),
        (17, &[33, 5]),
        (32, &[8, 10]),
        (33, &[10, 1]),
        (64, &[64, 64]),
        (65, &[63, 66]),
        (128, &[257, 10]),
        (130, &[127, 129]),
        (32, &[8, 10, 8]),
        (33, &[5, 7, 3]),
        (64, &[32, 64, 10]),
        (32, &[8, 10, 8, 1]),
        (100, &[36, 64, 100, 12]),
        (1000, &[20, 33, 17, 9]),
    ];
    let rule = Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-7,
    };
    let mut cases = Vec::new();
    for (number, (batch, widths)) in shapes.into_iter().enumerate() {
        for gather in [false, true] {
            // In every third, which are all kinds of them: a case is opened anew for it.
            let tells_nan = number % 3 == 1;
            let mut len = 0;
            let mut layers = Vec::new();
            for (index, pair) in widths.windows(2).enumerate() {
                let kernel_at = len;
                len += (pair[0] * pair[1]).next_multiple_of(64);
                // Some layers have no bias.
                let bias_at = (number + index) % 3 < 2;
                let bias_at = bias_at.then_some(len);
                len += pair[1].next_multiple_of(64);
                layers.push(LayerSlab {
                    inputs: pair[0],
                    units: pair[1],
                    kernel_at,
                    bias_at,
                });
            }
            let op = LayerUpdates {
                rule,
                layers,
                gather,
            };
            let mut case = Case::new(op)
                .constant(&[len], Fill::Uniform(-1.0, 1.0))
                .constant(&[len], Fill::Uniform(-0.1, 0.1))
                .constant(&[len], Fill::Uniform(0.01, 1.0))
                .constant(&[RATES], Fill::Values(vec![0.001, 0.9, 0.999, 0.0]));
            for (index, pair) in widths.windows(2).enumerate() {
                let rows = if gather && index == 0 {
                    batch + 3
                } else {
                    batch
                };
                case = case
                    .constant(&[rows, pair[0]], Fill::Uniform(-1.0, 1.0))
                    .nan_if(tells_nan && rows == batch)
                    .constant(&[batch, pair[1]], Fill::Uniform(-0.5, 0.5))
                    .nan_if(tells_nan);
            }
            cases.push(if gather {
                case.words(&[batch], Fill::Below(batch as u32 + 5))
            } else {
                case
            });
        }
    }
    cases
}
