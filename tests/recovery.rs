//! Runs of every kind whose device is lost go on and end in the same bits.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::sync::MutexGuard;
use std::time::Duration;

use common::device;
use kiln::gpu::{Fault, FaultKind};
use kiln::optim::OptimizerConfig;
use kiln::prelude::*;
use kiln::train::{Callback, Member, Moment, NonFinite, Population, Recovery, Timing};
use kiln::{Error, Snapshot};

/// The device, for one test at a time: what is lost is lost for all.
fn alone() -> Option<(&'static Device, MutexGuard<'static, ()>)> {
    let guard = common::alone();
    device().map(|device| (device, guard))
}

/// What a run may be made of, beside rows that lie on the device.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Resident,
    Streamed,
    Micro,
    Skipping,
    Noisy,
    Validated,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::Resident,
        Kind::Streamed,
        Kind::Micro,
        Kind::Skipping,
        Kind::Noisy,
        Kind::Validated,
    ];

    fn model(self, device: &Device) -> Model {
        let mut model = Sequential::new(4).dense(70, Relu);
        if let Kind::Noisy = self {
            model = model
                .layer(BatchNormalization::default())
                .layer(Dropout { rate: 0.3 });
        }
        let model = model.dense(3, Softmax).seed(8);
        let (loss, optimizer) = (SparseCategoricalCrossentropy, Adam::new(0.01));
        model
            .compile_on(device, loss, optimizer, [Accuracy])
            .unwrap()
    }

    /// Six epochs of eight steps, a state kept as often as can be.
    fn fit(self) -> Fit<'static> {
        let recovery = Recovery {
            every: Some(Duration::ZERO),
            ..Recovery::default()
        };
        let fit = Fit::epochs(6).batch_size(16).recovery(recovery).silent();
        match self {
            Kind::Resident | Kind::Noisy => fit,
            Kind::Streamed => fit.chunk_rows(32),
            Kind::Micro => fit.micro_batches(2),
            Kind::Skipping => fit.on_non_finite(NonFinite::Skip),
            Kind::Validated => fit.validation_split(0.2),
        }
    }

    /// Weights, optimizer states and losses at the end.
    fn trained(self, device: &Device) -> kiln::Result<(Snapshot, Vec<u64>)> {
        let mut model = self.model(device);
        let history = model.fit(&rows(), self.fit())?;
        let epochs = history.epochs.iter();
        let losses = epochs.flat_map(|epoch| [Some(epoch.loss), epoch.val_loss]);
        let losses = losses.flatten().map(f64::to_bits).collect();
        Ok((model.snapshot()?, losses))
    }
}

fn rows() -> Dataset {
    let feature = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0;
    let features: Vec<f32> = (0..128 * 4).map(feature).collect();
    let labels = features
        .chunks(4)
        .map(|row| u32::from(row[0] > row[1]) + u32::from(row[2] > row[3]));
    let labels = labels.collect();
    Dataset::new(features, 4, Targets::Labels { labels, classes: 3 }).unwrap()
}

/// Calls to wgpu so far, and those that looked for adapters.
fn calls(device: &Device) -> (u64, u64) {
    let calls = device.calls();
    let looked = calls.iter().filter(|(call, _)| *call == "adapters");
    let count = |calls: &mut dyn Iterator<Item = &(&str, u64)>| calls.map(|(_, count)| count).sum();
    (count(&mut calls.iter()), count(&mut looked.into_iter()))
}

fn inject(device: &Device, call: u64, kind: FaultKind) {
    device.inject(Fault { call, kind });
}

#[test]
fn a_run_of_any_kind_ends_in_the_same_bits_when_its_device_is_lost() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    for kind in Kind::ALL {
        let before = calls(device).0;
        let expected = kind.trained(device).unwrap();
        let total = calls(device).0 - before;
        let mut lost = 0;
        for point in [1, 3, 5, 7, 9] {
            let (generation, fired) = (device.counters().generation, device.counters().faults);
            inject(device, total * point / 10, FaultKind::Lost);
            // How many calls a run makes follows from how long its steps take: the fault may come in the next run.
            while device.counters().faults == fired {
                let ended = kind.trained(device).unwrap();
                assert_eq!(ended, expected, "{kind:?}, lost at {point} tenths");
            }
            lost += device.counters().generation - generation;
        }
        println!("{kind:?}: lost {lost} times");
        assert!(lost >= 4, "{kind:?}: the device was lost {lost} times only");
    }
}

