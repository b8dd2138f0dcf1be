//! The rate of a step.

use crate::number::Real;

use super::Schedule;

impl Schedule {
    /// η for the update after `step` others.
    pub fn value<T: Real>(&self, step: u32) -> T {
        let float = |value: f32| T::of(f64::from(value));
        let count = |value: u32| T::of(f64::from(value));
        let progress = |decay_steps: u32, staircase: bool| {
            if staircase {
                count(step / decay_steps.max(1))
            } else {
                count(step) / count(decay_steps)
            }
        };
        match *self {
            Schedule::Constant(rate) => float(rate),
            Schedule::ExponentialDecay {
                initial,
                decay_steps,
                decay_rate,
                staircase,
            } => float(initial) * float(decay_rate).powf(progress(decay_steps, staircase)),
            Schedule::InverseTimeDecay {
                initial,
                decay_steps,
                decay_rate,
                staircase,
            } => {
                let growth = float(decay_rate) * progress(decay_steps, staircase);
                float(initial) / (T::one() + growth)
            }
            Schedule::PolynomialDecay {
                initial,
                decay_steps,
                end,
                power,
                cycle,
            } => {
                let whole = decay_steps.saturating_mul(match cycle {
                    true => step.div_ceil(decay_steps.max(1)).max(1),
                    false => 1,
                });
                let left = count(whole.saturating_sub(step)) / count(whole);
                (float(initial) - float(end)) * left.powf(float(power)) + float(end)
            }
            Schedule::CosineDecay {
                initial,
                decay_steps,
                alpha,
                warmup_target,
                warmup_steps,
            } => {
                let (top, warmup_steps) = match warmup_target {
                    Some(target) => (target, warmup_steps),
                    None => (initial, 0),
                };
                if step < warmup_steps {
                    let climbed = count(step) / count(warmup_steps);
                    return (float(top) - float(initial)) * climbed + float(initial);
                }
                let left = decay_steps - (step - warmup_steps).min(decay_steps);
                let fall = rise(count(left) / count(decay_steps));
                float(top) * ((T::one() - float(alpha)) * fall + float(alpha))
            }
            Schedule::CosineDecayRestarts {
                initial,
                first_decay_steps,
                t_mul,
                m_mul,
                alpha,
            } => {
                let (round, done, length) = round::<T>(step, first_decay_steps, t_mul);
                let height = float(m_mul).powi(i32::try_from(round).unwrap_or(i32::MAX));
                let fall = height * rise((length - done) / length);
                float(initial) * ((T::one() - float(alpha)) * fall + float(alpha))
            }
            Schedule::CosineAnnealing {
                initial,
                steps,
                minimum,
            } => {
                let left = steps.abs_diff(step % steps.saturating_mul(2).max(1));
                let fall = rise(count(left) / count(steps));
                (float(initial) - float(minimum)) * fall + float(minimum)
            }
            Schedule::OneCycle { linear, .. } => {
                let [first, top, last, peak, end] = self.cycle().map(float);
                let s = count(step);
                let (from, to, share) = if s <= peak {
                    (first, top, s / peak)
                } else {
                    (top, last, ((s - peak) / (end - peak)).min(T::one()))
                };
                let left = T::one() - share;
                to + (from - to) * if linear { left } else { rise(left) }
            }
            Schedule::PiecewiseConstant {
                ref boundaries,
                ref values,
            } => {
                let passed = boundaries.iter().filter(|&&boundary| step > boundary);
                float(values.get(passed.count()).copied().unwrap_or(0.0))
            }
            Schedule::Table(ref values) => {
                let value = values.get(step as usize).or(values.last());
                float(value.copied().unwrap_or(0.0))
            }
            Schedule::Warmup {
                initial,
                steps,
                ref then,
            } => {
                if step >= steps {
                    return then.value(step - steps);
                }
                let climb = float(then.value::<f32>(0) - initial);
                climb * (count(step) / count(steps)) + float(initial)
            }
        }
    }

    /// Of one cycle: η at first, at the top and at last, and the steps of the top and of the last, as the device has them.
    pub(crate) fn cycle(&self) -> [f32; 5] {
        let Schedule::OneCycle {
            top,
            steps,
            share,
            div_factor,
            final_div_factor,
            ..
        } = *self
        else {
            return [0.0, 0.0, 0.0, 1.0, 2.0];
        };
        let first = f64::from(top) / f64::from(div_factor);
        let last = first / f64::from(final_div_factor);
        let peak = decimal(share) * f64::from(steps) - 1.0;
        let end = f64::from(steps) - 1.0;
        [first as f32, top, last as f32, peak as f32, end as f32]
    }
}

