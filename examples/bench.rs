//! Measures training and matrix products, and prints one JSON line.
#![allow(clippy::print_stdout)]

mod common;

use std::time::Instant;

use kiln::op::MatMul;
use kiln::prelude::*;
use serde_json::{Value, json};

const ABOUT: &str = "bench: measure, and print one JSON line
  mlp      --layers 784,128,10 --batch 128 --samples 60000 --epochs 1
           hidden ReLU, softmax cross-entropy, Adam 1e-3, synthetic data
  tiny     --epochs 100: the article's network, 8-10-8-1, BCE, Adam, 768 rows, batch 32
  profile  --layers 784,128,10 --batch 128 --samples 60000: every dispatch of a step, timed alone
  matmul   --m 512 --n 512 --k 512 [--ta] [--tb]";

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let device = arguments.device()?;
        let what = arguments.positional().unwrap_or_default();
        let result = match what.as_str() {
            "mlp" => {
                let layers = arguments
                    .value("layers")?
                    .unwrap_or_else(|| "784,128,10".into());
                let samples = arguments.number("samples", 60_000)?;
                let (batch, epochs) = (
                    arguments.number("batch", 128)?,
                    arguments.number("epochs", 1)?,
                );
                arguments.finish()?;
                mlp(&device, &layers, samples, batch, epochs)?
            }
            "profile" => {
                let layers = arguments
                    .value("layers")?
                    .unwrap_or_else(|| "784,128,10".into());
                let (samples, batch) = (
                    arguments.number("samples", 60_000)?,
                    arguments.number("batch", 128)?,
                );
                arguments.finish()?;
                profile(&device, &layers, samples, batch)?
            }
            "tiny" => {
                let epochs = arguments.number("epochs", 100)?;
                arguments.finish()?;
                let data = synthetic(768, 8, 2)?;
                let model = Sequential::new(8)
                    .dense(10, Relu)
                    .dense(8, Relu)
                    .dense(1, Sigmoid);
                let model =
                    model.compile_on(&device, BinaryCrossentropy, Adam::default(), [Accuracy])?;
                train(&device, model, &data, 32, epochs)?
            }
            "matmul" => {
                let sizes = [
                    arguments.number("m", 512)?,
                    arguments.number("n", 512)?,
                    arguments.number("k", 512)?,
                ];
                let transposed = (arguments.flag("ta"), arguments.flag("tb"));
                arguments.finish()?;
                matmul(&device, sizes, transposed)?
            }
            other => {
                let message = format!("`{other}` is not one of mlp, tiny, matmul\n{ABOUT}");
                return Err(Error::Argument {
                    name: "arguments",
                    message,
                });
            }
        };
        println!("{result}");
        Ok(())
    })
}

/// Rows that follow from their number alone, with labels that depend on them.
fn synthetic(rows: usize, columns: usize, classes: usize) -> Result<Dataset> {
    let mut state = 1u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let features: Vec<f32> = (0..rows * columns).map(|_| draw()).collect();
    // The class whose share of the columns has the largest sum.
    let share = |row: &[f32], class: usize| row.iter().skip(class).step_by(classes).sum::<f32>();
    let better = |row: &[f32], class: usize, best: usize| share(row, class) > share(row, best);
    let largest = |row: &[f32]| {
        (1..classes).fold(0, |best, class| {
            if better(row, class, best) {
                class
            } else {
                best
            }
        })
    };
    let labels = features
        .chunks_exact(columns)
        .map(|row| largest(row) as u32)
        .collect();
    Dataset::new(features, columns, Targets::Labels { labels, classes })
}

/// The layers' widths, from input to output.
fn widths(layers: &str) -> Result<Vec<usize>> {
    let parsed: std::result::Result<Vec<usize>, _> = layers.split(',').map(str::parse).collect();
    let widths =
        parsed.map_err(|error| Error::argument("layers", format!("`{layers}`: {error}")))?;
    if widths.len() < 2 || widths.contains(&0) {
        let message = format!("`{layers}` needs two widths at least, none of them 0");
        return Err(Error::argument("layers", message));
    }
    Ok(widths)
}

/// Hidden ReLU, softmax cross-entropy, Adam.
fn classifier(device: &Device, widths: &[usize]) -> Result<Model> {
    let (hidden, classes) = (&widths[1..widths.len() - 1], widths[widths.len() - 1]);
    let model = hidden
        .iter()
        .fold(Sequential::new(widths[0]), |model, &units| {
            model.dense(units, Relu)
        });
    let model = model.dense(classes, Softmax);
    model.compile_on(
        device,
        SparseCategoricalCrossentropy,
        Adam::new(1e-3),
        [Accuracy],
    )
}

