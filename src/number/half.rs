//! 16-bit floats as IEEE 754 has them (binary16), by integers and powers of two: one conversion for every session.
//!
//! 1 sign bit, 5 of the exponent, 10 of the significand: numbers from 2⁻¹⁴ to 65 504 with a relative rounding error of at
//! most 2⁻¹¹, below them multiples of 2⁻²⁴. `shaders/halves.wgsl` does the same on devices.

use super::Real;

/// The relative error of rounding to 16 bits, for numbers that are neither too large nor below 2⁻¹⁴.
pub const HALF_UNIT: f64 = 1.0 / 2048.0;

/// 2⁻¹⁴, from where on numbers have all their bits; below, the rounding error is at most 2⁻²⁵.
pub const SMALLEST_NORMAL: f64 = 1.0 / 16_384.0;

/// The bits of the nearest 16-bit float; of two that are as near the even one. From 65 520 on infinity; a NaN is 0x7e00.
#[inline(always)]
pub fn half_bits(value: f64) -> u16 {
    let sign = (value.to_bits() >> 48) as u16 & 0x8000;
    let value = value.abs();
    if value.is_nan() {
        return sign | 0x7e00;
    }
    // ⌊log₂⌋ where that is in the range of normal numbers; −14 is the exponent of all below.
    let exponent = ((value.to_bits() >> 52) as i64 - 1023).max(-14);
    if exponent > 15 {
        return sign | 0x7c00;
    }
    // In units of the last of eleven bits: below 2048, exactly. A sum that rounds up to 2048 carries into the exponent.
    let units = (value * two_to(10 - exponent)).round_ties_even() as u16;
    sign | (units + (((exponent + 14) as u16) << 10))
}

/// The number that 16 bits stand for, exactly.
#[inline(always)]
pub fn half_value(bits: u16) -> f32 {
    let body = u32::from(bits & 0x7fff);
    let magnitude = match body {
        0..0x400 => body as f32 / (1 << 24) as f32,
        0x400..0x7c00 => f32::from_bits((body << 13) + (112 << 23)),
        _ => f32::from_bits((body << 13) | 0x7f80_0000),
    };
    if bits & 0x8000 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// What is left of a number that is stored in 16 bits.
#[inline(always)]
pub(crate) fn stored<T: Real>(value: T) -> T {
    T::constant(f64::from(half_value(half_bits(value.double()))))
}

/// How far apart two numbers may be once both are stored in 16 bits, if they were apart by `error` before: each is rounded by
/// at most half a unit, relative to itself or absolute.
pub fn stored_error(value: f64, error: f64) -> f64 {
    let rounding = |value: f64| HALF_UNIT * value.max(SMALLEST_NORMAL);
    error + rounding(value.abs()) + rounding(value.abs() + error)
}

/// 2ⁿ, for n from −5 to 24.
#[inline(always)]
fn two_to(n: i64) -> f64 {
    f64::from_bits(((n + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_16_bit_float_comes_back_from_its_value() {
        for bits in 0..=u16::MAX {
            let value = half_value(bits);
            let expected = match bits & 0x7fff {
                0..=0x7c00 => bits,
                _ => (bits & 0x8000) | 0x7e00,
            };
            // A NaN's sign is no part of its value.
            assert_eq!(half_bits(f64::from(value)) & 0x7fff, expected & 0x7fff);
            assert_eq!(value.is_nan(), bits & 0x7fff > 0x7c00);
            if !value.is_nan() {
                assert_eq!(half_bits(f64::from(value)), bits);
            }
        }
    }

    #[test]
    fn numbers_between_two_go_to_the_nearer_and_from_the_middle_to_the_even_one() {
        for bits in 0..0x7bff_u16 {
            let [below, above] = [bits, bits + 1].map(|bits| f64::from(half_value(bits)));
            let middle = 0.5 * (below + above);
            let even = bits + (bits & 1);
            assert_eq!(half_bits(middle), even);
            assert_eq!(half_bits(middle.next_down()), bits);
            assert_eq!(half_bits(middle.next_up()), bits + 1);
            assert_eq!(half_bits(-middle), even | 0x8000);
            let error = (middle - below).abs();
            assert!(error <= HALF_UNIT * middle.max(SMALLEST_NORMAL));
        }
    }

    #[test]
    fn what_is_too_large_is_infinite_and_what_is_too_small_is_zero() {
        assert_eq!(half_bits(65_519.999), 0x7bff);
        assert_eq!(half_bits(65_520.0), 0x7c00);
        assert_eq!(half_bits(-1e300), 0xfc00);
        assert_eq!(half_bits(f64::INFINITY), 0x7c00);
        assert_eq!(half_bits(0.5_f64.powi(25)), 0);
        assert_eq!(half_bits(0.5_f64.powi(25).next_up()), 1);
        assert_eq!(half_bits(-0.0), 0x8000);
        assert_eq!(half_bits(f64::MIN_POSITIVE / 4.0), 0);
    }
}
