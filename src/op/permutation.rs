//! A shuffle without storage: a bijection of 0..rows computed from (seed, epoch), the same integers as in clock.wgsl.
//!
//! A Feistel network on Z_a × Z_b: with x = right·a + left, left ← (left + F(right)) mod a and right ← (right + F(left))
//! mod b by turns. Each step can be undone whatever F is, so the whole is a bijection of 0..a·b; an image at or beyond
//! `rows` is mapped again until it falls below (cycle walking), which keeps it one of 0..rows. a is a power of two and b
//! = ⌈rows/a⌉ ≤ a, so that splitting x takes no division and no square root, whose rounding would differ by driver, and
//! a·b − rows < a: a second walk is rare.

/// Double rounds of the network. Four leave no trace in pairs of rows from 17 rows on; eight make the orders of five rows
/// equally likely, and cost nothing that shows.
const ROUNDS: usize = 8;

/// The order of a data set's rows in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permutation {
    rows: u32,
    bits: u32,
    columns: u32,
    key: u32,
}

impl Permutation {
    /// The permutation of `0..rows` in this epoch under this seed.
    pub fn new(rows: u32, seed: u32, epoch: u32) -> Self {
        let rows = rows.max(1);
        // Half of the bits that rows − 1 takes, rounded up.
        let bits = (32 - (rows - 1).leading_zeros()).div_ceil(2);
        Permutation {
            rows,
            bits,
            columns: ((rows - 1) >> bits) + 1,
            key: scramble(scramble(seed.wrapping_add(WEYL)).wrapping_add(epoch)),
        }
    }

    /// The row that stands at `position`, which must be below the number of rows.
    #[cfg(test)]
    pub fn row(self, position: u32) -> u32 {
        let [x] = self.walk([position]);
        self.settled(x)
    }

    /// The rows that stand at `position` and after it, as many as `rows` has room for, sixteen at a time. All these
    /// positions must be below the number of rows.
    #[inline(always)]
    pub fn rows(self, mut position: u32, rows: &mut [u32]) {
        for rows in rows.chunks_mut(LANES) {
            let mut x = [0; LANES];
            for (x, i) in x.iter_mut().zip(0..) {
                *x = position.wrapping_add(i);
            }
            for (row, x) in rows.iter_mut().zip(self.walk(x)) {
                *row = self.settled(x);
            }
            position = position.wrapping_add(LANES as u32);
        }
    }

    /// The images of positions by one walk, in loops over the lanes of a vector. A lane beyond the last row gives any number.
    #[inline(always)]
    fn walk<const N: usize>(self, x: [u32; N]) -> [u32; N] {
        let size = 1 << self.bits;
        let mut left = x.map(|x| x & (size - 1));
        let mut right = x.map(|x| x >> self.bits);
        let mut key = self.key;
        for _ in 0..ROUNDS {
            key = key.wrapping_add(WEYL);
            for (left, right) in left.iter_mut().zip(&right) {
                *left = left.wrapping_add(scramble(right ^ key)) & (size - 1);
            }
            key = key.wrapping_add(WEYL);
            for (left, right) in left.iter().zip(&mut right) {
                let moved = right.wrapping_add(scale(scramble(left ^ key), self.columns));
                // Whichever of the two did not wrap below 0 is the smaller one.
                *right = moved.min(moved.wrapping_sub(self.columns));
            }
        }
        for (left, right) in left.iter_mut().zip(right) {
            *left |= right << self.bits;
        }
        left
    }

    /// The row of a walk's image: one beyond the last row is walked again.
    fn settled(self, mut x: u32) -> u32 {
        while x >= self.rows {
            [x] = self.walk([x]);
        }
        x
    }
}

/// Rows worked out side by side: the widest vector of 32-bit numbers.
const LANES: usize = 16;

/// 2³²/φ, odd: steps of it visit all words before one comes again.
const WEYL: u32 = 0x9e37_79b9;

