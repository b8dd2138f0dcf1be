//! The comparison of a device's numbers with the reference's.

use crate::Values;

/// Numbers or integers that a device computed. Only [`compare`] takes it, and only on the device's side.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceResult(Values);

impl DeviceResult {
    /// Numbers of the product's precision.
    pub fn new(values: Vec<f32>) -> Self {
        DeviceResult(Values::F32(values))
    }

    /// Integers.
    pub fn words(values: Vec<u32>) -> Self {
        DeviceResult(Values::U32(values))
    }

    pub(super) fn from_session(values: Values) -> Self {
        DeviceResult(values)
    }
}

/// Numbers that the f64 reference computed, integers among them exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    values: Vec<f64>,
    words: bool,
}

impl Reference {
    /// Numbers of the reference's precision.
    pub fn new(values: Vec<f64>) -> Self {
        Reference {
            values,
            words: false,
        }
    }

    /// The numbers.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Whether they are integers.
    pub fn is_words(&self) -> bool {
        self.words
    }

    /// What a device without any error but the last rounding would give back.
    pub fn rounded(&self) -> DeviceResult {
        if self.words {
            DeviceResult::words(self.values.iter().map(|&value| value as u32).collect())
        } else {
            DeviceResult::new(self.values.iter().map(|&value| value as f32).collect())
        }
    }

    pub(super) fn from_session(values: Values) -> Self {
        Reference {
            values: super::exact(&values),
            words: matches!(values, Values::U32(_)),
        }
    }
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

/// Compares element by element: |device − reference| ≤ bound.
///
/// A NaN must be a NaN on both sides, an infinity the same infinity, where a reference beyond the range of f32 counts
/// as the infinity. A bound must be a number and not negative.
///
/// # Errors
///
/// A sentence that begins with the worst element.
pub fn compare(
    device: &DeviceResult,
    reference: &Reference,
    bound: &[f64],
) -> std::result::Result<Report, String> {
    let values = super::exact(&device.0);
    let expected = &reference.values;
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
fn ratio(value: f64, expected: f64, bound: f64) -> std::result::Result<f64, String> {
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
        return if same && reaches {
            Ok(0.0)
        } else {
            Err(format!(
                "{value} on the device, {expected:e} on the reference"
            ))
        };
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
