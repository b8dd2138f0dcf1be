//! Comparing what Kiln computed with what the source recorded.

use std::collections::BTreeMap;

use super::Stop;
use super::case::{Array, Case, Kind};
use super::differences;
use super::report::Verdict;

/// Comparisons of one case: the worst so far, and the first that failed.
pub struct Check<'a> {
    case: &'a Case,
    /// The largest error as a share of its tolerance.
    pub worst: f64,
    /// Where that was.
    pub worst_at: String,
    /// How many elements differ on purpose, by reason.
    pub allowed: BTreeMap<&'static str, usize>,
    /// Tensors left out on purpose.
    pub skipped: usize,
    /// The rounding noise of tensors for which the case has none.
    noise: BTreeMap<String, f64>,
    compared: usize,
    failure: Option<String>,
}

/// |a − b| ≤ relative·|b| + noise·(the source's own error) + scale·(the largest |b| of the tensor).
struct Tolerance {
    relative: f64,
    noise: f64,
    scale: f64,
    absolute: f64,
}

impl Tolerance {
    /// As the format of the cases suggests: their own, that of training, which adds rounding up, or the common one.
    fn of(case: &Case) -> Self {
        let (relative, noise, scale) = match case.kind.as_str() {
            "training_trace" | "torch_trace" => (1e-4, 20.0, 1e-5),
            _ => (1e-5, 4.0, 2e-6),
        };
        match case.tolerance {
            Some((relative, absolute)) => Tolerance {
                relative,
                noise: 0.0,
                scale: 0.0,
                absolute,
            },
            None => Tolerance {
                relative,
                noise,
                scale,
                absolute: 0.0,
            },
        }
    }
}

impl<'a> Check<'a> {
    /// Nothing compared yet.
    pub fn new(case: &'a Case) -> Self {
        let (worst_at, failure) = (String::new(), None);
        Check {
            case,
            worst: 0.0,
            worst_at,
            allowed: BTreeMap::new(),
            skipped: 0,
            noise: BTreeMap::new(),
            compared: 0,
            failure,
        }
    }

    /// Compares with the case's tensor of that name, which must have the same shape.
    pub fn tensor(&mut self, name: &str, actual: &Array) -> Result<(), Stop> {
        let expected = self.case.tensor(name)?;
        if actual.shape != expected.shape {
            let (is, should) = (&actual.shape, &expected.shape);
            self.fail(format!("{name} is {is:?}, and should be {should:?}"));
            return Ok(());
        }
        // Of a tensor without elements the shape is all there is to compare.
        self.compared += usize::from(expected.values.is_empty());
        self.elements(name, expected, &actual.values);
        Ok(())
    }

    /// Compares with the case's tensor of that name, whatever its shape.
    pub fn values(&mut self, name: &str, actual: &[f64]) -> Result<(), Stop> {
        let expected = self.case.tensor(name)?;
        if actual.len() != expected.values.len() {
            let (is, should) = (actual.len(), expected.values.len());
            self.fail(format!(
                "{name} has {is} elements, and should have {should}"
            ));
            return Ok(());
        }
        self.elements(name, expected, actual);
        Ok(())
    }

    /// Compares one number with a range.
    pub fn within(&mut self, what: &str, actual: f64, expected: f64, tolerance: f64) {
        self.compared += 1;
        let share = share(actual, expected, tolerance);
        self.note(share, || what.to_string());
        if share > 1.0 {
            self.fail(format!(
                "{what} is {actual}, and should be {expected} ± {tolerance:e}"
            ));
        }
    }

    /// The tensor need not be reproduced, for a reason that the caller states where it calls this.
    pub fn skip(&mut self, name: &str) {
        self.case.find(name);
        self.skipped += 1;
    }

    /// The rounding noise of a tensor, where the case does not say it.
    pub fn assume_noise(&mut self, name: &str, noise: f64) {
        self.noise.insert(name.to_string(), noise);
    }

    /// Something is wrong; the first is told.
    pub fn fail(&mut self, message: String) {
        self.failure.get_or_insert(message);
    }

    /// How the case ended if nothing else kept it from its end.
    pub fn verdict(&self) -> Verdict {
        match (&self.failure, self.case.unseen().first()) {
            (Some(failure), _) => Verdict::Failed(failure.clone()),
            (None, Some(unseen)) => Verdict::NotSupported(format!("tensor {unseen}")),
            (None, None) if self.compared == 0 => Verdict::Failed("nothing was compared".into()),
            (None, None) => Verdict::Passed,
        }
    }

    fn elements(&mut self, name: &str, expected: &Array, actual: &[f64]) {
        let finite = expected.values.iter().filter(|value| value.is_finite());
        let largest = finite.fold(0.0f64, |largest, value| largest.max(value.abs()));
        let noise = self.case.noise.get(name).or(self.noise.get(name));
        let noise = noise.copied().unwrap_or(0.0);
        let allowance = Tolerance::of(self.case);
        let (mut wrong, mut first) = (0, None);
        for (index, (&a, &b)) in actual.iter().zip(&expected.values).enumerate() {
            self.compared += 1;
            let tolerance = match expected.kind {
                Kind::Integer | Kind::Byte => 0.0,
                Kind::F32 | Kind::F64 => {
                    let relative = allowance.relative * b.abs();
                    let own = allowance.noise * noise + allowance.scale * largest;
                    relative + own + allowance.absolute
                }
            };
            let share = share(a, b, tolerance);
            let on_purpose = || differences::on_purpose(self.case, name, index, a, b);
            if share > 1.0
                && let Some(reason) = on_purpose()
            {
                *self.allowed.entry(reason).or_default() += 1;
                continue;
            }
            self.note(share, || format!("{name}[{index}]"));
            if share > 1.0 {
                wrong += 1;
                let told = format!("{name}[{index}] is {a}, and should be {b} ± {tolerance:.1e}");
                first.get_or_insert(told);
            }
        }
        if let Some(first) = first {
            self.fail(format!(
                "{first}; {wrong} of {} elements are wrong",
                actual.len()
            ));
        }
    }

    fn note(&mut self, share: f64, at: impl FnOnce() -> String) {
        if share > self.worst {
            self.worst = share;
            self.worst_at = at();
        }
    }
}

/// The error as a share of the tolerance. NaN is equal to NaN, an infinity to itself and, as the cases are of f32, to what
/// f32 cannot hold.
fn share(actual: f64, expected: f64, tolerance: f64) -> f64 {
    let same = actual == expected || (actual.is_nan() && expected.is_nan());
    let overflows = expected.is_infinite() && f64::from(actual as f32) == expected;
    match () {
        () if same || overflows => 0.0,
        () if !actual.is_finite() || !expected.is_finite() => f64::INFINITY,
        () => (actual - expected).abs() / tolerance,
    }
}
