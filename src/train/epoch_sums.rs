//! What is copied from the device, turned into the figures of epochs on the host: the ring of per-step sums, and the
//! tallies of epochs.

use crate::op::{Parts, read_cells};

use super::metric::RingLayout;
use super::sizes::RING_ROWS;

/// The figures of a finished epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EpochFigures {
    /// Sums over the rows: of the loss first, then of the metrics that are means.
    pub sums: Vec<f64>,
    /// The cells of each tally.
    pub tallies: Vec<Vec<f64>>,
    pub samples: u64,
}

impl EpochFigures {
    /// The mean loss.
    pub fn loss(&self) -> f64 {
        self.mean(0)
    }

    /// The mean of a column of the ring; NaN where there is none.
    pub fn mean(&self, column: usize) -> f64 {
        self.sum(column) / self.samples as f64
    }

    /// The sum of a column of the ring; NaN where there is none.
    pub fn sum(&self, column: usize) -> f64 {
        self.sums.get(column).copied().unwrap_or(f64::NAN)
    }
}

/// Sums of an epoch under way.
#[derive(Debug, Clone)]
pub(super) struct EpochSums {
    layout: RingLayout,
    /// Numbers of each column in a step's row of the ring.
    numbers: usize,
    batch: u64,
    rows: u64,
    /// The epoch under way, as the clock counts.
    epoch: u64,
    /// Rows seen of it.
    seen: u64,
    /// An epoch that ends before all of its rows, because there are no more: its number and its rows.
    cut: Option<(u64, u64)>,
    sums: Vec<f64>,
    /// Rows of them that are part of no figure; none where all are.
    left_out: Option<u64>,
    /// The ring and the tallies as the last submission left them.
    copied: Vec<f32>,
}

impl EpochSums {
    /// Epochs of `rows` rows in batches of `batch`, the first of which the clock counts as `epoch`.
    pub fn new(rows: u64, batch: u64, layout: RingLayout, epoch: u64) -> Self {
        EpochSums {
            numbers: Parts::of(usize::try_from(batch).unwrap_or(usize::MAX)).numbers(),
            batch,
            rows,
            epoch,
            seen: 0,
            cut: None,
            sums: vec![0.0; layout.columns],
            layout,
            left_out: None,
            copied: Vec::new(),
        }
    }

    /// Leaves steps whose loss is not finite out of the figures.
    pub fn leave_out(&mut self) {
        self.left_out = Some(0);
    }

    /// Rows seen of the epoch under way, and the sums over them; where some may be left out, how many were.
    pub fn under_way(&self) -> (u64, Vec<f64>) {
        let left_out = self.left_out.map(|rows| rows as f64);
        let sums = self.sums.iter().copied().chain(left_out);
        (self.seen, sums.collect())
    }

    /// Goes on from what [`under_way`](Self::under_way) gave, in the epoch that the clock counts as `epoch`.
    pub fn go_on(&mut self, epoch: u64, seen: u64, sums: &[f64]) {
        (self.epoch, self.seen) = (epoch, seen);
        let (own, left_out) = sums.split_at(self.layout.columns.min(sums.len()));
        self.sums = own.to_vec();
        if let (Some(rows), Some(kept)) = (&mut self.left_out, left_out.first()) {
            *rows = *kept as u64;
        }
    }

    /// The epoch that the clock counts as `epoch` ends after `rows` rows.
    pub fn cut(&mut self, epoch: u64, rows: u64) {
        self.cut = Some((epoch, rows));
    }

    /// Rows of the epoch under way.
    fn of_epoch(&self) -> u64 {
        match self.cut {
            Some((epoch, rows)) if epoch == self.epoch => rows,
            _ => self.rows,
        }
    }

    pub fn steps_per_epoch(&self) -> u64 {
        self.rows.div_ceil(self.batch)
    }

    /// Takes the ring and the tallies as a submission left them.
    pub fn hold(&mut self, copied: Vec<f32>) {
        self.copied = copied;
    }

