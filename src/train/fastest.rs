//! Which device trains a model fastest: both measured when asked, or estimated without measuring.

use std::fmt;
use std::time::Duration;

use crate::edge::WallTime;
use crate::session::ElementsRef;
use crate::{Device, Error, Result};

use super::engine::Open;
use super::estimate::estimate;
use super::model::Model;
use super::programs::{Capacity, ClockStart, Extent, Recipe, RowProgram};

/// The time for measuring each of two devices.
const SHARE: Duration = Duration::from_millis(40);

/// The answer of [`Device::fastest`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Fastest {
    /// The device that trains the model fastest.
    pub device: Device,
    /// Seconds of a step on the CPU session, then on the adapter, if there is one that can train the model.
    pub seconds_per_step: Vec<(Device, f64)>,
    /// Whether they were measured; else they are an estimate by rule.
    pub measured: bool,
    /// Why an adapter that was found cannot.
    pub refused: Option<Error>,
    /// How long measuring took, without the opening of sessions and their first step.
    pub measured_in: Duration,
}

impl fmt::Display for Fastest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.measured {
            "measured"
        } else {
            "estimated"
        };
        for (device, seconds) in &self.seconds_per_step {
            let chosen = device.to_string() == self.device.to_string();
            let mark = if chosen { "→" } else { " " };
            writeln!(f, "{mark} {device}: {:.0} steps/s ({how})", 1.0 / seconds)?;
        }
        match &self.refused {
            Some(error) => writeln!(f, "  an adapter cannot train it: {error}"),
            None => Ok(()),
        }
    }
}

impl Device {
    /// Measures which device trains `model` in steps of `batch` rows fastest: the CPU session, or the adapter that the
    /// model was compiled for, else the best hardware adapter. A software adapter is measured only where the model was
    /// compiled for it.
    ///
    /// Each device runs the model's own training step on random rows for at most 40 ms, 80 ms in all; a step that takes
    /// longer is measured once. Opening the two sessions and the first step on each, which compiles the kernels, come before
    /// that: about a second on a driver that has never seen the kernels, and no wait there is longer than
    /// [`Options::deadline`](crate::Options). At most 8192 rows are uploaded, or one batch. The model itself stays as it is;
    /// [`Model::move_to`] takes it to the device chosen.
    ///
    /// Where there is no adapter to compare with nothing is run: the CPU session is the answer, with an estimate.
    ///
    /// # Errors
    ///
    /// A batch of no rows, and what compiling the model or training it on the CPU session raises. An adapter that cannot
    /// train it is no error: [`Fastest::refused`] says why.
    pub fn fastest(model: &Model, batch: usize) -> Result<Fastest> {
        if batch == 0 {
            return Err(Error::argument("batch", "must be at least 1, got 0"));
        }
        let cpu = Device::cpu();
        let (other, mut refused) = match model.device().gpu() {
            Some(_) => (Some(model.device().clone()), None),
            None => match Device::best() {
                Ok(best) => (best.gpu().is_some().then_some(best), None),
                Err(error) => (None, Some(error)),
            },
        };
        let (mut seconds_per_step, mut measured_in) = (Vec::new(), Duration::ZERO);
        if let Some(other) = other {
            match measure(model, &other, batch) {
                Ok((seconds, time)) => {
                    let (on_cpu, time_on_cpu) = measure(model, &cpu, batch)?;
                    measured_in = time + time_on_cpu;
                    seconds_per_step = vec![(cpu.clone(), on_cpu), (other, seconds)];
                }
                Err(error) => refused = Some(error),
            }
        }
        let measured = !seconds_per_step.is_empty();
        if !measured {
            let estimated = estimate(&model.architecture, &cpu, batch);
            seconds_per_step.push((cpu.clone(), estimated));
        }
        let each = seconds_per_step.iter();
        let fastest = each.min_by(|(_, a), (_, b)| a.total_cmp(b));
        Ok(Fastest {
            device: fastest.map_or(cpu, |(device, _)| device.clone()),
            seconds_per_step,
            measured,
            refused,
            measured_in,
        })
    }
}

/// Seconds of a step on a device, and how long finding that out took after its first step.
fn measure(model: &Model, device: &Device, batch: usize) -> Result<(f64, Duration)> {
    let mut open = opened(model, device, batch)?;
    run(device, &mut open, 1)?;
    let begun = WallTime::now();
    let (mut steps, mut best) = (1, f64::INFINITY);
    loop {
        let run_begun = WallTime::now();
        run(device, &mut open, steps)?;
        let seconds = run_begun.elapsed().as_secs_f64() / steps as f64;
        best = best.min(seconds);
        // Half of what is left, so that a run that takes twice the time is still within it.
        let left = SHARE.saturating_sub(begun.elapsed()).as_secs_f64();
        let next = ((left / 2.0 / seconds.max(1e-9)) as u64).min(steps.saturating_mul(4));
        if next == 0 || left < SHARE.as_secs_f64() / 8.0 {
            return Ok((best, begun.elapsed()));
        }
        steps = next;
    }
}

fn run(device: &Device, open: &mut Open, steps: u64) -> Result<()> {
    let (session, handles) = open.program(RowProgram::Train)?;
    let pending = session.submit_program(handles.program, steps, &handles.sums[..1])?;
    device.block_on(session.finish(pending)).map(drop)
}

fn opened(model: &Model, device: &Device, batch: usize) -> Result<Open> {
    let rows = 8192.min(batch.saturating_mul(16)).max(batch);
    let recipe = Recipe {
        target: device.target(),
        ..model.recipe()
    };
    let mut open = Open::new(
        &recipe,
        Capacity::training(Extent::new(rows, batch)),
        device,
    )?;
    let (session, handles) = open.program(RowProgram::Train)?;
    // Any numbers will do, as long as none is special: Weyl's sequence in [0, 1).
    let number = |at: usize| (at as u32).wrapping_mul(0x9e37_79b9) >> 8;
    for chunk in handles.arrays.iter().flatten() {
        let len = usize::try_from(chunk.elements()).unwrap_or(usize::MAX);
        if chunk.is_integer() {
            // Labels that every output has.
            let outputs = 0..model.architecture.outputs.len();
            let classes = outputs.map(|output| model.architecture.places_of(output).1);
            let classes = classes.min().unwrap_or(1) as u32;
            let labels: Vec<u32> = (0..len).map(|at| number(at) % classes).collect();
            session.put(*chunk, 0, ElementsRef::U32(&labels))?;
        } else {
            let unit = 1.0 / (1u32 << 24) as f32;
            let values: Vec<f32> = (0..len).map(|at| number(at) as f32 * unit).collect();
            session.put(*chunk, 0, ElementsRef::F32(&values))?;
        }
    }
    let start = ClockStart {
        shuffles: vec![Some(1)],
        ..ClockStart::at_beginning(rows)
    };
    session.put(handles.cursor, 0, ElementsRef::U32(&start.words()))?;
    Ok(open)
}
