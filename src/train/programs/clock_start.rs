//! Where the clock of a program begins: step, epoch and place in the data.

use crate::op::cursor;

/// Where a clock begins.
#[derive(Debug, Clone)]
pub(crate) struct ClockStart {
    pub step: u64,
    pub epoch: u64,
    /// Rows of the epoch that were seen.
    pub offset: u64,
    pub rows: usize,
    /// The seed of the shuffle; none for the order of the data. A population has one for each member, which shuffle as the
    /// first one does or not at all.
    pub shuffles: Vec<Option<u32>>,
    /// Rows that the device has room for, where they are brought in parts and in order.
    pub resident_rows: Option<usize>,
}

impl ClockStart {
    /// Before the first of `rows` rows, in the order of the data.
    pub fn at_beginning(rows: usize) -> Self {
        ClockStart {
            step: 0,
            epoch: 0,
            offset: 0,
            rows,
            shuffles: vec![None],
            resident_rows: None,
        }
    }

    /// The cursors that say so, one for each seed.
    pub fn words(&self) -> Vec<u32> {
        let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let cursor = |shuffle: &Option<u32>| {
            let mut words = [0; cursor::WORDS];
            words[cursor::STEP] = word(self.step);
            words[cursor::EPOCH] = word(self.epoch);
            words[cursor::OFFSET] = word(self.offset);
            words[cursor::DATA_ROWS] = word(self.rows as u64);
            words[cursor::SEED] = shuffle.unwrap_or(0);
            words[cursor::SHUFFLE] = match self.resident_rows {
                // The host has put them in order.
                Some(rows) => word(rows as u64),
                None => u32::from(shuffle.is_some()),
            };
            words
        };
        self.shuffles.iter().flat_map(cursor).collect()
    }
}