    /// Takes the next step's sums from the ring that it holds; the epoch's figures when it is the last of its epoch. The
    /// step's own mean loss comes first.
    pub fn absorb(&mut self, step: u64) -> (f64, Option<EpochFigures>) {
        let row = (step % RING_ROWS as u64) as usize * self.layout.columns * self.numbers;
        let rows = self.batch.min(self.of_epoch().saturating_sub(self.seen));
        let columns = self
            .copied
            .get(row..)
            .unwrap_or(&[])
            .chunks_exact(self.numbers);
        let sum = |numbers: &[f32]| numbers.iter().copied().map(f64::from).sum::<f64>();
        let first = columns.clone().next();
        let step_loss = first.map_or(f64::NAN, |numbers| sum(numbers) / rows as f64);
        match &mut self.left_out {
            Some(left_out) if !step_loss.is_finite() => *left_out += rows,
            _ => {
                for (total, numbers) in self.sums.iter_mut().zip(columns) {
                    *total += sum(numbers);
                }
            }
        }
        self.seen += rows;
        let finished = self.seen == self.of_epoch();
        (step_loss, if finished { self.take() } else { None })
    }

    /// The figures so far, if there are any; starts the next epoch.
    pub fn take(&mut self) -> Option<EpochFigures> {
        if self.seen == 0 {
            return None;
        }
        let left_out = self.left_out.as_mut().map_or(0, std::mem::take);
        let samples = std::mem::take(&mut self.seen) - left_out;
        let sums = self.sums.iter_mut().map(std::mem::take).collect();
        let tallies = self.tallies();
        self.epoch += 1;
        Some(EpochFigures {
            sums,
            tallies,
            samples,
        })
    }

    /// The epoch's own slot of every tally; the tallies follow the ring in memory.
    fn tallies(&self) -> Vec<Vec<f64>> {
        let slot = (self.epoch % self.layout.slots as u64) as usize;
        let mut start = RING_ROWS * self.layout.columns * self.numbers;
        let mut tallies = Vec::new();
        for &cells in &self.layout.tallies {
            let end = start + 2 * self.layout.slots * cells;
            let own = self.copied.get(start..end).unwrap_or(&[]);
            tallies.push(read_cells(own, slot, cells));
            start = end;
        }
        tallies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(columns: usize, slots: usize, tallies: &[usize]) -> RingLayout {
        RingLayout {
            columns,
            slots,
            tallies: tallies.to_vec(),
        }
    }

    #[test]
    fn a_ragged_last_batch_counts_by_its_own_rows() {
        // Ten rows in batches of four: sums over 4, 4 and 2 rows.
        let mut epoch_sums = EpochSums::new(10, 4, layout(2, 2, &[]), 0);
        let mut ring = vec![0.0; 4 * RING_ROWS];
        // A sum is that of two numbers.
        let numbers = [3.0, 1.0, 1.0, 0.0, 8.0, 0.0, 2.0, 0.0, 5.5, 0.5, 2.0, 0.0];
        ring[..12].copy_from_slice(&numbers);
        epoch_sums.hold(ring);
        assert_eq!(epoch_sums.absorb(0), (1.0, None));
        assert_eq!(epoch_sums.absorb(1), (2.0, None));
        let figures = EpochFigures {
            sums: vec![18.0, 5.0],
            tallies: Vec::new(),
            samples: 10,
        };
        assert_eq!(epoch_sums.absorb(2), (3.0, Some(figures)));
        assert_eq!(epoch_sums.take(), None);
    }

    #[test]
    fn each_epoch_of_a_submission_has_its_own_slot_of_a_tally() {
        // Two steps an epoch from epoch 5; two slots of two tallies.
        let mut epoch_sums = EpochSums::new(8, 4, layout(1, 2, &[1, 2]), 5);
        let mut copied = vec![0.0; 2 * RING_ROWS];
        copied.extend([60.0, 50.0, 0.5, 0.0]);
        copied.extend([61.0, 62.0, 51.0, 52.0, 0.0, 0.0, 0.25, 0.0]);
        epoch_sums.hold(copied);
        let tallies =
            [0, 1, 2, 3].map(|step| epoch_sums.absorb(step).1.map(|figures| figures.tallies));
        // A cell is the sum of two numbers.
        let fifth = vec![vec![50.0], vec![51.25, 52.0]];
        let sixth = vec![vec![60.5], vec![61.0, 62.0]];
        assert_eq!(tallies, [None, Some(fifth), None, Some(sixth)]);
    }
}
