//! Formulas on the two float types, and their special functions: at f32 in steps that vectorise, at f64 the platform's.

use super::operations::Number;

macro_rules! float {
    ($float:ident) => {
        type Truth = bool;

        #[inline(always)]
        fn constant(value: f64) -> Self {
            value as $float
        }

        #[inline(always)]
        fn given(value: f32) -> Self {
            $float::from(value)
        }

        #[inline(always)]
        fn is_less(self, other: Self) -> bool {
            self < other
        }

        #[inline(always)]
        fn choose(holds: bool, yes: Self, no: Self) -> Self {
            if holds { yes } else { no }
        }

        #[inline(always)]
        fn keep_nan(self, result: Self) -> Self {
            if self.is_nan() { self } else { result }
        }

        #[inline(always)]
        fn larger(self, other: Self) -> Self {
            if self > other || self.is_nan() { self } else { other }
        }

        #[inline(always)]
        fn smaller(self, other: Self) -> Self {
            if self < other || self.is_nan() { self } else { other }
        }

        #[inline(always)]
        fn sign(self) -> Self {
            // Zero, or NaN, as it is.
            if self > 0.0 { 1.0 } else if self < 0.0 { -1.0 } else { self }
        }

        #[inline(always)]
        fn to_the(self, exponent: f64) -> Self {
            if exponent == 0.5 {
                return self.sqrt();
            }
            self.powf(exponent as $float)
        }

        float!(
            $float: root = sqrt, magnitude = abs, logarithm = ln, logarithm_of_one_plus = ln_1p, sine = sin,
            cosine = cos, whole_below = floor, whole_above = ceil, nearest_whole = round_ties_even
        );
    };
    ($float:ident: $($name:ident = $own:ident),*) => {
        $(#[inline(always)]
        fn $name(self) -> Self {
            $float::$own(self)
        })*
    };
}

impl Number for f64 {
    float!(f64);
    float!(f64: tangent = tanh, power_of_e = exp, power_of_e_minus_one = exp_m1, log_of_one_plus = ln_1p);

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
}

/// A polynomial in `$x`, from the coefficient of the highest power.
macro_rules! series {
    ($x:expr; $first:expr $(, $next:expr)*) => {{
        let sum = $first;
        $(let sum = sum * $x + $next;)*
        sum
    }};
}

impl Number for f32 {
    float!(f32);

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
        let series = series!(r; 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5);
        let power = 1.0 + (r + series * (r * r));
        let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
        let half = n >> 1;
        let two_to = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
        power * two_to(half) * two_to(n - half)
    }

    /// Below ½ the series up to x⁸/8!, which leaves 1e-8; from there the difference.
    #[inline(always)]
    fn power_of_e_minus_one(self) -> Self {
        let series = series!(self;
            1.0 / 40_320.0, 1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5
        );
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
        let series = series!(q;
            1.0 / 75_600.0, 1.0 / 9360.0, 1.0 / 1320.0, 1.0 / 216.0, 1.0 / 42.0, 1.0 / 10.0,
            1.0 / 3.0
        );
        std::f32::consts::FRAC_2_SQRT_PI * (self + self * (q * series))
    }

    /// e^(−x²)·t·P(t) with t = 1/(1 + 0.35·x): P is the polynomial of the least largest relative error, 1.1e-8, for x up to
    /// 10.2, where erfc leaves the range of f32.
    #[inline(always)]
    fn complement_of_erf(self) -> Self {
        let t = 1.0 / (1.0 + 0.35 * self);
        let p = series!(t;
            0.036_998_796, -0.151_487_26, 0.164_410_28, -0.005_612_622_3, 0.069_223_31,
            0.155_261_04, 0.148_121_38, 0.188_531_74, 0.197_066_02, 0.197_487_32
        );
        t * p * (-self * self).power_of_e()
    }

    /// Through atanh: 2·(s + s³/3 + s⁵/5 …) with s = x/(2 + x), at most a third, so that the next term is below 1e-8.
    #[inline(always)]
    fn log_of_one_plus(self) -> Self {
        let s = self / (2.0 + self);
        let q = s * s;
        let series = series!(q;
            1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0
        );
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
}
