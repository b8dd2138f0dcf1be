//! The ring of per-step sums, turned into per-epoch means on the host.

use crate::op::Parts;

use super::programs::RING_ROWS;

/// The means of a finished epoch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Means {
    /// Loss first, then the metrics.
    pub values: Vec<f64>,
    pub samples: u64,
}

/// Sums of an epoch under way.
#[derive(Debug)]
pub(super) struct Ledger {
    columns: usize,
    parts: usize,
    batch: u64,
    rows: u64,
    /// Rows seen of the epoch under way.
    seen: u64,
    sums: Vec<f64>,
}

impl Ledger {
    /// Epochs of `rows` rows in batches of `batch`; `columns` sums a step.
    pub fn new(rows: u64, batch: u64, columns: usize) -> Self {
        Ledger {
            columns,
            parts: Parts::of(usize::try_from(batch).unwrap_or(usize::MAX)).count,
            batch,
            rows,
            seen: 0,
            sums: vec![0.0; columns],
        }
    }

    pub fn steps_per_epoch(&self) -> u64 {
        self.rows.div_ceil(self.batch)
    }

    /// Takes the next step's sums from the ring; the epoch's means when it is the last of its epoch. The step's own mean
    /// loss comes first.
    pub fn absorb(&mut self, ring: &[f32], step: u64) -> (f64, Option<Means>) {
        let row = (step % RING_ROWS as u64) as usize * self.columns * self.parts;
        let rows = self.batch.min(self.rows - self.seen);
        let columns = ring[row..].chunks_exact(self.parts);
        let sums = columns.map(|parts| parts.iter().map(|&part| f64::from(part)).sum::<f64>());
        let mut step_loss = None;
        for (total, sum) in self.sums.iter_mut().zip(sums) {
            step_loss.get_or_insert(sum / rows as f64);
            *total += sum;
        }
        let step_loss = step_loss.unwrap_or(f64::NAN);
        self.seen += rows;
        let finished = self.seen == self.rows;
        (step_loss, if finished { self.take() } else { None })
    }

    /// The means so far, if there are any; starts the next epoch.
    pub fn take(&mut self) -> Option<Means> {
        if self.seen == 0 {
            return None;
        }
        let samples = std::mem::take(&mut self.seen);
        let values = self
            .sums
            .iter_mut()
            .map(|sum| std::mem::take(sum) / samples as f64)
            .collect();
        Some(Means { values, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ragged_last_batch_counts_by_its_own_rows() {
        // Ten rows in batches of four: sums over 4, 4 and 2 rows.
        let mut ledger = Ledger::new(10, 4, 2);
        let mut ring = vec![0.0; 2 * RING_ROWS];
        ring[..6].copy_from_slice(&[4.0, 1.0, 8.0, 2.0, 6.0, 2.0]);
        assert_eq!(ledger.absorb(&ring, 0), (1.0, None));
        assert_eq!(ledger.absorb(&ring, 1), (2.0, None));
        let means = Means {
            values: vec![1.8, 0.5],
            samples: 10,
        };
        assert_eq!(ledger.absorb(&ring, 2), (3.0, Some(means)));
        assert_eq!(ledger.take(), None);
    }
}
