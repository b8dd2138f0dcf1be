//! Checks that a setting is in its range: refusals name the setting, the range and what was given. A NaN is in no range.

use std::fmt::Display;

use crate::{Error, Result};

/// Refuses `value` for the setting `name` unless it fits.
pub(crate) fn within(
    fits: bool,
    name: &'static str,
    range: &str,
    value: impl Display,
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::argument(
        name,
        format!("must be {range}, got {value}"),
    ))
}

/// Checks that a number is at least 0 and finite.
pub(crate) fn at_least_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = (0.0..f32::INFINITY).contains(&value);
    within(fits, name, "at least 0 and finite", value)
}

/// Checks that a number is above 0 and finite.
pub(crate) fn above_zero(name: &'static str, value: f32) -> Result<()> {
    let fits = value > 0.0 && value < f32::INFINITY;
    within(fits, name, "above 0 and finite", value)
}

/// Checks that a share is in [0, 1).
pub(crate) fn share(name: &'static str, value: f32) -> Result<()> {
    let fits = (0.0..1.0).contains(&value);
    within(fits, name, "at least 0 and below 1", value)
}

/// Checks that a fraction is in [0, 1].
pub(crate) fn fraction(name: &'static str, value: f32) -> Result<()> {
    within((0.0..=1.0).contains(&value), name, "in [0, 1]", value)
}

/// Checks that a number is finite.
pub(crate) fn finite(name: &'static str, value: f32) -> Result<()> {
    within(value.is_finite(), name, "finite", value)
}

/// Checks that a count is at least 1.
pub(crate) fn at_least_one(name: &'static str, value: u32) -> Result<()> {
    within(value >= 1, name, "at least 1", value)
}
