//! Damaged copies of sound files, the same ones every time.

/// A sequence of numbers from a seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end.max(1)
    }

    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Numbers in text that parsers stumble over.
const TEXTS: [&str; 20] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e999",
    "-0.0",
    "NaN",
];

/// The same in binary.
const WORDS: [u64; 12] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// The longest that a copy grows.
const LONGEST: usize = 256 << 10;

/// A copy of one of `seeds` with one to six changes.
pub fn mutated(numbers: &mut Numbers, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = numbers.one_of(seeds).clone();
    for _ in 0..=numbers.below(6) {
        change(numbers, &mut bytes, seeds);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(numbers: &mut Numbers, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = numbers.below(bytes.len());
    let len = (1 << numbers.below(8)).min(bytes.len() - at);
    match numbers.below(14) {
        0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << numbers.below(8),
        2 if !bytes.is_empty() => bytes[at] = *numbers.one_of(&[0, 1, b' ', 0x7f, 0x80, 0xff]),
        3 if !bytes.is_empty() => bytes[at] = numbers.next() as u8,
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..at + len)),
        6 => {
            let inserted: Vec<u8> = (0..len).map(|_| numbers.next() as u8).collect();
            bytes.splice(at..at, inserted);
        }
        7 => {
            let copied = bytes[at..at + len].to_vec();
            let to = numbers.below(bytes.len() + 1);
            bytes.splice(to..to, copied);
        }
        8 => {
            let repeated = bytes[at..at + len].repeat(1 << numbers.below(12));
            bytes.splice(at..at, repeated);
        }
        9 => {
            let other = numbers.one_of(seeds);
            let from = numbers.below(other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        10 | 11 => number_in_text(numbers, bytes, at),
        _ => {
            let word = *numbers.one_of(&WORDS);
            let width = 1 << numbers.below(4);
            let word = match numbers.below(2) {
                0 => word.to_le_bytes()[..width].to_vec(),
                _ => word.to_be_bytes()[8 - width..].to_vec(),
            };
            let end = (at + width).min(bytes.len());
            let word = word[..end - at].to_vec();
            bytes.splice(at..end, word);
        }
    }
}

/// The text with one to three other numbers in it.
pub fn other_numbers(numbers: &mut Numbers, mut text: Vec<u8>) -> Vec<u8> {
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(text.len());
        number_in_text(numbers, &mut text, at);
    }
    text
}

/// Puts another number in the place of the first one in text after `at`.
fn number_in_text(numbers: &mut Numbers, bytes: &mut Vec<u8>, at: usize) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = bytes[at..].iter().position(is_digit) else {
        return;
    };
    let start = at + start;
    let end = bytes[start..].iter().position(|byte| !is_digit(byte));
    let end = end.map_or(bytes.len(), |len| start + len);
    bytes.splice(start..end, numbers.one_of(&TEXTS).bytes());
}
