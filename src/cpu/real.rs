//! The two float types that the CPU session computes in.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::AddAssign;

use num_traits::Float;

use super::Product;

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
