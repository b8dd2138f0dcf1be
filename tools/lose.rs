//! Trains while the device is destroyed again and again, at random moments, and compares the weights with those of a run that
//! nothing disturbed.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kiln::prelude::*;
use kiln::train::{Lambda, Recovery, Timing};

const ABOUT: &str =
    "lose: destroy the device at random moments of a training run, and compare the weights to the bit
  --times N       runs that lose their device (default 200)
  --seed N        of the moments (default 1)";

fn main() -> ExitCode {
    let mut equal = true;
    let ran = kiln_tools::run(|| {
        equal = lose()?;
        Ok(())
    });
    if equal { ran } else { ExitCode::FAILURE }
}

/// Whether all runs ended in the same bits.
fn lose() -> Result<bool> {
    let mut arguments = kiln_tools::Arguments::parse(ABOUT);
    let (times, mut random) = (
        arguments.number("times", 200u64)?,
        arguments.number("seed", 1u64)?,
    );
    let name = arguments.value("device")?;
    arguments.finish()?;
    let device = name.map_or_else(Device::from_env, |name| Device::named(&name))?;
    if device.adapter_summary().is_none() {
        let message = format!("{device} cannot be lost: name a GPU or a software adapter");
        return Err(Error::argument("device", message));
    }
    println!("device: {device}");

    let (expected, _) = trained(&device, Lose::Never)?;
    // What a run takes once its pipelines are made: a loss after its end is none.
    let begun = Instant::now();
    trained(&device, Lose::Never)?;
    let alone = begun.elapsed();
    let total = STEPS;
    let (mut equal, mut lost) = (0, 0);
    let begun = Instant::now();
    for run in 0..times {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let draw = (random >> 33) as f64 / f64::from(1u32 << 31);
        // Between two steps, and from another thread while the device is at work.
        let moment = match run % 2 {
            0 => Lose::AtStep((draw * total as f64) as u64 + 1),
            _ => Lose::After(alone.mul_f64(draw)),
        };
        let before = device.counters().generation;
        let (weights, steps) = trained(&device, moment)?;
        lost += u64::from(device.counters().generation > before);
        if weights == expected && steps == total {
            equal += 1;
        } else {
            println!("run {run}, lost {moment:?}: {steps} steps, other weights");
        }
    }
    println!(
        "{equal} of {times} runs ended in the same bits; {lost} losses noticed; {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    // Some runs end before their moment; a device that is never lost would test nothing.
    Ok(equal == times && lost * 2 >= times)
}

/// Steps of a run: 12 epochs of 8.
const STEPS: u64 = 96;

/// When a run loses its device.
#[derive(Debug, Clone, Copy)]
enum Lose {
    Never,
    AtStep(u64),
    After(Duration),
}

/// Every bit of a trained network's weights, and the steps of its run.
fn trained(device: &Device, lose: Lose) -> Result<(Vec<u32>, u64)> {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..250 * 6).map(feature).collect();
    let target = |row: &[f32]| [row[0] * row[1] + row[2], row[3] - row[4] * row[5]];
    let targets = features.chunks(6).flat_map(target).collect();
    let data = Dataset::new(
        features,
        6,
        Targets::Values {
            values: targets,
            columns: 2,
        },
    )?;
    let model = Sequential::new(6).dense(48, Tanh).dense(2, Linear).seed(9);
    let mut model = model.compile_on(device, MeanSquaredError, Adam::new(0.01), [])?;

    let mut fit = Fit::epochs(12).batch_size(32).silent().recovery(Recovery {
        every: Some(Duration::from_millis(5)),
        ..Recovery::default()
    });
    if let Lose::AtStep(step) = lose {
        let mut armed = true;
        let destroy = Lambda::new(move |moment| {
            if moment.step >= step && std::mem::take(&mut armed) {
                moment.model.device().destroy();
            }
            Ok(())
        });
        fit = fit.callback(destroy.at(Timing::Steps(1)));
    }
    let history = std::thread::scope(|scope| {
        if let Lose::After(wait) = lose {
            scope.spawn(move || {
                std::thread::sleep(wait);
                device.destroy();
            });
        }
        model.fit(&data, fit)
    })?;
    let weights = model.weights()?;
    let bits = weights
        .iter()
        .flat_map(|weights| &weights.values)
        .map(|value| value.to_bits());
    Ok((bits.collect(), history.steps))
}
