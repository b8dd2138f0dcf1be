//! The ranges of a schedule's numbers.

use crate::{Error, Result};

use super::Schedule;

impl Schedule {
    /// Checks that every number is finite and in its range; the error names the field.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] with the field's name.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Schedule::Constant(rate) => at_least_zero("learning_rate", rate),
            Schedule::ExponentialDecay {
                initial,
                decay_steps,
                decay_rate,
                ..
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                above_zero("decay_rate", decay_rate)
            }
            Schedule::InverseTimeDecay {
                initial,
                decay_steps,
                decay_rate,
                ..
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                at_least_zero("decay_rate", decay_rate)
            }
            Schedule::PolynomialDecay {
                initial,
                decay_steps,
                end,
                power,
                ..
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                at_least_zero("end", end)?;
                above_zero("power", power)
            }
            Schedule::CosineDecay {
                initial,
                decay_steps,
                alpha,
                warmup_target,
                ..
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("decay_steps", decay_steps)?;
                at_least_zero("warmup_target", warmup_target.unwrap_or(0.0))?;
                in_range((0.0..=1.0).contains(&alpha), "alpha", "in [0, 1]", alpha)
            }
            Schedule::CosineDecayRestarts {
                initial,
                first_decay_steps,
                t_mul,
                m_mul,
                alpha,
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("first_decay_steps", first_decay_steps)?;
                let fits = t_mul == 1.0 || (1.01..f32::INFINITY).contains(&t_mul);
                in_range(fits, "t_mul", "1, or at least 1.01 and finite", t_mul)?;
                above_zero("m_mul", m_mul)?;
                in_range((0.0..=1.0).contains(&alpha), "alpha", "in [0, 1]", alpha)
            }
            Schedule::CosineAnnealing {
                initial,
                steps,
                minimum,
            } => {
                at_least_zero("initial", initial)?;
                in_range(
                    (1..=1 << 30).contains(&steps),
                    "steps",
                    "between 1 and 2^30",
                    steps,
                )?;
                at_least_zero("minimum", minimum)
            }
            Schedule::OneCycle {
                top,
                steps,
                share,
                div_factor,
                final_div_factor,
                ..
            } => {
                at_least_zero("top", top)?;
                in_range(share > 0.0 && share < 1.0, "share", "in (0, 1)", share)?;
                let [.., peak, end] = self.cycle();
                let fits = peak > 0.0 && end > peak;
                in_range(
                    fits,
                    "steps",
                    "more than 1 on either side of the top",
                    steps,
                )?;
                at_least_one_of("div_factor", div_factor)?;
                at_least_one_of("final_div_factor", final_div_factor)
            }
            Schedule::PiecewiseConstant {
                ref boundaries,
                ref values,
            } => {
                let ascending = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
                let last = boundaries.last().copied().unwrap_or(0);
                let fits = ascending && last < 1 << 24 && boundaries.len() <= 1000;
                let range = "at most 1000 ascending steps below 2^24";
                in_range(fits, "boundaries", range, format!("{boundaries:?}"))?;
                let fits = values.len() == boundaries.len() + 1;
                let range = format!("{} values", boundaries.len() + 1);
                in_range(fits, "values", &range, values.len())?;
                values
                    .iter()
                    .try_for_each(|&value| at_least_zero("values", value))
            }
            Schedule::Table(ref values) => {
                in_range(!values.is_empty(), "table", "at least one value", "none")?;
                values
                    .iter()
                    .try_for_each(|&value| at_least_zero("table", value))
            }
            Schedule::Warmup {
                initial,
                steps,
                ref then,
            } => {
                at_least_zero("initial", initial)?;
                at_least_one("steps", steps)?;
                in_range(!then.warms_up(), "then", "no warm-up itself", "one")?;
                then.validate()
            }
        }
    }
}

// A NaN is in no range, so it is refused by the same comparisons.

fn at_least_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = (0.0..f32::INFINITY).contains(&value);
    in_range(fits, name, "at least 0 and finite", value)
}

fn above_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = value > 0.0 && value < f32::INFINITY;
    in_range(fits, name, "above 0 and finite", value)
}

fn at_least_one_of(name: &'static str, value: f32) -> Result<()> {
    let fits = (1.0..f32::INFINITY).contains(&value);
    in_range(fits, name, "at least 1 and finite", value)
}

fn at_least_one(name: &'static str, value: u32) -> Result<()> {
    in_range(value >= 1, name, "at least 1", value)
}

