//! The two float types that the CPU session computes in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::AddAssign;

use num_traits::Float;

use super::Product;

/// Half the distance between 1 and the next f32: the rounding error of one operation.
pub const UNIT: f64 = 1.0 / (1u64 << 24) as f64;

/// `f32` or `f64`: what an op's CPU form is generic over.
pub trait Real: Float + AddAssign + Sum + Default + Debug + Send + Sync + 'static {
    /// Whether this is the type of the reference, which runs as it is written: on one thread, without vectors.
    const REFERENCE: bool;

    /// Rounds a double to this type.
    fn of(value: f64) -> Self;

    /// This number as a double.
    fn double(self) -> f64;

    /// Calls `body`, compiled for the widest vectors of the processor at hand as far as it is inlined: AVX-512, AVX2,
    /// what the target has at least. At f64 a plain call.
    fn vectorized<R>(body: impl FnOnce() -> R) -> R;

    /// This number, or 0 where it is below the least normal one, as GPUs have it. For states that fade, such as those of a
    /// unit that has died: they would stay at the least numbers there are for ever, on which processors take many times as
    /// long.
    #[inline(always)]
    fn flushed(self) -> Self {
        if self.abs() < Self::min_positive_value() {
            Self::zero()
        } else {
            self
        }
    }

    /// This slope, or 0 at f32 where it is below 2⁻¹⁰⁰, far below what any parameter keeps of it. What it is multiplied with on
    /// its way back would take it among the numbers below the least normal one, on which processors take many times as long.
    #[inline(always)]
    fn faded(self) -> Self {
        if !Self::REFERENCE && self.abs() < Self::of(7.888_609_052_210_118e-31) {
            Self::zero()
        } else {
            self
        }
    }

    /// Σ values: at f32 in sixteen chains that run side by side, at f64 one after the other.
    fn total(values: &[Self]) -> Self;

    /// C = op(A)·op(B), all row-major. `finish` gets the number of the first of some rows of C and these rows once they
    /// are done and still in the cache, on whichever thread: a bias, an activation.
    fn product(
        product: &Product,
        a: &[Self],
        b: &[Self],
        c: &mut [Self],
        finish: &(impl Fn(usize, &mut [Self]) + Sync),
    );

    /// tanh x in steps that vectorise in a loop: at f32 within 3 units in the last place, near 0 too.
    fn tangent(self) -> Self;

    /// e^x in steps that vectorise in a loop: at f32 within 1.1 units in the last place where e^x is a normal number,
    /// denormals and ends as IEEE has them. At f64 the platform's.
    fn power_of_e(self) -> Self;

    /// e^x − 1 in steps that vectorise in a loop: at f32 within 4 units in the last place, near 0 too. At f64 the
    /// platform's.
    fn power_of_e_minus_one(self) -> Self;

    /// erf x = 2/√π·∫₀ˣ e^(−t²) dt: at f32 within 4 units in the last place, near 0 too.
    fn error_function(self) -> Self;

    /// erfc x = 1 − erf x for x ≥ 0, in steps that vectorise in a loop, accurate where it is small: at f32 within 8 + 3x²
    /// units in the last place, because x² is rounded.
    fn complement_of_erf(self) -> Self;

    /// ln(1 + x) for 0 ≤ x ≤ 1 in steps that vectorise in a loop: at f32 within 4 units in the last place, near 0 too. At
    /// f64 the platform's.
    fn log_of_one_plus(self) -> Self;
}

impl Real for f64 {
    const REFERENCE: bool = true;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn double(self) -> f64 {
        self
    }

    #[inline(always)]
    fn vectorized<R>(body: impl FnOnce() -> R) -> R {
        body()
    }

    #[inline(always)]
    fn total(values: &[f64]) -> f64 {
        values.iter().sum()
    }

    /// The reference: plain loops.
    fn product(
        product: &Product,
        a: &[f64],
        b: &[f64],
        c: &mut [f64],
        finish: &(impl Fn(usize, &mut [f64]) + Sync),
    ) {
        product.plain(a, b, c);
        finish(0, c);
    }

    #[inline(always)]
    fn tangent(self) -> Self {
        self.tanh()
    }