#[test]
fn the_counters_of_a_run_are_of_all_its_steps_those_before_a_loss_too() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    // States far apart: what is lost is repeated from the beginning, all of it.
    let fit = || {
        let recovery = Recovery {
            every: Some(Duration::from_secs(1000)),
            ..Recovery::default()
        };
        Fit::epochs(6).batch_size(16).recovery(recovery).silent()
    };
    let trained = |fit: Fit<'_>| Kind::Noisy.model(device).fit(&rows(), fit).unwrap();
    let whole = trained(fit()).counters;
    let mut loses = Loses(device, Some(4));
    let history = trained(fit().callback(&mut loses));
    assert_eq!(loses.1, None);
    let least = whole.dispatches + whole.dispatches / 2;
    let counters = history.counters;
    assert!(counters.dispatches >= least, "{counters:?}, {whole:?}");
}

/// Loses the device at the end of an epoch.
struct Loses<'a>(&'a Device, Option<u64>);

impl Loses<'_> {
    /// Whether it has lost it now.
    fn lose(&mut self, moment: &mut Moment<'_>) -> bool {
        let now = self.1 == Some(moment.epoch());
        if now {
            self.1 = None;
            inject(self.0, 1, FaultKind::Lost);
            // What the model has learned since its last state is nowhere else.
            moment.model.snapshot().unwrap_err();
        }
        now
    }
}

impl Callback for Loses<'_> {
    fn timing(&self) -> Timing {
        Timing::Epochs
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> kiln::Result<()> {
        self.lose(moment);
        Ok(())
    }
}

/// Puts the weights of the second epoch back after the fourth, where the device may have been lost just then.
struct PutsBack<'a>(Loses<'a>, Option<Snapshot>);

impl Callback for PutsBack<'_> {
    fn timing(&self) -> Timing {
        Timing::Epochs
    }

    fn epoch(&mut self, moment: &mut Moment<'_>) -> kiln::Result<()> {
        if moment.epoch() == 2 {
            self.1 = Some(moment.model.snapshot()?);
        }
        self.0.lose(moment);
        match &self.1 {
            Some(snapshot) if moment.epoch() == 4 => moment.model.restore(snapshot),
            _ => Ok(()),
        }
    }
}

#[test]
fn weights_put_back_by_a_callback_as_the_device_is_lost_are_trained_on_the_rows_of_the_run() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    for kind in Kind::ALL {
        let trained = |lost: Option<u64>| {
            let mut callback = PutsBack(Loses(device, lost), None);
            let mut model = kind.model(device);
            let fit = kind.fit().callback(&mut callback);
            let history = model.fit(&rows(), fit).unwrap();
            assert_eq!(callback.0.1, None);
            let losses = history.loss().into_iter().map(f64::to_bits);
            (losses.collect::<Vec<_>>(), model.snapshot().unwrap())
        };
        let generation = device.counters().generation;
        let expected = trained(None);
        assert!(trained(Some(4)) == expected, "{kind:?}");
        assert_eq!(device.counters().generation, generation + 1, "{kind:?}");
    }
}

#[test]
fn a_model_whose_device_was_lost_moves_with_what_the_host_knows() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let mut model = Kind::Resident.model(device);
    model.fit(&rows(), Kind::Resident.fit()).unwrap();
    let weights = model.weights().unwrap();
    // Another model's call.
    inject(device, 1, FaultKind::Lost);
    let mut other = Kind::Noisy.model(device);
    other.predict(rows().features()).unwrap();
    model.move_to(&Device::cpu()).unwrap();
    assert_eq!(model.weights().unwrap(), weights);
    model.fit(&rows(), Fit::epochs(1).silent()).unwrap();
}

#[test]
fn a_device_that_cannot_be_made_again_at_once_is_tried_once_more() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let before = calls(device).0;
    let expected = Kind::Resident.trained(device).unwrap();
    let total = calls(device).0 - before;
    let mut tried_again = 0;
    for later in 1..40 {
        let looked = calls(device).1;
        let fired = device.counters().faults;
        inject(device, total / 2, FaultKind::Lost);
        inject(device, total / 2 + later, FaultKind::Error);
        let ended = Kind::Resident.trained(device);
        assert_eq!(device.counters().faults, fired + 2, "{later}");
        // An error elsewhere is told.
        let Ok(ended) = ended else { continue };
        assert_eq!(ended, expected, "{later} calls later");
        if calls(device).1 - looked >= 2 {
            tried_again += 1;
        }
        if tried_again == 2 {
            break;
        }
    }
    assert_eq!(tried_again, 2, "opening failed {tried_again} times");
}

