//! Reference cases of other frameworks: reading them, running them on a device, comparing what comes out.
//!
//! | module | what it does |
//! |---|---|
//! | `case` | a case's two files |
//! | `settings` | the arguments that the case was made with |
//! | `check` | the tolerances, and which elements may differ on purpose |
//! | `differences` | the table of what differs on purpose, which lies in `tests/golden` |
//! | `report` | the counts by kind, and what is not supported by op |
//! | `compute` | a graph, run once on the given values |
//! | `keras` | the kinds of Keras' cases; `noise` holds the layers that draw, `recipe` and `architecture` what a trace trained |
//! | `torch` | the kinds of PyTorch's cases |
//! | `onnx` | ONNX' cases |
//! | `optimizer` | the updates of all three |
//! | `operation` | operations of theirs that are a few of Kiln's |
#![allow(dead_code)] // The tool and the test each use a part.

mod case;
mod check;
mod compute;
#[path = "../../tests/golden/differences.rs"]
mod differences;
mod keras;
mod onnx;
mod operation;
mod optimizer;
mod report;
mod settings;
mod torch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use kiln::{Device, Error, Result};

use case::Case;
use check::Check;
pub use report::{Outcome, Report, Verdict};

/// Why a case ended before its last comparison.
pub enum Stop {
    /// Kiln does not have what it takes: the op or the setting.
    Unsupported(String),
    /// The case is broken, or Kiln refused what it should have run.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

impl Stop {
    /// Kiln does not have `what`.
    fn unsupported<T>(what: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Unsupported(what.into()))
    }
}

/// Where cases run.
pub struct Bench<'a> {
    device: &'a Device,
    /// Folders that may hold data sets which cases name but do not contain.
    data: Vec<PathBuf>,
}

impl<'a> Bench<'a> {
    /// Runs cases on `device`; data sets lie in `data`, or in a folder of that name beside `dir` or above.
    pub fn new(device: &'a Device, dir: &Path, data: Option<PathBuf>) -> Self {
        let absolute = std::path::absolute(dir).unwrap_or_else(|_unknown| dir.to_path_buf());
        let above = absolute.ancestors().map(|folder| folder.join("data"));
        let data = data.map_or_else(|| above.collect(), |data| vec![data]);
        Bench { device, data }
    }

    /// Runs the case whose JSON or safetensors file this is. Whatever goes wrong is the outcome's verdict.
    pub fn run(&self, path: &Path) -> Outcome {
        let case = match Case::read(path) {
            Ok(case) => case,
            Err(error) => return Outcome::unreadable(path, &error),
        };
        let mut check = Check::new(&case);
        // A panic in one case is a bug to report, and no reason to leave out the cases after it.
        let ended = catch_unwind(AssertUnwindSafe(|| self.run_kind(&case, &mut check)));
        let verdict = match ended {
            Ok(Ok(())) => check.verdict(),
            Ok(Err(Stop::Unsupported(what))) => Verdict::NotSupported(what),
            Ok(Err(Stop::Failed(error))) => Verdict::Failed(error.to_string()),
            Err(_panic) => Verdict::Failed("it panicked".into()),
        };
        Outcome {
            suite: case.suite.clone(),
            kind: case.kind.clone(),
            name: case.name.clone(),
            verdict,
            worst: check.worst,
            worst_at: check.worst_at,
            allowed: check.allowed,
            skipped: check.skipped,
        }
    }

    fn run_kind(&self, case: &Case, check: &mut Check<'_>) -> Result<(), Stop> {
        let device = self.device;
        match case.kind.as_str() {
            "activation" => keras::activation::run(case, device, check),
            "layer" => keras::layer::run(case, device, check),
            "loss" => keras::loss::run(case, device, check),
            "metric" => keras::metric::run(case, device, check),
            "metric_set" => keras::metric_set::run(case, device, check),
            "optimizer" => optimizer::run(case, device, check),
            "torch_optimizer" => optimizer::run_torch(case, device, check),
            "lr_schedule" => keras::schedule::run(case, device, check),
            "initializer" => keras::initializer::run(case, check),
            "regularizer" => keras::weights::regularizer(case, device, check),
            "constraint" => keras::weights::constraint(case, device, check),
            "training_trace" => keras::trace::run(case, device, &self.data, check),
            "torch_module" => torch::run(case, device, check),
            "torch_op" => torch::op::run(case, device, check),
            "onnx_node" if onnx::trains(case) => optimizer::run_onnx(case, device, check),
            "onnx_node" | "onnx_graph" => onnx::run(case, device, check),
            other => Stop::unsupported(format!("kind {other}")),
        }
    }
}

/// Every case under `dir`, or the one that it names, by path: its JSON file, or its safetensors file where that stands
/// alone.
///
/// # Errors
///
/// [`Error::Io`] where a folder cannot be read, [`Error::Data`] where there is no case.
pub fn find(dir: &Path) -> Result<Vec<PathBuf>> {
    if dir.is_file() {
        return Ok(vec![dir.to_path_buf()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| Error::io(&folder, error))?;
        for entry in entries {
            let path = entry.map_err(|error| Error::io(&folder, error))?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let is_index = path.file_name().is_some_and(|name| name == "index.json");
            match ending {
                _ if path.is_dir() => folders.push(path),
                Some("json") if !is_index => found.push(path),
                Some("safetensors") if !path.with_extension("json").exists() => found.push(path),
                _ => {}
            }
        }
    }
    if found.is_empty() {
        return Err(Error::data(format!(
            "there is no case (NAME.json with NAME.safetensors) under {}",
            dir.display()
        )));
    }
    found.sort();
    Ok(found)
}
