//! The models and data that are measured, and how a training run is.

use kiln::prelude::*;
use serde_json::{Value, json};

/// Rows that follow from their number alone, with labels that depend on them.
pub fn synthetic(rows: usize, columns: usize, classes: usize) -> Result<Dataset> {
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
pub fn widths(layers: &str) -> Result<Vec<usize>> {
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
pub fn classifier(device: &Device, widths: &[usize]) -> Result<Model> {
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

/// 8-10-8-1: hidden ReLU, a sigmoid, binary cross-entropy, Adam.
pub fn tiny_network(device: &Device) -> Result<Model> {
    let model = Sequential::new(8)
        .dense(10, Relu)
        .dense(8, Relu)
        .dense(1, Sigmoid);
    model.compile_on(device, BinaryCrossentropy, Adam::default(), [Accuracy])
}

/// A short run that compiles and warms up, then the measured ones: the median of `repeat` by steps a second.
pub fn train(
    device: &Device,
    model: &mut Model,
    data: &Dataset,
    batch: usize,
    length: impl Fn() -> Fit<'static>,
    repeat: usize,
) -> Result<Value> {
    let first = model.fit(data, Fit::steps(64).batch_size(batch).silent())?;
    let mut runs = Vec::new();
    for _ in 0..repeat.max(1) {
        let history = model.fit(data, length().batch_size(batch).silent())?;
        let seconds: f64 = history
            .epochs
            .iter()
            .map(|epoch| epoch.time.as_secs_f64())
            .sum();
        runs.push((history.steps as f64 / seconds, seconds, history));
    }
    runs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (steps_per_s, seconds, history) = runs.swap_remove(runs.len() / 2);
    let samples: u64 = history.epochs.iter().map(|epoch| epoch.samples).sum();
    let (steps, counters) = (history.steps as f64, history.counters);
    let (bytes, bound) = model.bytes()?;
    // What the device's account saw; the CPU sessions have none.
    let (peak, resident) = match counters.peak_bytes {
        0 => (bytes, bytes),
        peak => (peak, counters.peak_resident_bytes),
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
        "steps_per_s": steps_per_s,
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
        "peak_resident_bytes": resident,
        "peak_lower_bound_bytes": bound,
        "process_peak_mb": process_peak_mb(),
    }))
}

/// The most memory that this process has had so far, in MB of 2²⁰ bytes, where the system tells it: Linux.
fn process_peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}