    #[inline(always)]
    fn power_of_e(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn power_of_e_minus_one(self) -> Self {
        self.exp_m1()
    }

    /// Below 2 the series 2/√π·e^(−x²)·Σ 2ⁿ·x^(2n+1)/(1·3·5 … (2n+1)), all of whose terms have one sign.
    fn error_function(self) -> Self {
        let x = self.abs();
        if x >= 2.0 {
            return (1.0 - x.complement_of_erf()).copysign(self);
        }
        let (mut term, mut sum) = (self, self);
        // At 2 the 60th term is below 1e-20.
        for n in 1..60 {
            term = term * 2.0 * self * self / f64::from(2 * n + 1);
            sum += term;
        }
        std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
    }

    /// From 2 the continued fraction e^(−x²)/√π·1/(x + ½/(x + 1/(x + 1½/(x + …)))); a hundred levels leave 1e-17 at 2.
    fn complement_of_erf(self) -> Self {
        if self < 2.0 {
            return 1.0 - self.error_function();
        }
        if self > 30.0 {
            return 0.0;
        }
        let mut below = self;
        for level in (1..=100).rev() {
            below = self + 0.5 * f64::from(level) / below;
        }
        0.5 * std::f64::consts::FRAC_2_SQRT_PI * (-self * self).exp() / below
    }

    #[inline(always)]
    fn log_of_one_plus(self) -> Self {
        self.ln_1p()
    }
}

impl Real for f32 {
    const REFERENCE: bool = false;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn double(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn vectorized<R>(body: impl FnOnce() -> R) -> R {
        pulp::Arch::new().dispatch(body)
    }

    #[inline(always)]
    fn total(values: &[f32]) -> f32 {
        let (chunks, rest) = values.as_chunks::<16>();
        let mut sums = [0.0; 16];
        for chunk in chunks {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum += value;
            }
        }
        for (sum, value) in sums.iter_mut().zip(rest) {
            *sum += value;
        }
        let mut half = 8;
        while half > 0 {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        sums[0]
    }

    fn product(
        product: &Product,
        a: &[f32],
        b: &[f32],
        c: &mut [f32],
        finish: &(impl Fn(usize, &mut [f32]) + Sync),
    ) {
        product.fast(a, b, c, finish);
    }

    /// Below 1 Lambert's continued fraction x/(1 + x²/(3 + x²/(5 + …))) up to 11, whose relative error is under 1e-9, from
    /// there (1 − e^−2x)/(1 + e^−2x).
    #[inline(always)]
    fn tangent(self) -> Self {
        let x = self.abs();
        let square = x * x;
        let above = (21.0 * square + 1260.0) * square + 10_395.0;
        let below = ((square + 210.0) * square + 4725.0) * square + 10_395.0;
        let power = (-2.0 * x).power_of_e();
        let far = (1.0 - power) / (1.0 + power);
        let value = if x < 1.0 { x * above / below } else { far };
        value.copysign(self)
    }

    /// e^x = 2^n·e^r with n = x/ln 2 rounded, so that |r| ≤ 0.347, where the series up to r⁷/7! leaves 5e-9. ln 2 is
    /// taken off in two parts, the first of 9 bits, so that n times it is exact. 2^n comes in two factors, because n
    /// goes from −150 (0 after rounding) to 128 (infinity), beyond the exponents of one number.
    #[inline(always)]
    fn power_of_e(self) -> Self {
        const HIGH: f32 = 355.0 / 512.0;
        const LOW: f32 = (std::f64::consts::LN_2 - 355.0 / 512.0) as f32;
        // Adding and taking off 1.5·2²³ rounds to an integer, which the sum has in its low bits.
        const ROUND: f32 = 12_582_912.0;
        // Comparisons, not `clamp`, so that a NaN stays one.
        let x = if self > 89.0 { 89.0 } else { self };
        let x = if x < -104.0 { -104.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * HIGH) - n * LOW;
        let series = 1.0 / 5040.0;
        let series = series * r + 1.0 / 720.0;
        let series = series * r + 1.0 / 120.0;
        let series = series * r + 1.0 / 24.0;
        let series = series * r + 1.0 / 6.0;
        let series = series * r + 0.5;
        let power = 1.0 + (r + series * (r * r));
        let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        let half = n >> 1;
        let two_to = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
        power * two_to(half) * two_to(n - half)
    }

    /// Below ½ the series up to x⁸/8!, which leaves 1e-8; from there the difference.
    #[inline(always)]
    fn power_of_e_minus_one(self) -> Self {
        let series = 1.0 / 40_320.0;
        let series = series * self + 1.0 / 5040.0;
        let series = series * self + 1.0 / 720.0;
        let series = series * self + 1.0 / 120.0;
        let series = series * self + 1.0 / 24.0;
        let series = series * self + 1.0 / 6.0;
        let series = series * self + 0.5;
        let near = self + series * (self * self);
        let far = self.power_of_e() - 1.0;
        if self.abs() < 0.5 { near } else { far }
    }

    /// Below ¾ the series x·Σ (−x²)ⁿ/(n!·(2n + 1)) up to n = 7, which leaves 2e-8; from there 1 − erfc x.
    fn error_function(self) -> Self {
        let x = self.abs();
        if x >= 0.75 {
            return (1.0 - x.complement_of_erf()).copysign(self);
        }
        let q = -x * x;
        let series = 1.0 / 75_600.0;
        let series = series * q + 1.0 / 9360.0;
        let series = series * q + 1.0 / 1320.0;
        let series = series * q + 1.0 / 216.0;
        let series = series * q + 1.0 / 42.0;
        let series = series * q + 1.0 / 10.0;
        let series = series * q + 1.0 / 3.0;
        std::f32::consts::FRAC_2_SQRT_PI * (self + self * (q * series))
    }

    /// e^(−x²)·t·P(t) with t = 1/(1 + 0.35·x): P is the polynomial of the least largest relative error, 1.1e-8, for x up to
    /// 10.2, where erfc leaves the range of f32.
    #[inline(always)]
    fn complement_of_erf(self) -> Self {
        let t = 1.0 / (1.0 + 0.35 * self);
        let p = 0.036_998_796;
        let p = p * t - 0.151_487_26;
        let p = p * t + 0.164_410_28;
        let p = p * t - 0.005_612_622_3;
        let p = p * t + 0.069_223_31;
        let p = p * t + 0.155_261_04;
        let p = p * t + 0.148_121_38;
        let p = p * t + 0.188_531_74;
        let p = p * t + 0.197_066_02;
        let p = p * t + 0.197_487_32;
        t * p * (-self * self).power_of_e()
    }

    /// Through atanh: 2·(s + s³/3 + s⁵/5 …) with s = x/(2 + x), at most a third, so that the next term is below 1e-8.
    #[inline(always)]
    fn log_of_one_plus(self) -> Self {
        let s = self / (2.0 + self);
        let q = s * s;
        let series = 1.0 / 15.0;
        let series = series * q + 1.0 / 13.0;
        let series = series * q + 1.0 / 11.0;
        let series = series * q + 1.0 / 9.0;
        let series = series * q + 1.0 / 7.0;
        let series = series * q + 1.0 / 5.0;
        let series = series * q + 1.0 / 3.0;
        2.0 * (s + s * (q * series))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error of `f` over a sample of all floats of both signs with magnitudes between these, in units in the
    /// last place of the exact result.
    fn error(from: f32, to: f32, f: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let mut worst = 0.0_f64;
        for bits in (from.to_bits()..=to.to_bits()).step_by(997) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let wanted = exact(f64::from(x));
                let unit = (wanted as f32).abs().next_up() - (wanted as f32).abs();
                worst = worst.max((f64::from(f(x)) - wanted).abs() / f64::from(unit));
            }
        }
        worst
    }

