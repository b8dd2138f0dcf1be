//! Runs reference cases, recorded from Keras, PyTorch and ONNX, and says which of them Kiln reproduces.
//!
//! `cargo run --release -p kiln-tools --bin conform -- DIR [--device NAME] [--kind KIND] [--data DIR] [--verbose]`
#![allow(clippy::print_stdout)]

#[path = "mod.rs"]
mod conform;

use std::path::PathBuf;
use std::process::ExitCode;

use conform::{Bench, Report, Verdict};
use kiln::{Error, Result};
use kiln_tools::Arguments;

const ABOUT: &str = "conform DIR [--device NAME] [--kind KIND] [--data DIR] [--verbose]

  Runs every case under DIR: pairs NAME.json + NAME.safetensors, at any depth.

  --kind KIND     only cases of this kind (`loss`), or of one suite's (`keras_loss/loss`)
  --data DIR      where data sets lie, such as mnist/ (default: `data` beside DIR or beside a folder above it)
  --verbose       a line for every case, not only for the failed ones";

fn main() -> ExitCode {
    let mut failed = false;
    let ran = kiln_tools::run(|| {
        failed = run(Arguments::parse(ABOUT))?;
        Ok(())
    });
    if failed { ExitCode::FAILURE } else { ran }
}

/// Runs what the arguments name; whether a case failed.
fn run(mut arguments: Arguments) -> Result<bool> {
    let device = arguments.device()?;
    let kind = arguments.value("kind")?;
    let data = arguments.value("data")?.map(PathBuf::from);
    let verbose = arguments.flag("verbose");
    let dir = arguments.positional().map(PathBuf::from);
    arguments.finish()?;
    let Some(dir) = dir else {
        return Err(Error::argument(
            "arguments",
            format!("which folder?\n{ABOUT}"),
        ));
    };
    let bench = Bench::new(&device, &dir, data);
    let cases: Vec<_> = conform::find(&dir)?;
    let mut report = Report::default();
    println!("on {device}");
    for path in &cases {
        let outcome = bench.run(path);
        let wanted = |kind: &String| outcome.kind == *kind || outcome.group() == *kind;
        if kind.as_ref().is_some_and(|kind| !wanted(kind)) {
            continue;
        }
        if verbose || matches!(outcome.verdict, Verdict::Failed(_)) {
            println!("{outcome}");
        }
        report.add(outcome);
    }
    println!("{report}");
    Ok(report.failed() > 0)
}
