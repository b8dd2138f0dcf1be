//! Time per step against batch, width and depth: a plot, a table, and where the time per FLOP jumps.

use std::path::Path;

use kiln::prelude::*;
use kiln_tools::chart::{self, Plot, PlotSeries, Style};

use crate::models::{classifier, synthetic};
use crate::profile::Roofline;

/// Sizes of one axis and what they cost.
struct Curve {
    axis: &'static str,
    about: &'static str,
    /// Size, seconds per step, FLOPs of a step.
    points: Vec<(usize, f64, f64)>,
}

impl Curve {
    /// The largest growth of time per FLOP between neighbours, and at which size.
    fn cliff(&self) -> Option<(usize, f64)> {
        self.points
            .windows(2)
            .map(|pair| {
                let per_flop = |p: (usize, f64, f64)| p.1 / p.2;
                (pair[1].0, per_flop(pair[1]) / per_flop(pair[0]))
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// Measures the axes and writes `out` (an SVG) and the table beside it (`out` with the ending `md`).
pub fn run(devices: &[Device], out: &Path, most: usize) -> Result<()> {
    let mut table = String::from(
        "# Time per step against batch, width and depth\n\nWritten by `bench scaling`: the best of three runs of training by `fit`.\n\n",
    );
    let mut all = Vec::new();
    for device in devices {
        for curve in curves(device, most)? {
            text(&mut table, device, &curve);
            all.push((device.to_string(), curve));
        }
    }
    print!("{table}");
    let path = out.with_extension("md");
    std::fs::write(&path, &table).map_err(|error| unwritable(&path, &error.to_string()))?;
    plot(&all, out)
}

fn unwritable(path: &Path, why: &str) -> Error {
    Error::argument("out", format!("cannot write {}: {why}", path.display()))
}

fn curves(device: &Device, most: usize) -> Result<Vec<Curve>> {
    let powers = |from: usize, to: usize| {
        let sizes = std::iter::successors(Some(from), |size| Some(size * 2));
        sizes.take_while(move |&size| size <= to.min(most))
    };
    let hidden = |width: usize, depth: usize| {
        let mut widths = vec![64];
        widths.extend(std::iter::repeat_n(width, depth));
        widths.push(10);
        widths
    };
    let curve = |axis, about, cases: Vec<(usize, Vec<usize>, usize)>| -> Result<Curve> {
        let mut points = Vec::new();
        for (size, widths, batch) in cases {
            let seconds = step(device, &widths, batch)?;
            points.push((size, seconds, Roofline::of(&widths, batch).flops));
        }
        Ok(Curve {
            axis,
            about,
            points,
        })
    };
    Ok(vec![
        curve(
            "batch",
            "64-256-256-10",
            powers(1, 4096).map(|b| (b, hidden(256, 2), b)).collect(),
        )?,
        curve(
            "width",
            "64-w-w-10, batch 64",
            powers(8, 4096).map(|w| (w, hidden(w, 2), 64)).collect(),
        )?,
        curve(
            "depth",
            "64-(64 × depth)-10, batch 64",
            powers(1, 64).map(|d| (d, hidden(64, d), 64)).collect(),
        )?,
    ])
}

/// Fewer steps than these are too few for a network's own kernel.
const MANY: u64 = 512;

/// Seconds per step: the best of three runs of about 150 ms, so that a disturbance does not count; longer ones where steps
/// are so short that they should be many.
fn step(device: &Device, widths: &[usize], batch: usize) -> Result<f64> {
    let data = synthetic(batch.max(256), widths[0], 10)?;
    let mut model = classifier(device, widths)?;
    let mut seconds = |steps: u64| -> Result<f64> {
        let begun = std::time::Instant::now();
        model.fit(&data, Fit::steps(steps).batch_size(batch).silent())?;
        Ok(begun.elapsed().as_secs_f64() / steps as f64)
    };
    seconds(2)?;
    let of_step = seconds(4)?;
    let least = if of_step < 1.5e-3 { MANY } else { 2 };
    let steps = ((0.15 / of_step) as u64).clamp(least, 4096);
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        best = best.min(seconds(steps)?);
    }
    Ok(best)
}

fn text(table: &mut String, device: &Device, curve: &Curve) {
    let mut line = |text: String| {
        table.push_str(&text);
        table.push('\n');
    };
    line(format!("## {} ({}), {device}\n", curve.axis, curve.about));
    line(format!(
        "| {} | µs per step | GFLOP/s | time per FLOP, to the size before |",
        curve.axis
    ));
    line("|--:|--:|--:|--:|".into());
    let mut before: Option<f64> = None;
    for &(size, seconds, flops) in &curve.points {
        let per_flop = seconds / flops;
        let growth = before.map_or("–".into(), |before| format!("{:.2}", per_flop / before));
        line(format!(
            "| {size} | {:.0} | {:.2} | {growth} |",
            seconds * 1e6,
            flops / seconds / 1e9
        ));
        before = Some(per_flop);
    }
    if let Some((size, growth)) = curve.cliff() {
        line(format!(
            "\nThe time per FLOP is {growth:.2} times that of the size before at most, at {size}.\n"
        ));
    }
}

/// A plot for each axis, with a line for each device.
fn plot(all: &[(String, Curve)], out: &Path) -> Result<()> {
    let plots = ["batch", "width", "depth"].map(|axis| {
        let mine = all.iter().filter(|(_, curve)| curve.axis == axis);
        let series = mine.map(|(name, curve)| PlotSeries {
            // The device's own name, without driver and version.
            label: name.split(" (").next().unwrap_or(name).into(),
            points: curve
                .points
                .iter()
                .map(|point| (point.0 as f64, point.1 * 1e6))
                .collect(),
            style: Style::LineAndDots,
        });
        Plot {
            title: format!("µs per step against {axis}"),
            x: axis,
            logarithmic: true,
            series: series.collect(),
            ..Plot::default()
        }
    });
    let svg = chart::svg((400.0, 420.0), &plots);
    std::fs::write(out, svg).map_err(|error| Error::io(out, error))
}
