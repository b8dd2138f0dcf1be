//! What layers' gradients are tried on: one layer to eight, with and without a bias and a gather, X and dZ by themselves or in
//! slabs; stored, and taken by an update.

use crate::contract::{Case, Fill};
use crate::op::{Adam, RATES};

use super::{LayerGradients, LayerPart, LayerSlab};

pub(super) fn cases() -> Vec<Case> {
    // Batch and widths.
    let shapes: [(usize, &[usize]); 22] = [
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
        // Deep ones of few widths, so that few kernels are made for them.
        (64, &[8, 16, 8, 4]),
        (33, &[5, 7, 5, 7, 2]),
        (32, &[8, 10, 8, 10, 8, 10]),
        (100, &[36, 64, 36, 64, 36, 64, 7]),
        (64, &[16, 8, 16, 8, 16, 8, 16, 4]),
        (17, &[9, 3, 9, 3, 9, 3, 9, 3, 2]),
    ];
    let rule = Adam {
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-7,
    };
    let mut cases = Vec::new();
    for (number, (batch, widths)) in shapes.into_iter().enumerate() {
        for gather in [false, true] {
            // Two layers and more may lie in slabs, as more than three always do.
            let depth = widths.len() - 1;
            let slabs = depth > 3 || depth > 1 && number % 2 == 0;
            // In every third, which are all kinds of them: a case is opened anew for it.
            let tells_nan = number % 3 == 1 && !slabs;
            let mut len = 0;
            let mut layers = Vec::new();
            let mut operands = CaseOperands::default();
            for (index, pair) in widths.windows(2).enumerate() {
                let kernel_at = len;
                len += (pair[0] * pair[1]).next_multiple_of(64);
                // Some layers have no bias.
                let bias_at = (number + index) % 3 < 2;
                let bias_at = bias_at.then_some(len);
                len += pair[1].next_multiple_of(64);
                let rows = batch + if gather && index == 0 { 3 } else { 0 };
                // The first X is by itself: a data set is.
                let (of_x, of_dz) = match (slabs, number % 3) {
                    (true, 0) if depth > 2 => (1 + index % 2, 3 + index % 2),
                    // X and dZ in the same slabs.
                    (true, _) => (1 + index % 2, 1 + (index + 1) % 2),
                    (false, _) => (2 * index, 2 * index + 1),
                };
                let of_x = if index == 0 { 0 } else { of_x };
                layers.push(LayerSlab {
                    inputs: pair[0],
                    units: pair[1],
                    kernel_at,
                    bias_at,
                    x: operands.add(of_x, rows, pair[0]),
                    dz: operands.add(of_dz, batch, pair[1]),
                });
            }
            // Stored in one of the two.
            let update = (gather == (number % 2 == 0)).then_some(rule);
            let op = LayerGradients {
                update,
                layers,
                batch,
                gather,
            };
            let mut case = Case::new(op).constant(&[len], Fill::Uniform(-1.0, 1.0));
            if update.is_some() {
                case = case
                    .constant(&[len], Fill::Uniform(-0.1, 0.1))
                    .constant(&[len], Fill::Uniform(0.01, 1.0))
                    .constant(&[RATES], Fill::Values(vec![0.001, 0.9, 0.999, 0.0]));
            }
            for shape in operands.shapes() {
                let gathered = gather && shape[0] == batch + 3;
                case = case
                    .constant(&shape, Fill::Uniform(-0.7, 0.7))
                    .nan_if(tells_nan && !gathered);
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

/// What X and dZ lie in, as it grows.
#[derive(Default)]
struct CaseOperands(Vec<Vec<[usize; 2]>>);

impl CaseOperands {
    /// Puts a matrix after those that the operand holds.
    fn add(&mut self, operand: usize, rows: usize, columns: usize) -> LayerPart {
        if self.0.len() <= operand {
            self.0.resize(operand + 1, Vec::new());
        }
        let at = elements(&self.0[operand]);
        self.0[operand].push([rows, columns]);
        LayerPart { operand, at }
    }

    /// The operands' shapes: a matrix' own, or a slab's length.
    fn shapes(self) -> Vec<Vec<usize>> {
        let shape = |members: Vec<[usize; 2]>| match members[..] {
            [only] => only.to_vec(),
            _ => vec![elements(&members)],
        };
        self.0.into_iter().map(shape).collect()
    }
}

fn elements(members: &[[usize; 2]]) -> usize {
    let of = |[rows, columns]: &[usize; 2]| (rows * columns).next_multiple_of(64);
    members.iter().map(of).sum()
}