fn in_range(
    fits: bool,
    name: &'static str,
    range: &str,
    value: impl std::fmt::Display,
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::argument(
        name,
        format!("must be {range}, got {value}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_their_range_are_refused_by_name() {
        let exponential = |initial, decay_steps, decay_rate| {
            Schedule::exponential_decay(initial, decay_steps, decay_rate)
        };
        let polynomial = |end, power| Schedule::PolynomialDecay {
            initial: 0.1,
            decay_steps: 10,
            end,
            power,
            cycle: false,
        };
        let restarts = |t_mul, m_mul| Schedule::CosineDecayRestarts {
            initial: 0.1,
            first_decay_steps: 10,
            t_mul,
            m_mul,
            alpha: 0.0,
        };
        let annealing = |steps, minimum| Schedule::CosineAnnealing {
            initial: 0.1,
            steps,
            minimum,
        };
        let one_cycle = |share, div_factor, final_div_factor| Schedule::OneCycle {
            top: 0.1,
            steps: 100,
            share,
            div_factor,
            final_div_factor,
            linear: true,
        };
        let piecewise = |boundaries: &[u32], values: &[f32]| Schedule::PiecewiseConstant {
            boundaries: boundaries.into(),
            values: values.into(),
        };
        let cosine = |alpha, warmup_target| Schedule::CosineDecay {
            initial: 0.1,
            decay_steps: 10,
            alpha,
            warmup_target,
            warmup_steps: 3,
        };
        let refused = [
            (Schedule::Constant(f32::NAN), "learning_rate"),
            (Schedule::Constant(-0.1), "learning_rate"),
            (Schedule::Constant(f32::INFINITY), "learning_rate"),
            (exponential(-1.0, 10, 0.9), "initial"),
            (exponential(0.1, 0, 0.9), "decay_steps"),
            (exponential(0.1, 10, 0.0), "decay_rate"),
            (exponential(0.1, 10, f32::NAN), "decay_rate"),
            (
                Schedule::inverse_time_decay(0.1, 10, f32::NEG_INFINITY),
                "decay_rate",
            ),
            (Schedule::polynomial_decay(0.1, 0), "decay_steps"),
            (polynomial(-1e-4, 1.0), "end"),
            (polynomial(0.0, 0.0), "power"),
            (Schedule::cosine_decay(f32::NAN, 10), "initial"),
            (cosine(1.5, None), "alpha"),
            (cosine(f32::NAN, None), "alpha"),
            (cosine(0.0, Some(f32::INFINITY)), "warmup_target"),
            (Schedule::cosine_decay_restarts(-0.1, 10), "initial"),
            (Schedule::cosine_decay_restarts(0.1, 0), "first_decay_steps"),
            (restarts(0.5, 1.0), "t_mul"),
            (restarts(f32::NAN, 1.0), "t_mul"),
            (restarts(2.0, 0.0), "m_mul"),
            (annealing(0, 0.0), "steps"),
            (annealing(10, -1.0), "minimum"),
            (Schedule::one_cycle(-0.1, 100), "top"),
            (Schedule::one_cycle(0.1, 3), "steps"),
            (one_cycle(1.0, 25.0, 1e4), "share"),
            (one_cycle(0.3, 0.5, 1e4), "div_factor"),
            (one_cycle(0.3, 25.0, f32::INFINITY), "final_div_factor"),
            (piecewise(&[3, 3], &[0.1, 0.2, 0.3]), "boundaries"),
            (piecewise(&[1 << 24], &[0.1, 0.2]), "boundaries"),
            (piecewise(&[3], &[0.1]), "values"),
            (piecewise(&[3], &[0.1, -0.2]), "values"),
            (Schedule::milestones(0.1, &[0], 0.5), "boundaries"),
            (Schedule::Table(Vec::new()), "table"),
            (Schedule::Table(vec![f32::NAN]), "table"),
            (Schedule::from(0.1).warmup(-0.1, 5), "initial"),
            (Schedule::from(0.1).warmup(0.0, 0), "steps"),
            (Schedule::from(0.1).warmup(0.0, 5).warmup(0.0, 5), "then"),
            (cosine(0.0, Some(0.1)).warmup(0.0, 5), "then"),
            (Schedule::from(-0.1).warmup(0.0, 5), "learning_rate"),
        ];
        for (schedule, field) in refused {
            match schedule.validate() {
                Err(Error::Argument { name, .. }) => assert_eq!(name, field, "{schedule:?}"),
                other => panic!("{schedule:?}: {other:?}"),
            }
        }
    }
}
