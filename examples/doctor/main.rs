//! Lists the adapters and checks every op on the chosen device against the f64 reference.
#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod faults;

use std::process::ExitCode;

use kiln::check::{self, Survey};
use kiln::gpu::{self, AdapterSummary, Finding, Verdict};
use kiln::plan::{Class, Target};
use kiln::{Device, Error, Result, op};
use serde_json::{Value, json};

const ABOUT: &str =
    "doctor: list the adapters, check every op on the chosen device against the f64 reference
  --list          list the adapters, check nothing
  --op NAME       check one op only
  --faults        let calls to the driver fail instead, and tell what comes of it
  --json          print one JSON object instead";

fn main() -> ExitCode {
    let mut healthy = true;
    let ran = common::run(|| {
        healthy = doctor()?;
        Ok(())
    });
    if healthy { ran } else { ExitCode::FAILURE }
}

/// Whether all that was checked passed.
fn doctor() -> Result<bool> {
    let mut arguments = common::Arguments::parse(ABOUT);
    let (list, as_json) = (arguments.flag("list"), arguments.flag("json"));
    let lets_in_faults = arguments.flag("faults");
    let (only, name) = (arguments.value("op")?, arguments.value("device")?);
    arguments.finish()?;
    let entries = entries(only)?;

    // Told before a device is opened: a driver that dies of it has been named by then.
    let adapters = gpu::adapters();
    if !as_json {
        print_adapters(&adapters);
    }
    let mut report = json!({ "adapters": adapters.iter().map(adapter_json).collect::<Vec<_>>() });
    if list {
        if as_json {
            println!("{report}");
        }
        return Ok(true);
    }

    if lets_in_faults {
        let name = name.or_else(|| std::env::var("KILN_DEVICE").ok());
        let outcome = faults::faults(name.as_deref().unwrap_or("best"))?;
        match as_json {
            true => {
                report["faults"] = outcome.json();
                println!("{report}");
            }
            false => outcome.print(),
        }
        return Ok(outcome.passed());
    }

    let device = name.map_or_else(Device::from_env, |name| Device::named(&name))?;
    if device.is_reference() {
        return Err(Error::Argument {
            name: "device",
            message: "the reference is what the others are checked against".into(),
        });
    }
    if !as_json {
        println!("\ndevice: {device}\nkernels for: {}\n", device.target());
        print_canary(&device);
    }
    let mut surveys = Vec::new();
    for entry in &entries {
        let survey = check::survey(entry, &device);
        if !as_json {
            println!("{survey}");
        }
        let gone = survey.gone;
        surveys.push(survey);
        if gone {
            break;
        }
    }

    let failed: Vec<&str> = surveys
        .iter()
        .filter(|survey| !survey.passed())
        .map(|survey| survey.name)
        .collect();
    if as_json {
        report["device"] =
            json!({ "name": device.to_string(), "limits": limits_json(device.target()) });
        report["canary"] = canary_json(&device);
        report["ops"] = surveys.iter().map(survey_json).collect();
        report["passed"] = (surveys.len() - failed.len()).into();
        report["failed"] = failed.len().into();
        report["not_run"] = (entries.len() - surveys.len()).into();
        println!("{report}");
    } else {
        println!("\n{}", verdict(&device, entries.len(), &surveys, &failed));
    }
    Ok(failed.is_empty())
}

/// The ops to check.
fn entries(only: Option<String>) -> Result<Vec<op::Entry>> {
    let all = check::all();
    let Some(name) = only else { return Ok(all) };
    let known = all.iter().map(|entry| entry.name.to_string()).collect();
    let found: Vec<_> = all.into_iter().filter(|entry| entry.name == name).collect();
    if found.is_empty() {
        let what = "op";
        return Err(Error::NotFound { what, name, known });
    }
    Ok(found)
}

