//! Numbers that are known while a formula runs, so that the formula may branch on them.

use super::{Number, Tracked, UNIT};

/// A number that is known while a formula runs, so that the formula may branch on it: no value of a graph.
pub trait Known: ScheduleNumber {
    /// The number itself, to decide by.
    fn decides(self) -> f64;
}

/// What schedules need of a known number besides.
pub trait ScheduleNumber: Number {
    /// x^exponent for x ≥ 0.
    fn power(self, exponent: Self) -> Self;

    /// x^exponent by products.
    fn whole_power(self, exponent: i32) -> Self;

    /// The sine of x for x in [0, π/2], accurate to its first step: on devices the series of `schedule.wgsl`.
    fn sine_of_quarter(self) -> Self;
}

macro_rules! floats {
    ($($float:ident by $double:path;)*) => {$(
        impl Known for $float {
            #[inline(always)]
            fn decides(self) -> f64 {
                $double(self)
            }
        }

        impl ScheduleNumber for $float {
            #[inline(always)]
            fn power(self, exponent: Self) -> Self {
                self.powf(exponent)
            }

            #[inline(always)]
            fn whole_power(self, exponent: i32) -> Self {
                self.powi(exponent)
            }

            #[inline(always)]
            fn sine_of_quarter(self) -> Self {
                self.sin()
            }
        }
    )*};
}
floats!(f32 by f64::from; f64 by std::convert::identity;);

impl Known for Tracked {
    fn decides(self) -> f64 {
        self.value
    }
}

impl ScheduleNumber for Tracked {
    /// 2^y with y = exponent·log2 x, of which the logarithm may be computed as ln(1 + …): 20 units of it, and 8 of 1 near 1.
    fn power(self, exponent: Self) -> Self {
        let value = self.value.powf(exponent.value);
        let (x, power) = (self.value.abs(), exponent.value.abs());
        if x == 0.0 {
            let error = self.error.powf(power);
            return Tracked { value, error };
        }
        let log = x.log2().abs();
        let log_error = UNIT * (8.0 + 20.0 * log) + 1.45 * self.error / x;
        let passed = 0.7 * (power * log_error + log * exponent.error);
        let own = UNIT * (6.0 + 5.0 * power * log);
        Self::rounded(value, value * (passed.min(700.0).exp_m1() + own), 1.0)
    }

    fn whole_power(self, exponent: i32) -> Self {
        let times = f64::from(exponent.unsigned_abs());
        let value = self.value.powi(exponent);
        let relative = times * (UNIT + self.error / self.value.abs());
        Self::rounded(value, 1.1 * relative * value.abs(), 1.0)
    }

    fn sine_of_quarter(self) -> Self {
        Self::rounded(self.value.sin(), self.error, 6.0)
    }
}
