//! Random numbers by counter: Philox 4×32 with ten rounds (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers, 2011).
//!
//! A key and a counter give four words that no draw before them decides, so that any element of any step is drawn alone, on
//! any device the same: `shaders/philox.wgsl` is its twin.

/// The four words of a counter under a key.
pub(super) fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k, mut l] = key;
    for _round in 0..10 {
        let (low, high) = product(a, 0xd251_1f53);
        let (other_low, other_high) = product(c, 0xcd9e_8d57);
        (a, b, c, d) = (other_high ^ b ^ k, other_low, high ^ d ^ l, low);
        k = k.wrapping_add(0x9e37_79b9);
        l = l.wrapping_add(0xbb67_ae85);
    }
    [a, b, c, d]
}

fn product(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    (product as u32, (product >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_published_vectors() {
        // The known answers that come with the authors' Random123.
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        let digits_of_pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(
            philox(digits_of_pi, [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