    #[test]
    fn a_power_of_e_is_within_its_stated_error() {
        let worst = error(1e-30, 87.0, f32::power_of_e, f64::exp);
        assert!(worst < 1.1, "{worst}");
        // Denormal results.
        for x in [-87.5_f32, -90.0, -100.0, -103.0, -103.97] {
            let off = f64::from(x.power_of_e()) - f64::from(x).exp();
            assert!(
                off.abs() <= 1.5 * f64::from(f32::from_bits(1)),
                "{x}: {off}"
            );
        }
    }

    #[test]
    fn a_logarithm_of_one_plus_is_within_its_stated_error() {
        // The other side of zero is no part of it.
        let own = |x: f32| x.abs().log_of_one_plus();
        let worst = error(0.0, 1.0, own, |x| x.abs().ln_1p());
        assert!(worst < 4.0, "{worst} units in the last place");
        assert!(f32::NAN.log_of_one_plus().is_nan());
    }

    #[test]
    fn a_power_of_e_minus_one_is_within_its_stated_error() {
        let worst = error(1e-30, 87.0, f32::power_of_e_minus_one, f64::exp_m1);
        assert!(worst < 4.0, "{worst} units in the last place");
        assert!(f32::NAN.power_of_e_minus_one().is_nan());
    }

    #[test]
    fn an_error_function_is_within_its_stated_error() {
        // Numbers of Abramowitz and Stegun, table 7.1.
        let table = [
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_878),
            (1.0, 0.842_700_793),
            (1.9, 0.992_790_429),
            (2.1, 0.997_020_533),
            (3.0, 0.999_977_910),
        ];
        for (x, erf) in table {
            assert!((f64::error_function(x) - erf).abs() < 1e-9, "erf {x}");
            assert_eq!(f64::error_function(-x), -f64::error_function(x));
        }
        assert_eq!(f64::error_function(f64::INFINITY), 1.0);
        // Both forms of the reference meet.
        let step = f64::complement_of_erf(2.0 - 1e-12) - f64::complement_of_erf(2.0);
        assert!((step - 2e-14).abs() < 4e-14, "{step}");
        let worst = error(1e-30, 6.0, f32::error_function, f64::error_function);
        assert!(worst < 4.0, "{worst} units in the last place");
        assert!(f32::NAN.error_function().is_nan());
        assert_eq!(f32::NEG_INFINITY.error_function(), -1.0);
    }