fn mlp(device: &Device, layers: &str, samples: usize, batch: usize, epochs: u64) -> Result<Value> {
    let widths = widths(layers)?;
    let data = synthetic(samples, widths[0], widths[widths.len() - 1])?;
    train(device, classifier(device, &widths)?, &data, batch, epochs)
}

fn profile(device: &Device, layers: &str, samples: usize, batch: usize) -> Result<Value> {
    let model = classifier(device, &widths(layers)?)?;
    let (_, plan) = model.inspect(samples, batch)?;
    let mut session = device.open(&plan)?;
    let times = session.profile("train", 20)?;
    let total: f64 = times.iter().map(|(_, seconds)| seconds).sum();
    for (label, seconds) in &times {
        println!(
            "{:>10.1} µs {:>5.1} %  {label}",
            seconds * 1e6,
            100.0 * seconds / total
        );
    }
    Ok(json!({ "device": device.to_string(), "step_us": total * 1e6, "dispatches": times.len() }))
}

/// A short run that compiles and warms up, then the measured one.
fn train(
    device: &Device,
    mut model: Model,
    data: &Dataset,
    batch: usize,
    epochs: u64,
) -> Result<Value> {
    let first = model.fit(data, Fit::steps(64).batch_size(batch).silent())?;
    let history = model.fit(data, Fit::epochs(epochs).batch_size(batch).silent())?;
    let seconds: f64 = history
        .epochs
        .iter()
        .map(|epoch| epoch.time.as_secs_f64())
        .sum();
    let samples: u64 = history.epochs.iter().map(|epoch| epoch.samples).sum();
    let (steps, counters) = (history.steps as f64, history.counters);
    let (bytes, bound) = model.bytes()?;
    // What the device's account saw; the CPU sessions have none.
    let peak = match counters.peak_bytes {
        0 => bytes,
        peak => peak,
    };
    let per_submit = if counters.submits == 0 {
        0.0
    } else {
        counters.passes as f64 / counters.submits as f64
    };
    let planned = model.plan()?.program("train")?.calls.len();
    Ok(json!({
        "device": device.to_string(),
        "adapter": device.adapter_summary().map(|adapter| adapter.name.clone()),
        "kernels": model.plan()?.target.to_string(),
        "steps": history.steps,
        "steps_per_s": steps / seconds,
        "samples_per_s": samples as f64 / seconds,
        "first_step_ms": first.first_step.as_secs_f64() * 1e3,
        "loss": history.loss().last(),
        "calls_per_step": planned,
        "dispatches_per_step": counters.dispatches as f64 / steps,
        "passes_per_submit": per_submit,
        "submits": counters.submits,
        "readbacks": counters.readbacks,
        "uploads_per_step": counters.uploads as f64 / steps,
        "upload_bytes_per_step": counters.upload_bytes as f64 / steps,
        "objects_per_step": counters.objects as f64 / steps,
        "readbacks_per_step": counters.readbacks as f64 / steps,
        "peak_bytes": peak,
        "peak_lower_bound_bytes": bound,
    }))
}

fn matmul(device: &Device, [m, n, k]: [usize; 3], (ta, tb): (bool, bool)) -> Result<Value> {
    let graph = Graph::new();
    let values = |len: usize| {
        (0..len)
            .map(|i| (i % 17) as f32 / 17.0 - 0.5)
            .collect::<Vec<_>>()
    };
    let a = graph.parameter("a", if ta { [k, m] } else { [m, k] }, &values(m * k));
    let b = graph.parameter("b", if tb { [n, k] } else { [k, n] }, &values(k * n));
    let y = graph.apply_one(
        MatMul {
            transpose_a: ta,
            transpose_b: tb,
        },
        &[&a, &b],
    );
    let plan = graph.compile(device.target(), [Program::new("product").fetch("y", &y)])?;
    let mut session = device.open(&plan)?;
    let flops = 2.0 * m as f64 * n as f64 * k as f64;
    let mut time = |steps: u64| -> Result<f64> {
        let begun = Instant::now();
        session.run("product", steps)?;
        session.read("y")?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let first = time(1)?;
    // Enough products for 200 ms, the median of five such runs.
    let steps = (0.2 / time(1)?).clamp(1.0, 10_000.0) as u64;
    let mut runs = (0..5).map(|_| time(steps)).collect::<Result<Vec<f64>>>()?;
    runs.sort_by(f64::total_cmp);
    let kernel = plan.programs[0].calls[0]
        .launches
        .first()
        .map(|launch| launch.entry);
    Ok(json!({
        "device": device.to_string(), "kernels": plan.target.to_string(), "kernel": kernel,
        "m": m, "n": n, "k": k, "ta": ta, "tb": tb,
        "gflop_per_s": flops * steps as f64 / runs[2] / 1e9,
        "first_ms": first * 1e3,
    }))
}
