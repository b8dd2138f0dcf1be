//! The measures by which the engine's speed is judged, each with its target, on one device.

use std::path::Path;
use std::time::Instant;

use kiln::plan::{Class, Plan, Target as PlanTarget};
use kiln::prelude::*;
use serde_json::Value;

use crate::models::{classifier, synthetic, tiny_network, train};
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
    /// Its name among the peers' results, and the ratios to reach: to the best of those on the processor, to burn-wgpu.
    peers: (&'static str, f64, f64),
    widths: &'static [usize],
    batch: usize,
    samples: usize,
    steps: u64,
    rates: [Option<f64>; 3],
}

/// Prints the table. A miss is a line of it, not an error: timings are the machine's.
///
/// `peers` is a file of results of other engines on the same work and machine, a JSON object a line: `peer`, `w`, `steps_s`.
pub fn run(device: &Device, peers: Option<&Path>) -> Result<()> {
    let peers = peers.map(crate::results::lines).transpose()?;
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
            peers: ("w1", 1.0, 1.0),
            rates: [Some(50_000.0), Some(20_000.0), Some(200_000.0)],
        },
        Training {
            name: "784-128-10, batch 128",
            widths: &[784, 128, 10],
            batch: 128,
            samples: 8_192,
            steps: 1_000,
            peers: ("w2", 1.2, 6.0),
            rates: [Some(400.0), None, None],
        },
        Training {
            name: "784-1024-1024-10, batch 512",
            widths: &[784, 1024, 1024, 10],
            batch: 512,
            samples: 4_096,
            steps: 24,
            peers: ("w3", 1.05, 3.0),
            rates: [Some(8.0), None, None],
        },
    ];
    for model in models {
        let Training {
            name,
            widths,
            batch,
            samples,
            steps,
            peers: (work, of_processor, of_wgpu),
            rates,
        } = model;
        let tiny = widths[widths.len() - 1] == 1;
        let classes = if tiny { 2 } else { widths[widths.len() - 1] };
        let data = synthetic(samples, widths[0], classes)?;
        let build = || match tiny {
            true => tiny_network(device),
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
        for peers in peers.iter() {
            let (on_wgpu, least) = if cpu {
                (false, of_processor)
            } else {
                (true, of_wgpu)
            };
            if let Some((name, rate)) = best_peer(peers, work, on_wgpu) {
                let ratio = number("steps_per_s") / rate;
                let what = format!("  of {name}'s {rate:.0} steps/s");
                report.line(&what, ratio, "", Target::AtLeast(least));
            }
        }
        let plan = model.plan()?;
        if !cpu {
            let made = number("dispatches_per_step");
            if tiny {
                report.line("  dispatches a step", made, "", Target::AtMost(0.01));
            } else {
                let most = Target::AtMost(2.0 * widths.len() as f64 - 1.0);
                let planned = on_a_gpu(widths, samples, batch)?;
                let train = planned.program("train")?;
                let dispatches = train.dispatches() as f64;
                report.line(
                    "  dispatches a step, on a GPU (2L + 1)",
                    dispatches,
                    "",
                    most,
                );
                let roofline = Roofline::of(widths, batch);
                let bytes = train.bytes() as f64 / roofline.bytes;
                let flops = train.padded_flops() as f64 / roofline.flops;
                let (of_bytes, of_flops) = (Target::AtMost(1.5), Target::AtMost(1.15));
                report.line("  modelled / roofline bytes, on a GPU", bytes, "", of_bytes);
                report.line("  executed / useful FLOPs, on a GPU", flops, "", of_flops);
                report.line("  dispatches a step, here", made, "", Target::None);
            }
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
            let readbacks = number("readbacks") / epochs.ceil();
            report.line("  readbacks an epoch", readbacks, "", Target::AtMost(1.0));
        }
        let bound = number("peak_lower_bound_bytes");
        let resident = number("peak_resident_bytes") / plan.lower_bound_bytes() as f64;
        let most = Target::AtMost(1.05);
        report.line(
            "  peak bytes on the device / lower bound",
            resident,
            "",
            most,
        );
        let all = number("peak_bytes") / bound;
        report.line(
            "  with what is on its way to the host",
            all,
            "",
            Target::None,
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
                let ratio = program.padded_flops() as f64 / Roofline::of(widths, batch).flops;
                report.line("  executed / useful FLOPs", ratio, "", Target::AtMost(1.15));
            }
        }
    }
    let population = crate::population::measure(device, &synthetic(768, 8, 2)?, 64, 40)?;
    let ratio = population["ratio"].as_f64().unwrap_or(f64::NAN);
    let least = Target::AtLeast(1.8);
    report.line("64 networks of 8-10-8-1, of one's rate", ratio, "", least);
    let dispatches = |of: &str| population[of].as_f64().unwrap_or(f64::NAN);
    let more = dispatches("dispatches") / dispatches("dispatches_of_one").max(1.0);
    // For as many steps they are one's, but a dispatch ends after 50 ms, which are fewer steps where networks are many.
    report.line("  their dispatches / those of one", more, "", Target::None);
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

/// The plan for a desktop GPU, whether one is at hand or not.
fn on_a_gpu(widths: &[usize], samples: usize, batch: usize) -> Result<Plan> {
    let device = Device::cpu().with_target(|_| PlanTarget {
        max_storage_buffers: 16,
        max_binding_bytes: 1 << 30,
        max_buffer_bytes: 1 << 30,
        ..PlanTarget::new(Class::Gpu, None)
    });
    Ok(classifier(&device, widths)?.inspect(samples, batch)?.1)
}

/// The fastest other engine on that work, on the processor or by wgpu, and its steps a second.
fn best_peer(peers: &[Value], work: &str, on_wgpu: bool) -> Option<(String, f64)> {
    let of_work = peers.iter().filter(|result| result["w"] == work);
    let rates = of_work.filter_map(|result| {
        let name = result["peer"].as_str()?;
        let wgpu = ["wgpu", "webgpu", "vulkan"]
            .iter()
            .any(|api| name.contains(api));
        (wgpu == on_wgpu).then_some((name.to_string(), result["steps_s"].as_f64()?))
    });
    rates.max_by(|a, b| a.1.total_cmp(&b.1))
}
