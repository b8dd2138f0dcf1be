//! The slots that are full, by the time at which they are.

/// Sets of slots over time, as a tree of spans: each is half of the one above it.
pub(super) struct FullSlots {
    /// The number of steps, a power of two.
    steps: usize,
    /// The slots that are full throughout a span.
    throughout: Vec<Vec<u64>>,
    /// The slots that are full at some time of a span.
    sometime: Vec<Vec<u64>>,
}

impl FullSlots {
    pub fn new(steps: usize) -> Self {
        let steps = (steps + 1).next_power_of_two();
        FullSlots {
            steps,
            throughout: vec![Vec::new(); 2 * steps],
            sometime: vec![Vec::new(); 2 * steps],
        }
    }

    pub fn set(&mut self, time: (usize, usize), slot: usize) {
        let (word, bit) = (slot / 64, 1 << (slot % 64));
        let put = |words: &mut Vec<u64>| {
            if words.len() <= word {
                words.resize(word + 1, 0);
            }
            words[word] |= bit;
        };
        let (throughout, sometime) = (&mut self.throughout, &mut self.sometime);
        visit((1, 0, self.steps), time, &mut |span, whole| {
            put(&mut sometime[span]);
            if whole {
                put(&mut throughout[span]);
            }
        });
    }

    /// A slot is full no longer when it was.
    pub fn clear(&mut self, time: (usize, usize), slot: usize) {
        let (word, bit) = (slot / 64, 1 << (slot % 64));
        let (throughout, sometime) = (&mut self.throughout, &mut self.sometime);
        visit((1, 0, self.steps), time, &mut |span, _| {
            for words in [&mut throughout[span], &mut sometime[span]] {
                if let Some(word) = words.get_mut(word) {
                    *word &= !bit;
                }
            }
        });
    }

    /// The slots, out of `count`, that are full at some step of `time`, a bit each.
    pub fn at(&self, time: (usize, usize), count: usize) -> Vec<u64> {
        let mut full = vec![0; count.div_ceil(64)];
        visit((1, 0, self.steps), time, &mut |span, whole| {
            let sets = if whole {
                &self.sometime
            } else {
                &self.throughout
            };
            for (word, set) in full.iter_mut().zip(&sets[span]) {
                *word |= set;
            }
        });
        full
    }
}

/// The numbers below `count` whose bit is not set, in order.
pub(super) fn others(bits: &[u64], count: usize) -> impl Iterator<Item = usize> {
    let words = bits
        .iter()
        .enumerate()
        .filter(|(_, bits)| **bits != u64::MAX);
    let numbers = words.flat_map(|(word, bits)| {
        let unset = (0..64).filter(move |bit| bits >> bit & 1 == 0);
        unset.map(move |bit| 64 * word + bit)
    });
    numbers.take_while(move |&number| number < count)
}

/// Calls `at` for every span that `time` reaches into, down to those that lie in it as a whole.
fn visit(
    (span, begin, end): (usize, usize, usize),
    time: (usize, usize),
    at: &mut impl FnMut(usize, bool),
) {
    let (first, last) = time;
    if last < begin || end <= first {
        return;
    }
    let whole = first <= begin && end <= last + 1;
    at(span, whole);
    if !whole {
        let middle = begin + (end - begin) / 2;
        visit((2 * span, begin, middle), time, at);
        visit((2 * span + 1, middle, end), time, at);
    }
}
