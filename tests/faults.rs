//! Every call to wgpu made to fail in every way, in training, evaluation, prediction, saving and loading: what comes of it is
//! the right result to the bit, or an error.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use common::open;
use kiln::Options;
use kiln::gpu::{Fault, FaultKind};
use kiln::prelude::*;
use kiln::train::{EarlyStopping, Every, Lambda, Recovery, RunState};

/// One device at a time: making or dropping two at once hangs some drivers.
fn alone() -> Option<MutexGuard<'static, ()>> {
    common::may_open().then(common::alone)
}

fn rows() -> Dataset {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..100 * 3).map(feature).collect();
    let labels = features
        .chunks(3)
        .map(|row| u32::from(row[0] > row[1]) + u32::from(row[2] > 0.5));
    let targets = Targets::Labels {
        labels: labels.collect(),
        classes: 3,
    };
    Dataset::new(features, 3, targets).unwrap()
}

fn model(device: &Device) -> Result<Model> {
    let model = Sequential::new(3).dense(40, Relu).dense(3, Softmax).seed(5);
    let (loss, optimizer) = (SparseCategoricalCrossentropy, Adam::new(0.02));
    model.compile_on(device, loss, optimizer, [Accuracy])
}

/// All the numbers that a user sees of training, evaluation, prediction, saving and loading.
fn scenario(device: &Device, file: &Path) -> Result<Vec<u64>> {
    let data = rows();
    let mut model = model(device)?;
    let recovery = Recovery {
        every: Some(Duration::ZERO),
        ..Recovery::default()
    };
    let stopping = EarlyStopping::new("val_loss", 2).restore_best_weights(true);
    let fit = Fit::epochs(3)
        .batch_size(25)
        .validation_split(0.25)
        .silent();
    let history = model.fit(&data, fit.recovery(recovery).callback(stopping))?;
    let mut bits: Vec<u64> = history
        .step_losses
        .iter()
        .map(|loss| loss.to_bits())
        .collect();
    bits.extend(
        history
            .epochs
            .iter()
            .map(|epoch| epoch.val_loss.unwrap().to_bits()),
    );
    // Enough steps an epoch that not every submission reads the sums.
    let history = model.fit(&data, Fit::steps(200).batch_size(1).silent())?;
    bits.extend(history.step_losses.iter().map(|loss| loss.to_bits()));
    let evaluation = model.evaluate(&data)?;
    bits.push(evaluation.loss.to_bits());
    bits.extend(evaluation.metrics.iter().map(|(_, value)| value.to_bits()));
    for weights in model.weights()? {
        bits.extend(
            weights
                .values
                .iter()
                .map(|value| u64::from(value.to_bits())),
        );
    }
    model.save(file)?;
    let mut loaded = Model::load_on(device, file)?;
    for predictions in [model.predict(&data)?, loaded.predict(&data)?] {
        let values = predictions.values.iter();
        bits.extend(values.map(|value| u64::from(value.to_bits())));
    }
    Ok(bits)
}

fn calls(device: &Device) -> u64 {
    device.calls().iter().map(|(_, count)| count).sum()
}

/// What came of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// The right result to the bit.
    Right,
    /// An error that says what happened.
    Refused,
}

