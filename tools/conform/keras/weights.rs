//! Penalties on weights, and constraints that they are put under.

use kiln::nn::{Constraint, Regularizer};
use kiln::{Device, Tensor};

use crate::conform::Stop;
use crate::conform::case::Case;
use crate::conform::check::Check;
use crate::conform::compute::Work;
use crate::conform::settings::Settings;

/// x → value, dx.
pub fn regularizer(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    let mut float = |key: &str| settings.number(key, 0.01).map(|value| value as f32);
    let regularizer = match case.op.as_str() {
        "L1" => Regularizer::L1(float("l1")?),
        "L2" => Regularizer::L2(float("l2")?),
        "L1L2" => Regularizer::L1L2 {
            l1: float("l1")?,
            l2: float("l2")?,
        },
        "OrthogonalRegularizer" => Regularizer::Orthogonal {
            factor: float("factor")?,
            columns: settings.text("mode", "rows")? == "columns",
        },
        other => return Stop::unsupported(format!("op {other}")),
    };
    settings.finish()?;
    run(case, device, check, |work, x| {
        let value = regularizer.penalty(x);
        let dx = x.graph().gradients(&value, &[x]).remove(0);
        work.fetch("value", &value);
        work.fetch("dx", &dx);
    })
}

/// x → y.
pub fn constraint(case: &Case, device: &Device, check: &mut Check<'_>) -> Result<(), Stop> {
    let mut settings = Settings::of(case);
    let axis = settings.number("axis", 0.0)? as isize;
    let mut float = |key: &str, default: f64| {
        let value = settings.number(key, default);
        value.map(|value| value as f32)
    };
    let constraint = match case.op.as_str() {
        "MaxNorm" => Constraint::MaxNorm {
            max_value: float("max_value", 2.0)?,
            axis,
        },
        "NonNeg" => Constraint::NonNeg,
        "UnitNorm" => Constraint::UnitNorm { axis },
        "MinMaxNorm" => Constraint::MinMaxNorm {
            min_value: float("min_value", 0.0)?,
            max_value: float("max_value", 1.0)?,
            rate: float("rate", 1.0)?,
            axis,
        },
        other => return Stop::unsupported(format!("op {other}")),
    };
    settings.finish()?;
    run(case, device, check, |work, x| {
        work.fetch("y", &constraint.apply(x))
    })
}

fn run(
    case: &Case,
    device: &Device,
    check: &mut Check<'_>,
    record: impl FnOnce(&mut Work, &Tensor),
) -> Result<(), Stop> {
    let mut work = Work::new();
    let x = work.number("x", case.tensor("x")?)?;
    record(&mut work, &x);
    for (name, array) in work.run(device)? {
        check.tensor(&name, &array)?;
    }
    Ok(())
}
