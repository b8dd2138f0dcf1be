//! The measures by which the engine's speed is judged, each with its target, on one device.

use std::time::Instant;

use kiln::prelude::*;

use crate::models::{article, classifier, synthetic, train};
use crate::profile::Roofline;

/// What a value must reach.
enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Reported only: the target is for another device.
    None,
}

/// The lines printed, and how many missed.
#[derive(Default)]
struct Report {
    judged: usize,
    missed: usize,
}

impl Report {
    fn line(&mut self, what: &str, value: f64, unit: &str, target: Target) {
        let (wanted, met) = match target {
            Target::AtLeast(least) => (format!("≥ {least}"), Some(value >= least)),
            Target::AtMost(most) => (format!("≤ {most}"), Some(value <= most)),
            Target::None => (String::new(), None),
        };
        let verdict = match met {
            Some(true) => "ok",
            Some(false) => "miss",
            None => "",
        };
        self.judged += usize::from(met.is_some());
        self.missed += usize::from(met == Some(false));
        println!("{what:<52} {value:>12.2} {unit:<9} {wanted:>12}  {verdict}");
    }
}

/// A model of the suite, with its targets by device: lavapipe, SwiftShader, the CPU session.
struct Training {
    name: &'static str,
    widths: &'static [usize],
    batch: usize,
    samples: usize,
    steps: u64,
    rates: [Option<f64>; 3],
}

/// Prints the table. A miss is a line of it, not an error: timings are the machine's.
pub fn run(device: &Device) -> Result<()> {
    let name = device.adapter_summary().map(|a| a.name.to_lowercase());
    let kind = match name.as_deref() {
        None => 2,
        Some(name) if name.contains("swiftshader") => 1,
        Some(name) if name.contains("llvmpipe") => 0,
        Some(_) => 3,
    };
    let cpu = device.adapter_summary().is_none();
    let at_least = |targets: [Option<f64>; 3]| {
        let known = targets.get(kind).copied().flatten();
        known.map_or(Target::None, Target::AtLeast)
    };
    let mut report = Report::default();
    println!("{device}");
    let models = [
        Training {
            name: "8-10-8-1, batch 32",
            widths: &[8, 10, 8, 1],
            batch: 32,
            samples: 768,
            steps: 20_000,
            rates: [Some(50_000.0), Some(20_000.0), Some(200_000.0)],
        },
        Training {
            name: "784-128-10, batch 128",
            widths: &[784, 128, 10],
            batch: 128,
            samples: 8_192,
            steps: 1_000,
            rates: [Some(400.0), None, Some(3_396.0)],
        },
        Training {
            name: "784-1024-1024-10, batch 512",
            widths: &[784, 1024, 1024, 10],
            batch: 512,
            samples: 4_096,
            steps: 24,
            rates: [Some(8.0), None, Some(71.4)],
        },
    ];
    for model in models {
        let Training {
            name,
            widths,
            batch,
            samples,
            steps,
            rates,
        } = model;
        let tiny = widths[widths.len() - 1] == 1;
        let classes = if tiny { 2 } else { widths[widths.len() - 1] };
        let data = synthetic(samples, widths[0], classes)?;
        let build = || match tiny {
            true => article(device),
            false => classifier(device, widths),
        };
        if tiny {
            let begun = Instant::now();
            build()?.fit(&data, Fit::steps(1).batch_size(batch).silent())?;
            let first = begun.elapsed().as_secs_f64() * 1e3;
            let most = if cpu { 5.0 } else { 150.0 };
            report.line("first step of 8-10-8-1", first, "ms", Target::AtMost(most));
        }
        let mut model = build()?;
        // One submission takes 64 steps at most to find its length.
        let result = train(device, &mut model, &data, batch, || Fit::steps(steps), 1)?;
        let number = |key: &str| result[key].as_f64().unwrap_or(f64::NAN);
        report.line(name, number("steps_per_s"), "steps/s", at_least(rates));
        let plan = model.plan()?;
        if !cpu {
            let (what, most) = match tiny {
                true => ("  dispatches a step", 0.01),
                false => (
                    "  dispatches a step (2L + 1)",
                    2.0 * widths.len() as f64 - 1.0,
                ),
            };
            report.line(
                what,
                number("dispatches_per_step"),
                "",
                Target::AtMost(most),
            );
            report.line(
                "  passes a submission",
                number("passes_per_submit"),
                "",
                Target::AtMost(1.0),
            );
            report.line(
                "  uploads a step",
                number("uploads_per_step"),
                "",
                Target::AtMost(0.0),
            );
            report.line(
                "  wgpu objects a step",
                number("objects_per_step"),
                "",
                Target::AtMost(0.0),
            );
            let epochs = (steps as f64 * batch as f64 / samples as f64).max(1.0);
            let per_epoch = (samples as f64 / batch as f64 / 64.0).ceil() + 1.0;
            let submits = number("submits") / epochs;
            report.line(
                "  submissions an epoch",
                submits,
                "",
                Target::AtMost(per_epoch),
            );
        }
        let ratio = number("peak_bytes") / number("peak_lower_bound_bytes");
        report.line(
            "  peak bytes / lower bound",
            ratio,
            "",
            Target::AtMost(1.05),
        );
        let program = plan.program("train")?;
        if !tiny {
            let ratio = program.bytes() as f64 / Roofline::of(widths, batch).bytes;
            report.line(
                "  modelled / roofline bytes",
                ratio,
                "",
                Target::AtMost(1.5),
            );
            if program.flops() > 0 {
                let ratio = program.padded_flops() as f64 / program.flops() as f64;
                report.line("  executed / useful FLOPs", ratio, "", Target::AtMost(1.15));
            }
        }
    }
    for size in [512, 1024] {
        for (name, transposed) in [
            ("NN", (false, false)),
            ("NT", (false, true)),
            ("TN", (true, false)),
        ] {
            let result = crate::products::measure(device, [size; 3], transposed)?;
            let rate = result["gflop_per_s"].as_f64().unwrap_or(f64::NAN);
            let targets = at_least([Some(45.0), None, None]);
            report.line(&format!("product {size}³ {name}"), rate, "GFLOP/s", targets);
        }
    }
    println!("{} of {} targets missed", report.missed, report.judged);
    Ok(())
}