/// ½(1 − cos(π·x)) for x in [0, 1], as sin²(½π·x), which is accurate to its first step.
fn rise<T: Real>(x: T) -> T {
    let sine = (T::of(std::f64::consts::FRAC_PI_2) * x).sin();
    sine * sine
}

/// Which of the decays a step is in, how far, and how long that decay is.
pub(crate) fn round<T: Real>(step: u32, first: u32, factor: f32) -> (u32, T, T) {
    let count = |value: u32| T::of(f64::from(value));
    if factor == 1.0 {
        let first = first.max(1);
        return (step / first, count(step % first), count(first));
    }
    let (mut round, mut done, mut length) = (0, count(step), count(first));
    while done >= length {
        done = done - length;
        length = length * T::of(f64::from(factor));
        round += 1;
    }
    (round, done, length)
}

/// The decimal number that a float stands for: 0.3 is not the f32 next to it.
fn decimal(value: f32) -> f64 {
    let exact = f64::from(value);
    let decimal = (exact * 1e7).round() / 1e7;
    if decimal as f32 == value {
        decimal
    } else {
        exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Keras 3.15.1 (TensorFlow 2.21, CPU, f32) at these steps.
    #[test]
    fn schedules_follow_keras() {
        let steps = [0, 1, 7, 12, 25, 29, 55, 120];
        let staircase = Schedule::InverseTimeDecay {
            initial: 0.1,
            decay_steps: 5,
            decay_rate: 0.5,
            staircase: true,
        };
        let square = Schedule::PolynomialDecay {
            initial: 0.1,
            decay_steps: 30,
            end: 0.01,
            power: 2.0,
            cycle: false,
        };
        let cosine = |initial, alpha, warmup_target, warmup_steps| Schedule::CosineDecay {
            initial,
            decay_steps: 50,
            alpha,
            warmup_target,
            warmup_steps,
        };
        #[rustfmt::skip]
        let cases = [
            (Schedule::exponential_decay(0.1, 7, 0.9),
             [0.1, 0.0985061228, 0.09, 0.0834754109, 0.0686404928, 0.0646298602, 0.043699529, 0.0164280384]),
            (Schedule::inverse_time_decay(0.1, 5, 0.5),
             [0.1, 0.0909090936, 0.0588235296, 0.0454545468, 0.0285714287, 0.0256410259, 0.0153846153, 0.0076923076]),
            (staircase,
             [0.1, 0.1, 0.0666666701, 0.05, 0.0285714287, 0.0285714287, 0.0153846153, 0.0076923076]),
            (square,
             [0.1, 0.094099991, 0.0628999993, 0.0424000024, 0.0125000001, 0.0100999996, 0.01, 0.01]),
            (Schedule::polynomial_decay(0.1, 30),
             [0.1, 0.0966700017, 0.0766900032, 0.0600400045, 0.0167500022, 0.0034300028, 0.0001, 0.0001]),
            (Schedule::cosine_decay(0.1, 50),
             [0.1, 0.0999013409, 0.0952413603, 0.086448431, 0.049999997, 0.0375655069, 0.0, 0.0]),
            (cosine(0.1, 0.1, None, 0),
             [0.1, 0.0999112054, 0.0957172214, 0.0878035947, 0.0549999959, 0.0438089519, 0.01, 0.01]),
            (cosine(0.0, 0.0, Some(0.1), 10),
             [0.0, 0.01, 0.07, 0.0996057391, 0.0793892666, 0.0684062242, 0.002447176, 0.0]),
        ];
        for (schedule, keras) in cases {
            schedule.validate().unwrap();
            for (step, keras) in steps.into_iter().zip(keras) {
                let (wide, narrow) = (
                    schedule.value::<f64>(step),
                    f64::from(schedule.value::<f32>(step)),
                );
                // f32 arithmetic on numbers up to 0.1, on both sides.
                assert!(
                    (wide - keras).abs() < 5e-8,
                    "{schedule:?}, {step}: {wide}, Keras {keras}"
                );
                assert!((narrow - keras).abs() < 5e-8, "{schedule:?}, {step}");
            }
        }
        assert_eq!(Schedule::from(0.3).value::<f32>(9), 0.3);
    }
}
