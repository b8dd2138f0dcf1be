//! A schedule as the shader sees it, and how far the device's learning rate may be from it.

use crate::contract::Param;
use crate::number::UNIT;
use crate::schedule::{Schedule, round};

/// The number of the schedule in the shader, and its params.
pub(in crate::op) fn schedule(schedule: &Schedule) -> (u32, [(&'static str, Param); 10]) {
    let mut numbers = [
        ("initial", Param::F32(0.0)),
        ("rate", Param::F32(0.0)),
        ("end", Param::F32(0.0)),
        ("power", Param::F32(1.0)),
        ("top", Param::F32(0.0)),
        ("decay_steps", Param::U32(1)),
        ("warmup_steps", Param::U32(0)),
        ("staircase", Param::U32(0)),
        ("start", Param::F32(0.0)),
        ("climb", Param::F32(0.0)),
    ];
    if let Schedule::Warmup {
        initial,
        steps,
        then,
    } = schedule
    {
        let (number, mut numbers) = self::schedule(then);
        for (name, value) in &mut numbers {
            match *name {
                "warmup_steps" => *value = (*steps).into(),
                "start" => *value = (*initial).into(),
                "climb" => *value = (then.value::<f32>(0) - initial).into(),
                _ => {}
            }
        }
        return (number, numbers);
    }
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
            cycle,
        } => {
            set("staircase", u32::from(cycle).into());
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
            set("top", warmup_target.unwrap_or(initial).into());
            set("decay_steps", decay_steps.into());
            set("end", alpha.into());
            if let Some(target) = warmup_target {
                set("warmup_steps", warmup_steps.into());
                set("start", initial.into());
                set("climb", (target - initial).into());
            }
            4
        }
        Schedule::CosineDecayRestarts {
            initial,
            first_decay_steps,
            t_mul,
            m_mul,
            alpha,
        } => {
            set("top", initial.into());
            set("decay_steps", first_decay_steps.into());
            set("end", alpha.into());
            set("power", t_mul.into());
            set("rate", Param::F32(f64::from(m_mul).log2() as f32));
            5
        }
        Schedule::CosineAnnealing {
            initial,
            steps,
            minimum,
        } => {
            set("initial", initial.into());
            set("decay_steps", steps.into());
            set("end", minimum.into());
            6
        }
        Schedule::OneCycle { linear, .. } => {
            let [first, top, last, peak, end] = schedule.cycle();
            set("initial", first.into());
            set("top", top.into());
            set("end", last.into());
            set("power", peak.into());
            set("rate", end.into());
            set("staircase", u32::from(linear).into());
            7
        }
        Schedule::PiecewiseConstant { ref boundaries, .. } => {
            set("decay_steps", boundaries.len().into());
            8
        }
        Schedule::Table(ref values) => {
            set("decay_steps", values.len().into());
            9
        }
        // Above.
        Schedule::Warmup { .. } => 0,
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
            cycle,
        } => {
            let decay_steps = match cycle {
                true => decay_steps.saturating_mul(step.div_ceil(decay_steps).max(1)),
                false => decay_steps,
            };
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
        Schedule::CosineDecayRestarts {
            initial,
            first_decay_steps,
            t_mul,
            m_mul,
            ..
        } => {
            let (number, done, length): (u32, f64, f64) = round(step, first_decay_steps, t_mul);
            // The sum of the lengths before is off by a unit of each, by which a step may be in the next decay.
            let off = if t_mul.fract() == 0.0 {
                0.0
            } else {
                2.0 * f64::from(number) * f64::from(step)
            };
            if done < off * UNIT || length - done < off * UNIT {
                return f64::from(initial) / UNIT;
            }
            let height = f64::from(initial) * f64::from(m_mul).powi(number as i32);
            let exponent = f64::from(number) * f64::from(m_mul).log2().abs();
            let angle = 3.15 * off / length * height;
            (40.0 + 12.0 * exponent) * value + angle
        }
        Schedule::CosineAnnealing {
            initial, minimum, ..
        } => {
            let (initial, minimum) = (f64::from(initial), f64::from(minimum));
            35.0 * (value - minimum).abs() + initial.max(minimum) * 2.0 + value
        }
        // Shares of differences of a few units, each sum positive.
        Schedule::OneCycle { top, .. } => {
            let [.., peak, end] = schedule.cycle().map(f64::from);
            let stretch = 1.0 + end / peak.min(end - peak);
            (20.0 + 20.0 * stretch) * f64::from(top)
        }
        Schedule::PiecewiseConstant { .. } | Schedule::Table(_) => 0.0,
        Schedule::Warmup {
            initial,
            steps,
            ref then,
        } => {
            if step >= steps {
                return error(then, step - steps);
            }
            let climb = (then.value::<f64>(0) - f64::from(initial)).abs();
            let climbed = climb * f64::from(step) / f64::from(steps);
            error(then, 0) + climbed * 9.0 + value
        }
    }
}
