//! A batch to try tallies on, for the cases of their ops.

use crate::contract::{Case, Fill};
use crate::op::cursor::{EPOCH, OFFSET, ROWS, WORDS};

use super::{Feed, RowCount, Tallied};

/// A batch to try tallies on, in one of four turns: with rows of a data set or not, with weights or not.
#[derive(Clone, Copy)]
pub(in crate::op) struct TallyCase {
    batch: usize,
    /// Rows that count.
    counted: usize,
    epoch: u32,
    slots: usize,
    turn: usize,
}

impl TallyCase {
    pub fn new(
        (batch, counted): (usize, usize),
        (epoch, slots): (u32, usize),
        turn: usize,
    ) -> Self {
        TallyCase {
            batch,
            counted,
            epoch,
            slots,
            turn,
        }
    }

    /// Rows of the targets.
    pub fn rows(self) -> usize {
        self.batch + 3 * (self.turn % 2)
    }

    /// Whether a NaN in any row must show.
    pub fn is_whole(self) -> bool {
        self.counted == self.batch && self.turn == 0
    }

    /// The case of a count of `cells` cells; `operands` adds predictions and targets.
    pub fn case<C: RowCount>(
        self,
        count: C,
        cells: usize,
        operands: impl FnOnce(Case) -> Case,
    ) -> Case {
        let TallyCase { batch, turn, .. } = self;
        let feed = Feed {
            gather: turn % 2 == 1,
            weighted: turn > 1,
            each: if turn == 2 && batch % 3 == 0 { 3 } else { 1 },
        };
        let mut cursor = vec![0; WORDS];
        cursor[ROWS] = (self.counted / feed.each) as u32;
        cursor[OFFSET] = if turn % 3 == 0 { 0 } else { 7 };
        cursor[EPOCH] = self.epoch;
        let case = Case::new(Tallied { feed, count })
            .constant(
                &[2 * self.slots, cells],
                Fill::Values(before(self.slots * cells)),
            )
            .words(&[WORDS], Fill::Words(cursor));
        let mut case = operands(case);
        if feed.gather {
            case = case.words(&[batch], Fill::Below(self.rows() as u32 + 2));
        }
        if feed.weighted {
            case = case.constant(&[self.rows()], Fill::Uniform(0.0, 2.0));
        }
        case
    }
}

/// Sums of an epoch so far, as pairs whose second numbers are below what the first ones keep.
fn before(cells: usize) -> Vec<f32> {
    let high = (0..cells).map(|i| ((37 * i + 11) % 101) as f32 * 0.049_3);
    let low = high.clone().map(|x| x * 2f32.powi(-27));
    high.chain(low).collect()
}
