//! What gathers are tried on: one chunk to four, short rows and long ones; numbers, words and bytes.

use crate::contract::{Case, Fill};

use super::Gather;

/// A case with as many indices as the batch has rows, of which one in sixteen or so lies beyond the data.
fn case(op: Gather, batch: usize, chunks: &[usize]) -> Case {
    let rows: usize = chunks.iter().sum();
    let indices = Fill::Below((rows + rows.div_ceil(16)) as u32);
    Case::new(op).words(&[batch], indices)
}

pub(super) fn cases() -> Vec<Case> {
    // Batch, rows of the chunks, sizes of a row.
    let shapes: [(usize, &[usize], &[usize]); 20] = [
        (1, &[1], &[]),
        (2, &[3], &[1]),
        (3, &[17], &[]),
        (17, &[33], &[3]),
        (33, &[768], &[8]),
        (33, &[5, 5, 2], &[7]),
        (32, &[100], &[784]),
        (32, &[40, 40, 20], &[784]),
        (255, &[257], &[5, 7]),
        (256, &[100, 100], &[3, 4]),
        (257, &[10, 10, 10, 1], &[4]),
        (257, &[64, 64, 64, 64], &[33]),
        (1000, &[1000], &[10]),
        (1000, &[3, 1], &[2, 3, 5]),
        (70, &[33], &[1000]),
        (3, &[2, 2], &[70_000]),
        (5, &[3], &[28]),
        (5, &[3], &[32]),
        (65_536, &[255], &[9]),
        (70_000, &[300, 300, 300, 255], &[1]),
    ];
    let mut cases = bytes();
    for (batch, chunks, row) in shapes {
        for words in [false, true] {
            let mut case = case(Gather::default(), batch, chunks);
            for &n in chunks {
                let shape = [&[n], row].concat();
                case = if words {
                    case.words(&shape, Fill::Below(u32::MAX))
                } else {
                    case.constant(&shape, Fill::Uniform(-2.0, 2.0))
                };
            }
            cases.push(case);
        }
    }
    cases
}

fn bytes() -> Vec<Case> {
    // Batch, rows of the chunks, shape of a row: every remainder by 4, and rows longer and shorter than the lanes.
    let shapes: [(usize, &[usize], &[usize]); 18] = [
        (1, &[1], &[]),
        (2, &[3], &[1]),
        (17, &[33], &[3]),
        (5, &[7], &[4]),
        (33, &[5, 5, 2], &[5]),
        (33, &[768], &[2, 3]),
        (257, &[10, 10, 10, 1], &[7]),
        (256, &[100, 100], &[3, 4]),
        (255, &[257], &[31]),
        (40, &[64], &[33]),
        (32, &[100], &[28, 28]),
        (32, &[40, 40, 20], &[784]),
        (7, &[9, 9], &[785]),
        (5, &[11], &[32, 32, 3]),
        (3, &[4, 4, 4, 4], &[70_001]),
        (1000, &[3, 1], &[2, 3, 5]),
        (70_000, &[300, 300, 300, 255], &[1]),
        (65_536, &[255], &[9]),
    ];
    let case = |(batch, chunks, row): (usize, &[usize], &[usize])| {
        let words = Gather::words(row.iter().product());
        let bytes = Some(row.into());
        let case = case(Gather { bytes }, batch, chunks);
        chunks.iter().fold(case, |case, &n| {
            case.words(&[n, words], Fill::Below(u32::MAX))
        })
    };
    shapes.into_iter().map(case).collect()
}
