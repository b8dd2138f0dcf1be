//! Which device trains a model fastest: both measured when asked, or estimated without measuring.

use std::fmt;
use std::time::Duration;

use crate::edge::WallTime;
use crate::session::ElementsRef;
use crate::{Device, Error, Result, Session};

use super::estimate::estimate;
use super::model::Model;
use super::programs::{Capacity, ClockStart, Extent, Recipe, RowProgram, RunHandles};

/// The time for measuring each of two devices.
const SHARE: Duration = Duration::from_millis(40);

/// The answer of [`Device::fastest`].
#[derive(Debug)]
pub struct Fastest {
    /// The device that trains the model fastest.
    pub device: Device,
    /// What a step takes on the CPU session, then on the adapter, if there is one that can train the model.
    pub figures: Vec<Figure>,
    /// Why an adapter that was found cannot.
    pub refused: Option<Error>,
    /// How long measuring took, without the opening of sessions and their first step.
    pub measured_in: Duration,
}

/// A device's time for a training step.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The device.
    pub device: Device,
    /// Seconds of a step.
    pub seconds_per_step: f64,
    /// Whether it was measured; else it is an estimate by rule.
    pub measured: bool,
}

impl fmt::Display for Fastest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for figure in &self.figures {
            let chosen = figure.device.to_string() == self.device.to_string();
            let (mark, how) = (
                if chosen { "→" } else { " " },
                if figure.measured {
                    "measured"
                } else {
                    "estimated"
                },
            );
            let rate = 1.0 / figure.seconds_per_step;
            writeln!(f, "{mark} {}: {rate:.0} steps/s ({how})", figure.device)?;
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
        let mut figures = Vec::new();
        let mut measured_in = Duration::ZERO;
        if let Some(other) = other {
            match measure(model, &other, batch) {
                Ok((seconds_per_step, time)) => {
                    measured_in += time;
                    figures.push(Figure {
                        device: other,
                        seconds_per_step,
                        measured: true,
                    });
                }
                Err(error) => refused = Some(error),
            }
        }
        let measured = !figures.is_empty();
        let seconds_per_step = if measured {
            let (seconds, time) = measure(model, &cpu, batch)?;
            measured_in += time;
            seconds
        } else {
            estimate(&model.architecture, &cpu, batch)
        };
        figures.insert(
            0,
            Figure {
                device: cpu.clone(),
                seconds_per_step,
                measured,
            },
        );
        let fastest = figures
            .iter()
            .min_by(|a, b| a.seconds_per_step.total_cmp(&b.seconds_per_step));
        Ok(Fastest {
            device: fastest.map_or(cpu, |figure| figure.device.clone()),
            figures,
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

fn run(device: &Device, open: &mut Opened, steps: u64) -> Result<()> {
    let Opened { session, handles } = open;
    let pending = session.submit_program(handles.program, steps, &handles.sums[..1])?;
    device.block_on(session.finish(pending)).map(drop)
}

/// A session to measure, and what is reached of it.
struct Opened {
    session: Session,
    handles: RunHandles,
}

/// A session that trains the model on random rows.
fn opened(model: &Model, device: &Device, batch: usize) -> Result<Opened> {
    let rows = 8192.min(batch.saturating_mul(16)).max(batch);
    let recipe = Recipe {
        target: device.target(),
        ..model.recipe()
    };
    let plan = recipe.build(Capacity {
        train: Some(Extent::new(rows, batch)),
        evaluate: None,
    })?;
    let handles = recipe.handles(&plan)?;
    let handles = handles.rows(RowProgram::Train)?.clone();
    let mut session = device.open(&plan)?;
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
    Ok(Opened { session, handles })
}