/// Rows on which the loss overflows after some steps.
fn diverging(device: &Device) -> (Model, Dataset) {
    let model = Sequential::new(2)
        .dense(40, Linear)
        .dense(1, Linear)
        .seed(1);
    let model = model.compile_on(device, MeanSquaredError, Sgd::new(1.5), [] as [Metric; 0]);
    let features: Vec<f32> = (0..64 * 2).map(|i| (i % 7) as f32 - 3.0).collect();
    let values = features
        .chunks(2)
        .map(|row| row[0] * 9.0 + row[1])
        .collect();
    let targets = Targets::Values { values, columns: 1 };
    (model.unwrap(), Dataset::new(features, 2, targets).unwrap())
}

#[test]
fn a_device_lost_while_a_nan_is_looked_for_takes_neither_the_error_nor_the_model() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let fit = || Fit::epochs(200).batch_size(16).silent();
    let before = calls(device).0;
    let (mut model, data) = diverging(device);
    let error = model.fit(&data, fit()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    let total = calls(device).0 - before;
    let mut lost = 0;
    for point in (0..25).step_by(3) {
        let generation = device.counters().generation;
        let (mut model, data) = diverging(device);
        inject(device, total - 1 - point, FaultKind::Lost);
        let error = model.fit(&data, fit()).unwrap_err();
        assert!(matches!(error, Error::NonFinite { .. }), "{point}: {error}");
        let weights = model.snapshot().unwrap();
        let finite = weights.variables.values().all(|(_, values)| match values {
            kiln::Values::F32(values) => values.iter().all(|value| value.is_finite()),
            _ => true,
        });
        assert!(finite, "{point}");
        model.predict(data.features()).unwrap();
        lost += device.counters().generation - generation;
    }
    assert!(lost >= 4, "the device was lost {lost} times only");
}

/// Networks side by side, each in one workgroup.
fn population(device: &Device) -> Population {
    let network = Sequential::new(4).dense(8, Tanh).dense(1, Linear);
    let members = (1..=5).map(|seed| Member {
        seed,
        learning_rate: 0.002 * seed as f32,
    });
    let optimizer = OptimizerConfig::default();
    Population::new(network, members, device, MeanSquaredError, optimizer, []).unwrap()
}

/// 128 rows of numbers to come to.
fn values() -> Dataset {
    let features = rows().features().to_vec();
    let values = features.chunks(4).map(|row| row[0] * row[1] - row[2]);
    let values = values.collect();
    Dataset::new(features, 4, Targets::Values { values, columns: 1 }).unwrap()
}

/// Steps of eight an epoch, a state kept as often as can be.
fn steps<'a>(steps: u64) -> Fit<'a> {
    let recovery = Recovery {
        every: Some(Duration::ZERO),
        ..Recovery::default()
    };
    Fit::steps(steps).batch_size(16).recovery(recovery).silent()
}

/// Every member's weights.
fn learned(population: &mut Population) -> Vec<Vec<kiln::train::Weights>> {
    let own = |index| population.member(index).unwrap().weights().unwrap();
    (0..5).map(own).collect()
}

#[test]
fn a_population_whose_device_is_lost_ends_in_the_same_bits() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let (data, others) = (values(), values().split(0.2, 1).unwrap().1);
    let fit = |name: &str| match name {
        "plain" => steps(150),
        "validated" => steps(40).validation(&others),
        // Some members end before the others.
        _ => steps(160).until_loss(0.05),
    };
    for name in ["plain", "validated", "until"] {
        let trained = || {
            let mut population = population(device);
            let histories = population.fit(&data, fit(name)).unwrap();
            let figures = histories.iter().flat_map(|history| {
                let losses = history.step_losses.iter().copied();
                let epochs = history.epochs.iter();
                let epochs = epochs.flat_map(|epoch| [Some(epoch.loss), epoch.val_loss]);
                losses.chain(epochs.flatten()).map(f64::to_bits)
            });
            let figures: Vec<u64> = figures.collect();
            let stops: Vec<_> = histories
                .iter()
                .map(|h| (h.steps, h.stop.clone()))
                .collect();
            // What the call ended in takes nothing with it.
            device.destroy();
            (learned(&mut population), figures, stops)
        };
        let before = calls(device).0;
        let expected = trained();
        let total = calls(device).0 - before;
        let mut lost = 0;
        for point in [1, 3, 5, 7, 9] {
            let fired = device.counters().faults;
            inject(device, total * point / 10, FaultKind::Lost);
            while device.counters().faults == fired {
                let generation = device.counters().generation;
                assert!(trained() == expected, "{name}, lost at {point} tenths");
                // The one before took leave by itself.
                lost += (device.counters().generation - generation).saturating_sub(1);
            }
        }
        println!("{name}: lost {lost} times in its runs");
        assert!(lost >= 3, "{name}: the device was lost {lost} times only");
    }
}

