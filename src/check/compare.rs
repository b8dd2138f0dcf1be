//! The comparison of a device's numbers with the reference's.

use crate::Values;

/// What the f64 reference computed, and how far a device may be from it. No device's numbers are of this type, so that none
/// are compared with themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The numbers, integers among them exact.
    pub values: Vec<f64>,
    /// The largest error of each, as the op argues it.
    pub bounds: Vec<f64>,
    /// Whether they are integers.
    pub words: bool,
}

/// What a check looked at and how close it came to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Report {
    /// Elements checked.
    pub elements: u64,
    /// The largest error as a share of the bound; at most 1 in a check that passed.
    pub worst: f64,
    /// Which result, or which input of a gradient check, holds the worst element.
    pub result: usize,
    /// The worst element.
    pub index: usize,
}

impl Report {
    /// Takes in the report of one result.
    pub(super) fn add(&mut self, result: usize, other: &Report) {
        self.elements += other.elements;
        if other.worst > self.worst {
            (self.worst, self.result, self.index) = (other.worst, result, other.index);
        }
    }
}

/// Compares what a device computed element by element: |device − reference| ≤ bound.
///
/// A NaN must be a NaN on both sides, an infinity the same infinity, where a reference beyond the range of f32 counts
/// as the infinity. A bound must be a number and not negative.
///
/// # Errors
///
/// A sentence that begins with the worst element.
pub fn compare(device: &Values, reference: &Reference) -> Result<Report, String> {
    let values = super::exact(device);
    let (expected, bound) = (&reference.values, &reference.bounds);
    if values.len() != expected.len() || bound.len() != expected.len() {
        return Err(format!(
            "lengths differ: {} elements on the device, {} on the reference, {} bounds",
            values.len(),
            expected.len(),
            bound.len()
        ));
    }
    let mut report = Report {
        elements: values.len() as u64,
        ..Report::default()
    };
    let mut wrong = 0;
    for (index, ((&value, &expected), &bound)) in values.iter().zip(expected).zip(bound).enumerate()
    {
        let ratio = ratio(value, expected, bound)
            .map_err(|message| format!("element {index}: {message}"))?;
        wrong += u64::from(ratio > 1.0);
        if ratio > report.worst {
            (report.worst, report.index) = (ratio, index);
        }
    }
    if wrong == 0 {
        return Ok(report);
    }
    let at = report.index;
    Err(format!(
        "element {at}: {:e} on the device, {:e} on the reference, {:.3} times the bound {:e}; {wrong} of {} elements differ",
        values[at], expected[at], report.worst, bound[at], report.elements
    ))
}

/// The error as a share of the bound.
fn ratio(value: f64, expected: f64, bound: f64) -> Result<f64, String> {
    if value.is_nan() != expected.is_nan() {
        return Err(format!(
            "{value} on the device, {expected} on the reference"
        ));
    }
    if expected.is_nan() {
        return Ok(0.0);
    }
    let most = f64::from(f32::MAX);
    if value.is_infinite() {
        // Beyond, or so near the range's end that the allowed error reaches over it.
        let same = value.signum() == expected.signum();
        let reaches = expected.is_infinite() || expected.abs() + bound > most;
        if same && reaches {
            return Ok(0.0);
        }
        return Err(format!(
            "{value} on the device, {expected:e} on the reference"
        ));
    }
    if expected.is_infinite() || (bound.is_finite() && expected.abs() - bound > most) {
        return Err(format!(
            "{value:e} on the device, {expected:e} on the reference, which is beyond f32"
        ));
    }
    if !(bound >= 0.0 && bound.is_finite()) {
        return Err(format!("the op's bound is {bound}"));
    }
    let error = (value - expected).abs();
    Ok(if error == 0.0 { 0.0 } else { error / bound })
}