fn verdict(device: &Device, asked: usize, surveys: &[Survey], failed: &[&str]) -> String {
    let cases: usize = surveys.iter().map(|survey| survey.cases).sum();
    let elements: u64 = surveys.iter().map(|survey| survey.elements).sum();
    let seconds: f64 = surveys.iter().map(|survey| survey.seconds).sum();
    let mut text = if failed.is_empty() {
        format!("ok: {asked} of {asked} ops keep their bounds on {device}")
    } else {
        let names = failed.join(", ");
        format!(
            "FAILED: {} of {asked} ops on {device}: {names}",
            failed.len()
        )
    };
    text += &format!("; {cases} cases, {elements} elements, {seconds:.0} s");
    match asked - surveys.len() {
        0 => text,
        left => format!("{text}; {left} ops were not run, the device no longer answers"),
    }
}

fn print_adapters(adapters: &[AdapterSummary]) {
    println!("adapters");
    for adapter in adapters {
        println!("  {adapter}");
        println!("    limits: {}", limits_text(&adapter.target));
        let features = match adapter.features.as_slice() {
            [] => "none that Kiln uses".to_string(),
            features => features.join(", "),
        };
        println!("    features: {features}");
    }
    if adapters.is_empty() {
        println!("  none: no driver offers one");
    }
    println!(
        "  {}: always there, without limits of its own",
        Device::cpu()
    );
}

fn print_canary(device: &Device) {
    let Some(canary) = device.canary() else {
        return;
    };
    println!("canary: {:.0} ms", canary.seconds * 1e3);
    for finding in &canary.findings {
        let verdict = verdict_name(finding.verdict);
        println!("  {:<8} {verdict:<7} {}", finding.name, finding.found);
    }
    println!();
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Sound => "sound",
        Verdict::Avoided => "avoided",
        Verdict::Unsound => "UNSOUND",
    }
}

/// Null where nothing was tried.
fn canary_json(device: &Device) -> Value {
    let Some(canary) = device.canary() else {
        return Value::Null;
    };
    let finding = |finding: &Finding| {
        json!({
            "name": finding.name,
            "verdict": verdict_name(finding.verdict).to_lowercase(),
            "found": finding.found,
        })
    };
    json!({
        "sound": canary.is_sound(),
        "seconds": canary.seconds,
        "findings": canary.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn limits_text(target: &Target) -> String {
    let subgroup = target
        .subgroup
        .map_or("not of one size".into(), |lanes| format!("{lanes} lanes"));
    let iterations = match target.max_iterations {
        u64::MAX => "no cap".to_string(),
        cap => cap.to_string(),
    };
    format!(
        "binding {}, buffer {}, {} workgroups a dimension, {} storage buffers a stage, alignment {} B, \
         subgroups {subgroup}, loop iterations {iterations}",
        bytes(target.max_binding_bytes),
        bytes(target.max_buffer_bytes),
        target.max_workgroups,
        target.max_storage_buffers,
        target.alignment
    )
}

fn bytes(count: u64) -> String {
    match count >> 20 {
        mib @ 0..1024 => format!("{mib} MiB"),
        // A driver that has no limit says the largest number.
        mib if mib >= 1 << 30 => "no limit".into(),
        mib => format!("{:.1} GiB", mib as f64 / 1024.0),
    }
}

/// Null where there is no limit; null altogether for the CPU session.
fn limits_json(target: &Target) -> Value {
    let finite = |limit: u64| (limit < u64::MAX).then_some(limit);
    if target.class == Class::Cpu {
        return Value::Null;
    }
    json!({
        "max_binding_bytes": finite(target.max_binding_bytes),
        "max_buffer_bytes": finite(target.max_buffer_bytes),
        "max_workgroups": target.max_workgroups,
        "max_storage_buffers": target.max_storage_buffers,
        "alignment": target.alignment,
        "subgroup": target.subgroup,
        "max_iterations": finite(target.max_iterations),
    })
}

fn adapter_json(adapter: &AdapterSummary) -> Value {
    json!({
        "name": adapter.name,
        "kind": adapter.kind,
        "backend": adapter.backend,
        "driver": adapter.driver,
        "limits": limits_json(&adapter.target),
        "features": adapter.features,
    })
}

fn survey_json(survey: &Survey) -> Value {
    json!({
        "name": survey.name,
        "passed": survey.passed(),
        "cases": survey.cases,
        "runs": survey.runs,
        "elements": survey.elements,
        "nans": survey.nans,
        "worst": survey.worst,
        "at": survey.at,
        "families": survey.families,
        "seconds": survey.seconds,
        "failures": survey.failures,
    })
}
