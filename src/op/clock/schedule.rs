//! A schedule as the shader sees it, and how far the device's learning rate may be from it.

use crate::op::Param;
use crate::optim::Schedule;

/// The number of the schedule in the shader, and its params.
pub(in crate::op) fn schedule(schedule: &Schedule) -> (u32, [(&'static str, Param); 8]) {
    let mut numbers = [
        ("initial", Param::F32(0.0)),
        ("rate", Param::F32(0.0)),
        ("end", Param::F32(0.0)),
        ("power", Param::F32(1.0)),
        ("top", Param::F32(0.0)),
        ("decay_steps", Param::U32(1)),
        ("warmup_steps", Param::U32(0)),
        ("staircase", Param::U32(0)),
    ];
    let mut set = |name, value: Param| {
        if let Some(number) = numbers.iter_mut().find(|(known, _)| *known == name) {
            number.1 = value;
        }
    };
    let number = match *schedule {
        Schedule::Constant(rate) => {
            set("initial", rate.into());
            0
        }
        Schedule::ExponentialDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase,
        } => {
            set("initial", initial.into());
            // Here, in f64: the device's logarithm of a rate near 1 would be off by per cents.
            set("rate", Param::F32(f64::from(decay_rate).log2() as f32));
            set("decay_steps", decay_steps.into());
            set("staircase", u32::from(staircase).into());
            1
        }
        Schedule::InverseTimeDecay {
            initial,
            decay_steps,
            decay_rate,
            staircase,
        } => {
            set("initial", initial.into());
            set("rate", decay_rate.into());
            set("decay_steps", decay_steps.into());
            set("staircase", u32::from(staircase).into());
            2
        }
        Schedule::PolynomialDecay {
            initial,
            decay_steps,
            end,
            power,
        } => {
            set("initial", initial.into());
            set("decay_steps", decay_steps.into());
            set("end", end.into());
            set("power", power.into());
            3
        }
        Schedule::CosineDecay {
            initial,
            decay_steps,
            alpha,
            warmup_target,
            warmup_steps,
        } => {
            set("initial", initial.into());
            set("top", warmup_target.unwrap_or(initial).into());
            set("decay_steps", decay_steps.into());
            set("end", alpha.into());
            if warmup_target.is_some() {
                set("warmup_steps", warmup_steps.into());
            }
            4
        }
    };
    (number, numbers)
}

/// The rounding error of the device's learning rate, in units of 2⁻²⁴.
///
/// A quotient of two counts is off by 2 units for the conversions (beyond 2²⁴) and 5 for the division: 7.
pub(in crate::op) fn error(schedule: &Schedule, step: u32) -> f64 {
    let value: f64 = schedule.value(step);
    match *schedule {
        Schedule::Constant(_) => 0.0,
        Schedule::ExponentialDecay {
            decay_steps,
            decay_rate,
            ..
        } => {
            // 2^x, where x has the errors of a quotient, a rounded logarithm and a product, and exp2 3 + 2|x| ulp.
            let x = f64::from(decay_rate).log2() * f64::from(step) / f64::from(decay_steps);
            value * (7.0 + 4.0 * x.abs() + 9.0 * x.abs() * std::f64::consts::LN_2)
        }
        // A quotient, a product, a sum of positive terms, a division.
        Schedule::InverseTimeDecay { .. } => 14.0 * value,
        Schedule::PolynomialDecay {
            initial,
            decay_steps,
            end,
            power,
        } => {
            // e^y with y = −power·ln(1 + s/left): the quotient, 6 units of the series or 11 of the builtin, a product;
            // exp has 3 + 2|y| ulp.
            let left = f64::from(decay_steps.saturating_sub(step)) / f64::from(decay_steps);
            let y = if power == 1.0 || left == 0.0 {
                0.0
            } else {
                f64::from(power) * left.ln().abs()
            };
            let (initial, end) = (f64::from(initial), f64::from(end));
            let fall = (initial - end).abs() * left.powf(f64::from(power));
            fall * (9.0 + 4.0 * y + 20.0 * y) + value
        }
        Schedule::CosineDecay {
            initial,
            warmup_target: Some(top),
            warmup_steps,
            ..
        } if step < warmup_steps => {
            let climbed = f64::from(step) / f64::from(warmup_steps);
            (f64::from(top) - f64::from(initial)).abs() * climbed * 9.0 + value
        }
        // An angle of 9 units, a sine that adds 6, squared: 31; then four roundings of positive numbers.
        Schedule::CosineDecay { .. } => 35.0 * value,
    }
}
