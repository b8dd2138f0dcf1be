//! Every case of an op in every variant, with what was seen of them counted.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::contract::{Case, Entry};
use crate::edge::{WallTime, threads};
use crate::{Device, Error, Result};

use super::{Report, nan, parity, variants};

/// The most failures of one op that are shown.
const MAX_SHOWN: usize = 8;

/// The most threads that run cases side by side: their time goes into drivers that compile a kernel on one thread.
const MAX_THREADS: usize = 8;

/// A check of a case on a device.
type CaseCheck = fn(&Case, &Device) -> Result<Report>;

/// What [`survey`] saw of one op. Displayed it is a line, with further ones for kernels and failures.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// The op's noun.
    pub name: &'static str,
    /// The op's cases.
    pub cases: usize,
    /// Cases run, each [variant](super::variants) counted.
    pub runs: usize,
    /// Elements compared with the reference.
    pub elements: u64,
    /// NaNs placed into inputs, on the device and on the reference.
    pub nans: u64,
    /// The largest error of all that passed, as a share of its bound.
    pub worst: f64,
    /// The case, the result and the element of the largest error.
    pub at: String,
    /// The kernel choices that were run besides the device's own.
    pub families: BTreeSet<String>,
    /// What failed, a sentence each.
    pub failures: Vec<String>,
    /// Whether the device was lost or missed its deadline; what would have come after was not run.
    pub gone: bool,
    /// The time it took.
    pub seconds: f64,
}

impl Survey {
    /// Whether everything was run and nothing failed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    fn add(&mut self, number: usize, case: &Case, report: &Report) {
        self.elements += report.elements;
        if report.worst >= self.worst {
            self.worst = report.worst;
            self.at = format!(
                "case {number} ({}) result {} element {}",
                case.op.name(),
                report.result,
                report.index
            );
        }
    }

    /// Runs a case in every variant, up to the first check after which the device is gone.
    fn run(&mut self, number: usize, case: &Case, device: &Device) {
        let variants = match variants(case, device) {
            Ok(variants) => variants,
            Err(error) => return self.failures.push(format!("case {number}: {error}")),
        };
        for (i, variant) in variants.into_iter().enumerate() {
            self.runs += 1;
            for (of_nans, check) in [(false, parity as CaseCheck), (true, nan)] {
                match check(case, &variant.device) {
                    Ok(report) if of_nans => self.nans += report.elements,
                    Ok(report) => self.add(number, case, &report),
                    Err(error) => {
                        self.gone =
                            matches!(error, Error::DeviceLost { .. } | Error::Timeout { .. });
                        let failure = format!("case {number} on {}: {error}", variant.name);
                        self.failures.push(failure);
                    }
                }
                if self.gone {
                    return;
                }
            }
            if i > 0 {
                self.families.insert(variant.name);
            }
        }
    }

    /// Takes in what was seen of a later case.
    fn merge(&mut self, later: Survey) {
        self.runs += later.runs;
        self.elements += later.elements;
        self.nans += later.nans;
        if later.worst >= self.worst && !later.at.is_empty() {
            (self.worst, self.at) = (later.worst, later.at);
        }
        self.families.extend(later.families);
        self.failures.extend(later.failures);
        self.gone |= later.gone;
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "ok" } else { "FAILED" };
        write!(
            f,
            "{:<24} {verdict:<6} {:>4} cases {:>5} runs {:>10} elements, the largest error {:.3} of its bound, at {}",
            self.name, self.cases, self.runs, self.elements, self.worst, self.at
        )?;
        match (self.nans, self.passed()) {
            (0, _) => {}
            (nans, true) => write!(f, "; {nans} NaNs put in and all found in the results")?,
            (nans, false) => write!(f, "; {nans} NaNs put in")?,
        }
        write!(f, "; {:.2} s", self.seconds)?;
        if self.families.len() > 1 {
            let families: Vec<&str> = self.families.iter().map(String::as_str).collect();
            write!(f, "\n    kernels for {}", families.join("; "))?;
        }
        for failure in self.failures.iter().take(MAX_SHOWN) {
            write!(f, "\n    FAILED {failure}")?;
        }
        match self.failures.len().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n    and {more} more"),
        }
    }
}

/// Runs [`parity`] and [`nan`] on every case of an op, in every variant that the device has kernels for.
///
/// What goes wrong is in [`Survey::failures`]; that an element or a case was left out is among it.
///
/// ```
/// use kiln::{Device, check};
///
/// for entry in check::all().iter().filter(|entry| entry.name == "accuracy") {
///     let survey = check::survey(entry, &Device::cpu());
///     println!("{survey}");
///     assert!(survey.passed());
/// }
/// ```
pub fn survey(entry: &Entry, device: &Device) -> Survey {
    let begun = WallTime::now();
    let cases = (entry.cases)();
    let next = AtomicUsize::new(0);
    let gone = AtomicBool::new(false);
    let work = || {
        let mut runs = Vec::new();
        while !gone.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(number) else { break };
            let mut survey = Survey::default();
            survey.run(number, case, device);
            gone.fetch_or(survey.gone, Ordering::Relaxed);
            runs.push((number, survey));
        }
        runs
    };
    let most = threads::cores().min(MAX_THREADS).min(cases.len());
    let runs = threads::with_helpers(most.saturating_sub(1), work);
    let mut runs: Vec<_> = runs.into_iter().flatten().collect();
    runs.sort_by_key(|(number, _)| *number);

    let mut survey = Survey {
        name: entry.name,
        cases: cases.len(),
        ..Survey::default()
    };
    for (_, run) in runs {
        survey.merge(run);
    }
    if survey.runs < survey.cases || survey.elements == 0 {
        survey.failures.push(format!(
            "{} runs of {} cases compared {} elements: not every case was run",
            survey.runs, survey.cases, survey.elements
        ));
    }
    survey.seconds = begun.elapsed().as_secs_f64();
    survey
}
