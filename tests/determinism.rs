//! The same seed on the same device gives the same bits, alone and beside others.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use kiln::prelude::*;
use kiln::{Snapshot, Values};

/// Runs of a case one after the other.
const RUNS: usize = 100;
/// Trainers at work at the same time.
const TRAINERS: usize = 8;

/// A case: an architecture whose step takes another way through the plan.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// Many steps in one call, a lane a row.
    Tiny,
    /// A kernel a layer, noise drawn by counter, sums over a batch, a ragged last one.
    Layers,
}

impl Case {
    const ALL: [Case; 2] = [Case::Tiny, Case::Layers];

    fn model(self, device: &Device) -> Model {
        let model = Sequential::new(8);
        let model = match self {
            Case::Tiny => model.dense(10, Relu).dense(8, Relu),
            Case::Layers => model
                .dense(96, Relu)
                .layer(BatchNormalization::default())
                .layer(Dropout { rate: 0.3 }),
        };
        let model = model.dense(3, Softmax).seed(11);
        let metrics = [Accuracy];
        model
            .compile_on(
                device,
                SparseCategoricalCrossentropy,
                Adam::new(0.01),
                metrics,
            )
            .unwrap()
    }
}

fn data() -> Dataset {
    let rows = 77;
    let feature = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
    let labels = (0..rows).map(|row| (row * row % 3) as u32).collect();
    let targets = Targets::Labels { labels, classes: 3 };
    Dataset::new((0..rows * 8).map(feature).collect(), 8, targets).unwrap()
}

/// Trains a new model and returns a hash of every bit that it ends with: weights, states, losses, metrics, predictions.
fn trained(device: &Device, case: Case, data: &Dataset) -> u64 {
    let mut model = case.model(device);
    let history = model
        .fit(
            data,
            Fit::epochs(3).batch_size(16).validation_split(0.2).silent(),
        )
        .unwrap();
    let mut hash = DefaultHasher::new();
    for loss in &history.step_losses {
        hash.write_u64(loss.to_bits());
    }
    for epoch in &history.epochs {
        hash.write_u64(epoch.val_loss.unwrap().to_bits());
        for (_, value) in &epoch.metrics {
            hash.write_u64(value.to_bits());
        }
    }
    for value in model.predict(data).unwrap().values {
        hash.write_u32(value.to_bits());
    }
    write_snapshot(&mut hash, &model.snapshot().unwrap());
    hash.finish()
}

fn write_snapshot(hash: &mut DefaultHasher, snapshot: &Snapshot) {
    for (name, (_, values)) in &snapshot.variables {
        hash.write(name.as_bytes());
        match values {
            Values::F32(values) => values
                .iter()
                .for_each(|value| hash.write_u32(value.to_bits())),
            Values::F64(values) => values
                .iter()
                .for_each(|value| hash.write_u64(value.to_bits())),
            Values::U32(values) => values.iter().for_each(|&value| hash.write_u32(value)),
        }
    }
}

/// One hash of `RUNS` runs one after the other, and of `TRAINERS` at the same time on one device.
fn one_hash_on(device: &Device) {
    let data = data();
    let mut of_cases = BTreeSet::new();
    for case in Case::ALL {
        let alone = trained(device, case, &data);
        for run in 1..RUNS {
            assert_eq!(trained(device, case, &data), alone, "{case:?}, run {run}");
        }
        let together: Vec<u64> = std::thread::scope(|scope| {
            let start = || scope.spawn(|| trained(device, case, &data));
            let trainers: Vec<_> = (0..TRAINERS).map(|_| start()).collect();
            trainers
                .into_iter()
                .map(|trainer| trainer.join().unwrap())
                .collect()
        });
        assert_eq!(together, [alone; TRAINERS], "{case:?}, together");
        of_cases.insert(alone);
    }
    assert_eq!(
        of_cases.len(),
        Case::ALL.len(),
        "the hash tells the cases apart"
    );
}

#[test]
fn a_hundred_runs_and_eight_trainers_at_once_give_one_hash_on_the_processor() {
    one_hash_on(&Device::cpu());
}

#[test]
fn a_hundred_runs_and_eight_trainers_at_once_give_one_hash_on_the_gpu() {
    let Some(device) = common::device() else {
        return;
    };
    one_hash_on(device);
    assert_eq!(
        device.counters().bytes,
        0,
        "models dropped give their memory back"
    );
}

/// Runs that share the pool of threads with a longer one of another thread do not wait for its end.
#[test]
fn short_runs_beside_a_long_one_end_before_it() {
    let open = || {
        let model = Sequential::new(200).dense(200, Relu).dense(10, Softmax);
        let (loss, adam) = (SparseCategoricalCrossentropy, Adam::default());
        let model = model.compile_on(&Device::cpu(), loss, adam, [Accuracy]);
        let (_, plan) = model.unwrap().inspect(256, 128).unwrap();
        Device::cpu().open(&plan).unwrap()
    };
    let (mut long, mut short) = (open(), open());
    let [begun, ended] = [const { AtomicBool::new(false) }; 2];
    let mut beside = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // While a short run is under way.
            std::thread::sleep(Duration::from_millis(50));
            begun.store(true, SeqCst);
            long.run("train", 3000).unwrap();
            ended.store(true, SeqCst);
        });
        while !ended.load(SeqCst) {
            short.run("train", 50).unwrap();
            beside += u32::from(begun.load(SeqCst) && !ended.load(SeqCst));
        }
    });
    assert!(
        beside >= 5,
        "{beside} runs ended while the long one went on"
    );
}

#[test]
fn models_devices_and_data_go_to_other_threads() {
    fn sent<T: Send>() {}
    sent::<Device>();
    sent::<Model>();
    sent::<Dataset>();
    sent::<kiln::Session>();
    sent::<Snapshot>();
}