#[test]
fn a_call_that_fails_ends_in_an_error_or_in_the_right_bits() {
    let Some(_alone) = alone() else { return };
    let folder = std::env::temp_dir().join(format!("kiln-faults-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("model.safetensors");
    let (expected, total, by_call) = {
        let device = open(Options::default()).unwrap();
        if device.adapter_summary().is_none() {
            return;
        }
        let expected = scenario(&device, &file).unwrap();
        (expected, calls(&device), device.calls())
    };
    println!("{total} calls: {by_call:?}");
    for (call, count) in by_call {
        // A CPU adapter takes no timestamps for granted, and training asks for none.
        assert!(
            count > 0 || call == "timestamps",
            "the scenario has no {call}"
        );
    }
    // All of them take minutes, so that a part has to do where nobody asked for a release: KILN_FAULTS=1 asks for all.
    let stride: usize = match std::env::var("KILN_FAULTS") {
        Ok(stride) => stride.parse().unwrap(),
        Err(_) if cfg!(debug_assertions) => 23,
        Err(_) => 1,
    };
    let faults = (1..=total).flat_map(|call| FaultKind::ALL.map(|kind| Fault { call, kind }));
    // A mapping fails from a call on, so that most of those come to the same.
    let faults = faults.filter(|fault| fault.kind != FaultKind::Map || fault.call % 8 == 1);
    let (mut fired, mut slowest) = (0, Duration::ZERO);
    let mut ends: BTreeMap<(String, End), u64> = BTreeMap::new();
    for (point, fault) in faults.step_by(stride).enumerate() {
        let begun = Instant::now();
        let options = Options {
            fault: Some(fault),
            ..Options::default()
        };
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let device = open(options)?;
            let outcome = scenario(&device, &file);
            let fired = device.counters().faults;
            // Models are gone, so their memory is.
            assert_eq!(device.counters().bytes, 0, "{fault:?} leaves bytes");
            Ok((outcome, fired))
        }));
        slowest = slowest.max(begun.elapsed());
        let ended: Result<_> = ended.unwrap_or_else(|_| panic!("{fault:?} ended in a panic"));
        let end = match ended {
            // Opening it failed.
            Err(error) => (1, Err(error)),
            Ok((outcome, fired)) => (fired, outcome),
        };
        let (this, end) = match end {
            (fired, Ok(bits)) => {
                assert_eq!(bits, expected, "{fault:?} ended in a wrong result");
                (fired, End::Right)
            }
            (fired, Err(error)) => {
                assert!(fired > 0, "{fault:?} never came, but: {error}");
                assert!(!error.to_string().is_empty());
                (fired, End::Refused)
            }
        };
        fired += this;
        if this > 0 {
            *ends.entry((format!("{:?}", fault.kind), end)).or_default() += 1;
        }
        if point % 100 == 99 {
            println!("{} points", point + 1);
        }
    }
    println!("{fired} faults fired, the slowest took {slowest:?}");
    for ((kind, end), count) in &ends {
        println!("  {kind}: {end:?} {count}");
    }
    assert!(stride > 1 || fired >= 500, "{fired} points are too few");
    let recovered = ends.get(&("Lost".to_string(), End::Right)).copied();
    assert!(
        recovered.unwrap_or(0) > 0,
        "no loss was recovered from: {ends:?}"
    );
    // And nothing of it all stays.
    let device = open(Options::default()).unwrap();
    assert_eq!(scenario(&device, &file).unwrap(), expected);
    drop(device);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_run_that_loses_its_device_too_often_leaves_the_model_at_the_last_state() {
    let Some(_alone) = alone() else { return };
    let device = open(Options::default()).unwrap();
    if device.adapter_summary().is_none() {
        return;
    }
    let (data, fit) = (rows(), || Fit::epochs(6).batch_size(20).silent());
    let mut undisturbed = model(&device).unwrap();
    undisturbed.fit(&data, fit()).unwrap();

    let mut model = model(&device).unwrap();
    let mut epochs = 0;
    let lose = Lambda::new(|_| {
        epochs += 1;
        if epochs > 2 {
            device.destroy();
        }
        Ok(())
    });
    let recovery = Recovery {
        tries: 2,
        every: Some(Duration::ZERO),
    };
    let mut written = Vec::new();
    let states = |state: &RunState| {
        written.push(state.steps);
        // A full disk does not hide what ended the run.
        let full = std::io::ErrorKind::StorageFull;
        Err(Error::io("a full disk", full.into()))
    };
    let disturbed = fit().recovery(recovery).callback(lose);
    let error = model
        .fit(&data, disturbed.states(Every::Steps(1_000_000), states))
        .unwrap_err();
    assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
    assert_eq!(device.counters().generation, 2);
    let state = model.take_unfinished().unwrap();
    assert_eq!(written, [state.steps]);
    // The model works, on a device made again, and the run goes on to the bits of one that was never disturbed.
    model.predict(&data).unwrap();
    let rest = fit().resume(state).callback(Lambda::new(|_| Ok(())));
    model.fit(&data, rest).unwrap();
    assert_eq!(model.weights().unwrap(), undisturbed.weights().unwrap());
}