#[test]
fn a_population_that_cannot_go_on_keeps_its_last_state_and_goes_on_from_it_later() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let data = values();
    let before = calls(device).0;
    let mut undisturbed = population(device);
    undisturbed.fit(&data, steps(96)).unwrap();
    let total = calls(device).0 - before;
    let mut kept = Vec::new();
    for point in [2, 5, 7, 8] {
        let fired = device.counters().faults;
        inject(device, total * point / 10, FaultKind::Timeout);
        let (mut disturbed, error) = loop {
            let mut disturbed = population(device);
            match disturbed.fit(&data, steps(96)) {
                Err(error) => break (disturbed, error),
                Ok(_) => assert_eq!(device.counters().faults, fired),
            }
        };
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        let own = learned(&mut disturbed);
        let same = (0..=96).find_map(|done| {
            let mut whole = population(device);
            if done > 0 {
                whole.fit(&data, steps(done)).unwrap();
            }
            (learned(&mut whole) == own).then_some((done, whole))
        });
        let Some((done, mut whole)) = same else {
            panic!("no number of steps ends in these weights");
        };
        kept.push(done);
        // A hung device is made again, too.
        for population in [&mut whole, &mut disturbed] {
            population.fit(&data, steps(20)).unwrap();
        }
        assert!(
            learned(&mut whole) == learned(&mut disturbed),
            "{done} steps"
        );
    }
    println!("states of the steps {kept:?} were kept");
    assert!(kept.iter().any(|&done| done > 0), "{kept:?}");
}

#[test]
fn steps_on_batches_go_on_from_the_last_reading_when_the_device_is_lost() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let rows = rows();
    let (batch, _) = rows.split_at(16).unwrap();
    let mut whole = Kind::Noisy.model(device);
    let mut after = vec![whole.weights().unwrap()];
    for _ in 0..12 {
        whole.train_on_batch(&batch).unwrap();
        after.push(whole.weights().unwrap());
    }
    for point in [1, 2, 3, 5, 8, 13] {
        let mut model = Kind::Noisy.model(device);
        for _ in 0..3 {
            model.train_on_batch(&batch).unwrap();
        }
        let fired = device.counters().faults;
        inject(device, point, FaultKind::Lost);
        let mut refused = 0;
        while device.counters().faults == fired {
            refused += u32::from(model.train_on_batch(&batch).is_err());
        }
        assert!(refused <= 1, "lost once, told {refused} times");
        // What is asked of the model then has an answer, and training goes on.
        let now = model.weights().unwrap();
        let step = after.iter().position(|after| *after == now);
        let step = step.unwrap_or_else(|| panic!("lost at call {point}: after no step"));
        for expected in &after[step + 1..(step + 3).min(after.len())] {
            model.train_on_batch(&batch).unwrap();
            assert_eq!(&model.weights().unwrap(), expected, "{point}, {step}");
        }
        // Who asks for the weights first is told once.
        inject(device, 1, FaultKind::Lost);
        assert!(matches!(model.weights(), Err(Error::DeviceLost { .. })));
        model.weights().unwrap();
        model.train_on_batch(&batch).unwrap();
    }
}

#[test]
fn a_part_and_its_model_agree_after_the_device_is_lost() {
    let Some((device, _alone)) = alone() else {
        return;
    };
    if device.adapter_summary().is_none() {
        return;
    }
    let rows = rows();
    let (batch, _) = rows.split_at(16).unwrap();
    for point in [1, 2, 3, 5, 8, 13, 21, 34] {
        let mut whole = Kind::Resident.model(device);
        let mut part = whole.part(["input"], ["dense"]).unwrap();
        let mut after = vec![whole.weights().unwrap()];
        for _ in 0..3 {
            whole.train_on_batch(&batch).unwrap();
            after.push(whole.weights().unwrap());
            assert_eq!(part.weights().unwrap()[..], after[after.len() - 1][..2]);
        }
        let fired = device.counters().faults;
        inject(device, point, FaultKind::Lost);
        let mut told = 0;
        while device.counters().faults == fired {
            told += u32::from(whole.train_on_batch(&batch).is_err());
        }
        assert!(told <= 1, "lost once, told {told} times");
        // The part has some step's weights whole, and those of the model once that is used.
        let now = part.weights().unwrap();
        let whole_now = whole.weights().unwrap();
        assert_eq!(part.weights().unwrap()[..], whole_now[..2], "{point}");
        if told > 0 {
            assert!(now == whole_now[..2], "{point}");
        }
        // A run goes on when its device is lost, and hands on where it ends.
        inject(device, calls(device).0 % 7 + 3, FaultKind::Lost);
        whole.fit(&rows, Kind::Resident.fit()).unwrap();
        assert_eq!(part.weights().unwrap()[..], whole.weights().unwrap()[..2]);
    }
}
