//! What became of the cases, counted by kind.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use kiln::Error;

/// How a case ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Everything that it records was reproduced.
    Passed,
    /// What was not, or what is wrong with its files.
    Failed(String),
    /// The op or the setting that Kiln does not have.
    NotSupported(String),
}

/// What became of one case.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub suite: String,
    pub kind: String,
    pub name: String,
    pub verdict: Verdict,
    /// The largest error as a share of its tolerance, and where.
    pub worst: f64,
    pub worst_at: String,
    /// How many elements differ on purpose, by reason.
    pub allowed: BTreeMap<&'static str, usize>,
    /// Tensors left out on purpose.
    pub skipped: usize,
}

impl Outcome {
    /// A case whose files cannot be read.
    pub fn unreadable(path: &Path, error: &Error) -> Self {
        let part = |part: Option<&std::ffi::OsStr>| {
            part.map(|part| part.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        Outcome {
            suite: part(path.parent().and_then(Path::file_name)),
            kind: "unreadable".into(),
            name: part(path.file_stem()),
            verdict: Verdict::Failed(error.to_string()),
            worst: 0.0,
            worst_at: String::new(),
            allowed: BTreeMap::new(),
            skipped: 0,
        }
    }

    /// Suite and kind.
    pub fn group(&self) -> String {
        format!("{}/{}", self.suite, self.kind)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome {
            suite,
            name,
            worst,
            worst_at,
            ..
        } = self;
        match &self.verdict {
            Verdict::Passed if worst_at.is_empty() => {
                write!(f, "passed         {suite}/{name}: exact")?
            }
            Verdict::Passed => {
                write!(
                    f,
                    "passed         {suite}/{name}: worst {worst:.3} of the tolerance at {worst_at}"
                )?;
            }
            Verdict::Failed(message) => write!(f, "FAILED         {suite}/{name}: {message}")?,
            Verdict::NotSupported(what) => write!(f, "not supported  {suite}/{name}: {what}")?,
        }
        for (reason, elements) in &self.allowed {
            write!(f, "; on purpose {elements} differ: {reason}")?;
        }
        if self.skipped > 0 {
            write!(f, "; {} tensors left out", self.skipped)?;
        }
        Ok(())
    }
}

/// The counts of one kind.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
    missing: BTreeMap<String, usize>,
    worst: f64,
    worst_at: String,
    allowed: BTreeMap<&'static str, usize>,
    /// Cases with elements that differ on purpose.
    apart: usize,
    skipped: usize,
}

/// The counts of every kind. `Display` prints them; the last line is the sum.
#[derive(Debug, Default)]
pub struct Report {
    kinds: BTreeMap<String, Tally>,
}

impl Report {
    /// Counts a case.
    pub fn add(&mut self, outcome: Outcome) {
        let tally = self.kinds.entry(outcome.group()).or_default();
        match outcome.verdict {
            Verdict::NotSupported(what) => {
                *tally.missing.entry(what).or_default() += 1;
                return;
            }
            Verdict::Passed => tally.passed += 1,
            Verdict::Failed(_) => tally.failed += 1,
        }
        tally.apart += usize::from(!outcome.allowed.is_empty());
        for (reason, elements) in outcome.allowed {
            *tally.allowed.entry(reason).or_default() += elements;
        }
        tally.skipped += outcome.skipped;
        if outcome.worst > tally.worst {
            tally.worst = outcome.worst;
            tally.worst_at = format!("{}, {}", outcome.name, outcome.worst_at);
        }
    }

    /// Cases reproduced.
    pub fn passed(&self) -> usize {
        self.kinds.values().map(|tally| tally.passed).sum()
    }

    /// Cases not reproduced, or not readable.
    pub fn failed(&self) -> usize {
        self.kinds.values().map(|tally| tally.failed).sum()
    }

    /// What Kiln does not have, over all kinds, most often first; PyTorch's names without their modules.
    fn missing_ops(&self) -> Vec<(usize, String)> {
        let mut ops: BTreeMap<String, usize> = BTreeMap::new();
        for (reason, count) in self.kinds.values().flat_map(|tally| &tally.missing) {
            let op = reason.strip_prefix("op ").unwrap_or(reason);
            let op = op
                .trim_start_matches("nn.")
                .trim_start_matches("functional.");
            *ops.entry(op.to_string()).or_default() += count;
        }
        let mut ops: Vec<_> = ops.into_iter().map(|(op, count)| (count, op)).collect();
        ops.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        ops
    }

    /// Cases that ask for what Kiln does not have.
    pub fn not_supported(&self) -> usize {
        self.kinds.values().map(Tally::not_supported).sum()
    }
}

impl Tally {
    fn not_supported(&self) -> usize {
        self.missing.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, tally) in &self.kinds {
            let (passed, failed, missing) = (tally.passed, tally.failed, tally.not_supported());
            write!(
                f,
                "{kind:<40} {passed:>4} passed {failed:>4} failed {missing:>4} not supported"
            )?;
            if !tally.worst_at.is_empty() {
                write!(
                    f,
                    "   worst {:.3} of the tolerance ({})",
                    tally.worst, tally.worst_at
                )?;
            }
            if tally.skipped > 0 {
                write!(f, "   {} tensors left out", tally.skipped)?;
            }
            writeln!(f)?;
            for (reason, elements) in &tally.allowed {
                writeln!(f, "    on purpose {elements} elements differ: {reason}")?;
            }
            if missing > 0 {
                let mut reasons: Vec<(&String, &usize)> = tally.missing.iter().collect();
                reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), *reason));
                let reasons = reasons
                    .iter()
                    .map(|(reason, count)| format!("{reason}: {count}"));
                let reasons: Vec<String> = reasons.collect();
                writeln!(f, "    not supported: {}", reasons.join(", "))?;
            }
        }
        let apart: usize = self.kinds.values().map(|tally| tally.apart).sum();
        if apart > 0 {
            let elements = self.kinds.values().flat_map(|tally| tally.allowed.values());
            let elements: usize = elements.sum();
            writeln!(
                f,
                "of the passed cases {apart} differ on purpose, in {elements} elements"
            )?;
        }
        for (count, op) in self.missing_ops() {
            writeln!(f, "not supported {count:>4}  {op}")?;
        }
        let (passed, failed, missing) = (self.passed(), self.failed(), self.not_supported());
        write!(
            f,
            "{passed} passed, {failed} failed, {missing} not supported"
        )
    }
}
