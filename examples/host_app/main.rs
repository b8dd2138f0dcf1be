//! A program that owns a wgpu device draws at 60 frames a second, and trains on the same device and thread in what time a
//! frame leaves. It has no window: the triangle is drawn into a texture.
#![allow(clippy::print_stdout)]

#[path = "../common/mod.rs"]
mod common;
mod triangle;

use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use kiln::prelude::*;
use kiln::train::{Interrupt, Lambda, Timing};
use triangle::Host;

const ABOUT: &str =
    "host_app: train within a budget of each frame, on the device of the program that draws
  --frames N      how many are drawn while it trains (default 600)
  --budget-ms X   what training may take of a frame, in milliseconds (default 2)
  --device NAME   part of the name of the adapter to draw and train on (default: a GPU, else a software driver)";

/// Frames drawn before the training, to tell what they take by themselves.
const ALONE: usize = 120;

const FRAME: Duration = Duration::from_micros(16_667);

fn main() -> std::process::ExitCode {
    common::run(|| {
        let mut arguments = common::Arguments::parse(ABOUT);
        let frames = arguments.number("frames", 600usize)?;
        let milliseconds = arguments.number("budget-ms", 2.0f64)?;
        let adapter = arguments.value("device")?.unwrap_or_default();
        arguments.finish()?;
        let budget = Duration::try_from_secs_f64(milliseconds / 1000.0);
        let budget = budget.map_err(|error| Error::argument("budget-ms", error.to_string()))?;

        let host = Host::new(&adapter)?;
        // A host that shares its device asks wgpu for the adapter's limits, and hands Kiln clones of its handles.
        let (device, queue) = (host.device.clone(), host.queue.clone());
        let device = Device::from_wgpu(device, queue, kiln::Options::default());
        println!("device: {device}");

        let mut drawn = Frames::default();
        for _ in 0..ALONE {
            drawn.paced(|| host.draw());
        }
        println!("a frame without training: {}", drawn.summary());

        let data = data()?;
        let mut model = network(&device)?;
        let interrupt = Interrupt::default();
        let endless = || Fit::epochs(1_000_000).silent();
        let history = {
            let interrupted = endless().interrupt(&interrupt);
            let mut training = pin!(model.fit_async(&data, interrupted));
            let (mut drawn, mut added) = (Frames::default(), Frames::default());
            let mut ended = None;
            for _ in 0..frames {
                drawn.paced(|| {
                    host.draw();
                    added.measured(|| {
                        if let Poll::Ready(history) = device.poll_for(training.as_mut(), budget) {
                            ended = Some(history);
                        }
                    });
                });
                if ended.is_some() {
                    break;
                }
            }
            println!("a frame with training:    {}", drawn.summary());
            println!("training added to it:     {}", added.summary());
            // What is under way comes to its end.
            interrupt.raise();
            loop {
                if let Some(history) = ended {
                    break history?;
                }
                if let Poll::Ready(history) = device.poll_for(training.as_mut(), budget) {
                    ended = Some(history);
                }
            }
        };
        let steps = history.steps;
        println!(
            "{steps} steps, {:.1} a frame",
            steps as f64 / frames.max(1) as f64
        );

        // The same run without a budget: as long by its settings, as those decide on kernels, and stopped at the same step.
        let mut other = network(&device)?;
        let enough = Lambda::new(|moment| {
            if moment.step == steps {
                moment.stop("the other run had as many steps");
            }
            Ok(())
        });
        let enough = enough.at(Timing::Steps(steps));
        let again = other.fit(&data, endless().callback(enough))?;
        if bits(&mut model, &history)? != bits(&mut other, &again)? {
            let message = "the run within frames ended in other bits than the one without a budget";
            return Err(Error::data(message));
        }
        println!("losses and weights have the bits of a run without a budget");
        Ok(())
    })
}

/// Rows of eight features and a value to learn.
fn data() -> Result<Dataset> {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..2000 * 8).map(feature).collect();
    let value = |row: &[f32]| row[0] * row[1] - row[7];
    let values = features.chunks(8).map(value).collect();
    Dataset::new(features, 8, Targets::Values { values, columns: 1 })
}

fn network(device: &Device) -> Result<Model> {
    let layers = Sequential::new(8).dense(32, Relu).dense(32, Relu);
    let layers = layers.dense(1, Linear).seed(1);
    layers.compile_on(device, MeanSquaredError, Adam::new(0.001), [])
}

/// The bits of the losses of all steps, and of all weights.
fn bits(model: &mut Model, history: &History) -> Result<(Vec<u64>, Vec<u32>)> {
    let losses = history.step_losses.iter().map(|loss| loss.to_bits());
    let weights = model.weights()?.into_iter().flat_map(|own| own.values);
    Ok((losses.collect(), weights.map(f32::to_bits).collect()))
}

/// What frames took.
#[derive(Default)]
struct Frames(Vec<Duration>);

impl Frames {
    fn measured(&mut self, frame: impl FnOnce()) -> Duration {
        let begun = Instant::now();
        frame();
        let took = begun.elapsed();
        self.0.push(took);
        took
    }

    /// A frame, and a pause until the next one is due.
    fn paced(&mut self, frame: impl FnOnce()) {
        let took = self.measured(frame);
        std::thread::sleep(FRAME.saturating_sub(took));
    }

    fn summary(&self) -> String {
        let mut sorted = self.0.clone();
        sorted.sort();
        let share = |percent: usize| {
            let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            let took = sorted.get(index).copied().unwrap_or_default();
            took.as_secs_f64() * 1000.0
        };
        format!(
            "median {:.2} ms, 99th percentile {:.2} ms, most {:.2} ms, of {} frames",
            share(50),
            share(99),
            share(100),
            sorted.len()
        )
    }
}
