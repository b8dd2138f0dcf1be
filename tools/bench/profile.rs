//! Where a step's time goes: a table of its dispatches, the roofline of the whole step, and a trace file.

use std::path::Path;

use kiln::Plan;
use kiln::gpu::Profile;
use kiln::plan::PlannedProgram;
use kiln::prelude::*;
use serde_json::{Value, json};

/// The least that a step of a classifier must compute and move, whatever runs it.
pub struct Roofline {
    pub flops: f64,
    pub bytes: f64,
}

impl Roofline {
    /// FLOPs = 6·B·Σ dₗ₋₁dₗ − 2·B·d0·d1: three products a layer, without the gradient of the input. Bytes = 32·P + 24·B·Σ dₗ
    /// + 8·B·d0: Adam joined with the gradients, every activation and its gradient written and read thrice, a batch gathered.
    pub fn of(widths: &[usize], batch: usize) -> Self {
        let batch = batch as f64;
        let pairs = || widths.windows(2).map(|w| (w[0] as f64, w[1] as f64));
        let products: f64 = pairs().map(|(i, o)| i * o).sum();
        let parameters: f64 = pairs().map(|(i, o)| i * o + o).sum();
        let units: f64 = pairs().map(|(_, o)| o).sum();
        let inputs = widths[0] as f64;
        Roofline {
            flops: 6.0 * batch * products - 2.0 * batch * inputs * widths[1] as f64,
            bytes: 32.0 * parameters + 24.0 * batch * units + 8.0 * batch * inputs,
        }
    }
}

/// Measures one step of training and prints both tables.
pub fn print(
    device: &Device,
    model: &Model,
    widths: &[usize],
    samples: usize,
    batch: usize,
    trace: Option<&Path>,
) -> Result<Value> {
    let (_, plan) = model.inspect(samples, batch)?;
    let program = plan.program("train")?;
    let mut session = device.open(&plan)?;
    let profile = session.profile("train", 20)?;
    let total = profile.seconds();
    dispatches(program, &profile);
    let roofline = Roofline::of(widths, batch);
    let (flops, padded, bytes) = (
        program.flops() as f64,
        program.padded_flops() as f64,
        program.bytes() as f64,
    );
    println!();
    println!(
        "{:<34} {:>12.3} MFLOP {:>12.3} MB",
        "roofline of the step",
        roofline.flops / 1e6,
        roofline.bytes / 1e6
    );
    println!(
        "{:<34} {:>12.3} MFLOP {:>12.3} MB",
        "the plan",
        flops / 1e6,
        bytes / 1e6
    );
    let bytes_ratio = bytes / roofline.bytes;
    let padded_ratio = if flops > 0.0 { padded / flops } else { 1.0 };
    println!("{:<34} {bytes_ratio:>12.2}", "modelled / roofline bytes");
    println!("{:<34} {padded_ratio:>12.2}", "executed / useful FLOPs");
    let mut result = json!({
        "device": device.to_string(), "dispatches": profile.timings.len(),
        "bytes_ratio": bytes_ratio, "padded_ratio": padded_ratio,
    });
    if total > 0.0 {
        let peak = peak(device)?;
        let (compute, memory) = (roofline.flops / peak.flops, roofline.bytes / peak.bytes);
        let (bound, least) = if compute > memory {
            ("compute", compute)
        } else {
            ("memory", memory)
        };
        println!(
            "{:<34} {:>12.1} GFLOP/s {:>10.1} GB/s",
            "best measured here",
            peak.flops / 1e9,
            peak.bytes / 1e9
        );
        println!(
            "{:<34} {:>12.1} GFLOP/s {:>10.1} GB/s",
            "achieved",
            roofline.flops / total / 1e9,
            roofline.bytes / total / 1e9
        );
        println!(
            "{:<34} {:>12} {:>6.1} % of it achieved",
            "bound",
            bound,
            100.0 * least / total
        );
        result["step_us"] = json!(total * 1e6);
        result["bound"] = json!(bound);
        result["achieved"] = json!(least / total);
    }
    if let Some(path) = trace {
        write_trace(path, device, &profile)?;
    }
    Ok(result)
}

fn dispatches(program: &PlannedProgram, profile: &Profile) {
    let total = profile.seconds();
    println!(
        "{:<44} {:>12} {:>10} {:>6} {:>10} {:>10} {:>9} {:>8}",
        "op (kernel)", "grid", "µs", "%", "MFLOP", "MB", "GFLOP/s", "GB/s"
    );
    for timing in &profile.timings {
        let call = &program.calls[timing.at.0];
        // The CPU sessions run calls without dispatches.
        let launch = call.launches.get(timing.at.1);
        // A call's operands are counted at its first dispatch.
        let bytes = if timing.at.1 == 0 { call.bytes() } else { 0 };
        let (flops, bytes) = (launch.map_or(0, |l| l.flops) as f64, bytes as f64);
        let grid = launch.map_or(String::new(), |l| l.grid.map(|n| n.to_string()).join("×"));
        println!(
            "{:<44} {grid:>12} {:>10.1} {:>6.1} {:>10.3} {:>10.3} {:>9.2} {:>8.2}",
            timing.label,
            timing.seconds * 1e6,
            100.0 * timing.seconds / total,
            flops / 1e6,
            bytes / 1e6,
            flops / timing.seconds / 1e9,
            bytes / timing.seconds / 1e9,
        );
    }
    if !profile.timings.is_empty() {
        let how = if profile.timestamps {
            "the device's clock, a pass for each dispatch"
        } else {
            "the host's clock, each dispatch repeated alone"
        };
        println!(
            "{:<44} {:>12} {:>10.1}  by {how}",
            "sum",
            profile.timings.len(),
            total * 1e6
        );
    }
}

struct Peak {
    flops: f64,
    bytes: f64,
}

/// The best that this library reaches on the device: a product of 1024³, and the sum of two vectors of 4 M numbers.
fn peak(device: &Device) -> Result<Peak> {
    let product = crate::products::measure(device, [1024; 3], (false, false))?;
    let graph = Graph::new();
    let len = 4 << 20;
    let a = graph.parameter("a", [len], &vec![1.0; len]);
    let b = graph.parameter("b", [len], &vec![2.0; len]);
    let sum = &a + &b;
    let plan = Plan::compile(
        &graph,
        device.target(),
        [Program::new("sum").fetch("y", &sum)],
    )?;
    let mut session = device.open(&plan)?;
    let profile = session.profile("sum", 5)?;
    Ok(Peak {
        flops: product["gflop_per_s"].as_f64().unwrap_or(0.0) * 1e9,
        bytes: 12.0 * len as f64 / profile.seconds().max(1e-12),
    })
}

/// The step in the format that Chrome and Perfetto open: one event a dispatch, in µs.
fn write_trace(path: &Path, device: &Device, profile: &Profile) -> Result<()> {
    let events: Vec<Value> = profile
        .timings
        .iter()
        .map(|timing| {
            json!({
                "name": timing.label, "ph": "X", "pid": 1, "tid": 1,
                "ts": timing.begin * 1e6, "dur": timing.seconds * 1e6,
            })
        })
        .collect();
    let trace = json!({
        "traceEvents": events, "displayTimeUnit": "ns",
        "otherData": { "device": device.to_string(), "timestamps": profile.timestamps },
    });
    crate::results::write(path, &trace)
}