/// The finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit flips every output bit half the time.
#[inline(always)]
fn scramble(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

/// ⌊x·n/2³²⌋ for n ≤ 2¹⁶ in 32-bit steps: a number below n, without a division.
#[inline(always)]
fn scale(x: u32, n: u32) -> u32 {
    ((x >> 16) * n + (((x & 0xffff) * n) >> 16)) >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [u32; 13] = [
        1, 2, 3, 5, 17, 33, 255, 256, 257, 1000, 60_000, 65_537, 70_000,
    ];

    fn order(rows: u32, seed: u32, epoch: u32) -> Vec<u32> {
        let permutation = Permutation::new(rows, seed, epoch);
        (0..rows)
            .map(|position| permutation.row(position))
            .collect()
    }

    #[test]
    fn every_row_comes_once() {
        for rows in SIZES {
            for (seed, epoch) in [(0, 0), (0, 1), (7, 3), (u32::MAX, u32::MAX)] {
                let mut order = order(rows, seed, epoch);
                order.sort_unstable();
                assert!(order.into_iter().eq(0..rows), "{rows} {seed} {epoch}");
            }
        }
    }

    #[test]
    fn many_rows_at_once_are_the_same_rows() {
        for rows in SIZES {
            let permutation = Permutation::new(rows, 3, 5);
            for (first, count) in [(0, rows), (rows / 2, 1), (rows / 3, rows / 2)] {
                let mut found = vec![0; count as usize];
                permutation.rows(first, &mut found);
                let expected = (first..first + count).map(|position| permutation.row(position));
                assert!(expected.eq(found), "{rows} {first} {count}");
            }
        }
    }

    #[test]
    fn the_largest_data_sets_stay_in_range() {
        for rows in [1 << 24, (1 << 24) + 1, 1 << 31, (1 << 31) + 1, u32::MAX] {
            let permutation = Permutation::new(rows, 1, 2);
            let mut images: Vec<u32> = (0..1000)
                .chain(rows - 1000..rows)
                .map(|position| permutation.row(position))
                .collect();
            assert!(images.iter().all(|&image| image < rows));
            images.sort_unstable();
            images.dedup();
            assert_eq!(images.len(), 2000);
        }
    }

    #[test]
    fn scale_is_the_high_word_of_the_product() {
        for n in [1, 2, 3, 255, 46_341, 65_535, 65_536] {
            for x in (0..=u32::MAX).step_by(65_521).chain([u32::MAX]) {
                assert_eq!(u64::from(scale(x, n)), (u64::from(x) * u64::from(n)) >> 32);
            }
        }
    }

    #[test]
    fn epochs_and_seeds_give_other_orders() {
        for rows in [17, 257, 1000, 70_000] {
            let first = order(rows, 1, 1);
            for other in [
                order(rows, 1, 2),
                order(rows, 2, 1),
                order(rows, 1, 1 << 31),
            ] {
                // Two random orders agree in one position on average.
                let same = first.iter().zip(&other).filter(|(a, b)| a == b).count();
                assert!(same < 10, "{rows}: {same}");
            }
        }
    }

    /// z-scores of what a random order of n rows has: mean displacement (n² − 1)/(3n), and no correlation of a row with
    /// its position or with the row before it.
    #[test]
    fn orders_look_random() {
        for rows in [255, 256, 257, 1000, 4097, 60_000, 70_000] {
            let n = f64::from(rows);
            let mean = (n - 1.0) / 2.0;
            let variance = (n * n - 1.0) / 12.0;
            let epochs = 64;
            let [
                mut displacement,
                mut with_position,
                mut with_neighbour,
                mut squares,
            ] = [0.0; 4];
            for epoch in 0..epochs {
                let order = order(rows, 42, epoch);
                let centred = |&row: &u32| f64::from(row) - mean;
                let moved =
                    |(position, &row): (usize, &u32)| (position as f64 - f64::from(row)).abs();
                displacement += order.iter().enumerate().map(moved).sum::<f64>() / n;
                let position = order
                    .iter()
                    .enumerate()
                    .map(|(position, row)| (position as f64 - mean) * centred(row))
                    .sum::<f64>();
                let neighbour = order
                    .windows(2)
                    .map(|pair| centred(&pair[0]) * centred(&pair[1]))
                    .sum::<f64>();
                let (p, q) = (
                    position / (variance * n) * n.sqrt(),
                    neighbour / (variance * n) * n.sqrt(),
                );
                with_position += p;
                with_neighbour += q;
                squares += p * p + q * q;
            }
            let epochs = f64::from(epochs);
            // The displacement's standard deviation over random orders is n·√(2/45n) to leading order.
            let expected = (n * n - 1.0) / (3.0 * n);
            let z = (displacement / epochs - expected) / (n * (2.0 / (45.0 * n * epochs)).sqrt());
            assert!(z.abs() < 4.0, "{rows}: displacement {z}");
            assert!(
                (with_position / epochs.sqrt()).abs() < 4.0,
                "{rows}: positions"
            );
            assert!(
                (with_neighbour / epochs.sqrt()).abs() < 4.0,
                "{rows}: neighbours"
            );
            // χ² with 128 degrees of freedom: sd 16.
            let chi = squares;
            assert!((chi - 2.0 * epochs).abs() < 5.0 * 16.0, "{rows}: χ² {chi}");
        }
    }

    /// Rows that stand in the same batch should not stay together in the next epoch.
    #[test]
    fn batches_are_mixed_anew_each_epoch() {
        let (rows, batch) = (60_000, 128);
        let mut together = 0;
        let epochs = 20;
        for epoch in 0..epochs {
            let mut batch_of = vec![0; rows as usize];
            for (position, row) in order(rows, 5, epoch).into_iter().enumerate() {
                batch_of[row as usize] = position / batch;
            }
            let next = order(rows, 5, epoch + 1);
            together += next
                .windows(2)
                .filter(|pair| batch_of[pair[0] as usize] == batch_of[pair[1] as usize])
                .count();
        }
        let expected = f64::from(epochs * (rows - 1)) * 127.0 / f64::from(rows - 1);
        let z = (together as f64 - expected) / expected.sqrt();
        assert!(z.abs() < 4.5, "{together} pairs, {expected} expected");
    }

    #[test]
    fn small_sets_reach_every_order_about_equally() {
        for (rows, orders) in [(2u32, 2usize), (3, 6), (5, 120)] {
            let mut counts = std::collections::HashMap::new();
            let epochs = 400 * orders;
            for epoch in 0..epochs {
                *counts.entry(order(rows, 9, epoch as u32)).or_insert(0u32) += 1;
            }
            assert_eq!(counts.len(), orders, "{rows}");
            let chi: f64 = counts
                .values()
                .map(|&count| (f64::from(count) - 400.0).powi(2) / 400.0)
                .sum();
            let freedom = (orders - 1) as f64;
            assert!(
                chi < freedom + 5.0 * (2.0 * freedom).sqrt() + 5.0,
                "{rows}: χ² {chi}"
            );
        }
    }
}