    #[test]
    fn a_complement_of_erf_is_within_its_stated_error() {
        // erfc 5, of the same table's digits.
        let five = f64::complement_of_erf(5.0) / 1.537_459_794_428e-12;
        assert!((five - 1.0).abs() < 1e-11, "{five}");
        for (to, units) in [(1.0, 11.0), (3.0, 35.0), (9.0, 251.0)] {
            let own = |x: f32| x.abs().complement_of_erf();
            let worst = error(1e-30, to, own, |x| x.abs().complement_of_erf());
            assert!(worst < units, "{worst} units in the last place up to {to}");
        }
        assert_eq!(f32::INFINITY.complement_of_erf(), 0.0);
        assert!(f32::NAN.complement_of_erf().is_nan());
    }

    #[test]
    fn powers_of_e_end_as_ieee_has_them() {
        assert_eq!(0.0_f32.power_of_e(), 1.0);
        assert_eq!((-104.5_f32).power_of_e(), 0.0);
        assert_eq!(f32::NEG_INFINITY.power_of_e(), 0.0);
        assert_eq!(89.0_f32.power_of_e(), f32::INFINITY);
        assert_eq!(f32::INFINITY.power_of_e(), f32::INFINITY);
        assert!(88.7_f32.power_of_e().is_finite());
        assert!(f32::NAN.power_of_e().is_nan());
    }

    #[test]
    fn a_hyperbolic_tangent_is_within_its_stated_error() {
        let worst = error(1e-30, 50.0, f32::tangent, f64::tanh);
        assert!(worst < 3.0, "{worst}");
        assert_eq!(f32::INFINITY.tangent(), 1.0);
        assert_eq!(f32::NEG_INFINITY.tangent(), -1.0);
        assert!(f32::NAN.tangent().is_nan());
    }

    #[test]
    fn a_total_takes_every_value_of_any_length_once() {
        for len in [0, 1, 2, 15, 16, 17, 33, 255, 1000] {
            let values: Vec<f32> = (1..=len).map(|i| i as f32).collect();
            assert_eq!(f32::total(&values), (len * (len + 1) / 2) as f32);
        }
    }
}
